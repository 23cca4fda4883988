package io.virtnvme.ipc.vhostuser;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** The wire format belongs to the specification: a change here breaks every front-end. */
class VhostUserLayoutTest {
  private static final String GOLDEN =
      """
      vhost-user header
           0   4  request
           4   4  flags
           8   4  size
          12      end
      vring state
           0   4  index
           4   4  num
           8      end
      vring address
           0   4  index
           4   4  flags
           8   8  descriptor
          16   8  used
          24   8  available
          32   8  log
          40      end
      memory table
           0   4  count
           4   4  padding
           8      end
      memory region
           0   8  guest address
           8   8  size
          16   8  user address
          24   8  mmap offset
          32      end
      log area
           0   8  size
           8   8  offset
          16      end
      config space
           0   4  offset
           4   4  size
           8   4  flags
          12      end
      inflight area
           0   8  mmap size
           8   8  mmap offset
          16   2  queue count
          18   2  queue size
          20   4  padding
          24      end
      """;

  @Test
  void shouldKeepTheLayoutsOfTheSpecification() {
    assertEquals(
        GOLDEN,
        VhostUserMessage.describe()
            + VringState.describe()
            + VringAddress.describe()
            + MemoryTable.describe()
            + LogArea.describe()
            + ConfigSpace.describe()
            + InflightArea.describe());
    assertEquals(40, MemoryTable.SINGLE_LENGTH);
    assertEquals(8 + 3 * 32, MemoryTable.length(3));
  }

  @Test
  void shouldKeepTheCodesOfTheSpecification() {
    assertEquals(1, VhostUserRequest.GET_FEATURES.code());
    assertEquals(18, VhostUserRequest.SET_VRING_ENABLE.code());
    assertEquals(24, VhostUserRequest.GET_CONFIG.code());
    assertEquals(31, VhostUserRequest.GET_INFLIGHT_FD.code());
    assertEquals(37, VhostUserRequest.ADD_MEM_REG.code());
    assertEquals(43, VhostUserRequest.CHECK_DEVICE_STATE.code());
    assertEquals(2, VhostUserBackendRequest.CONFIG_CHANGE_MSG.code());
    assertEquals(1L << 12, VhostUserProtocolFeature.INFLIGHT_SHMFD.mask());
    assertEquals(1L << 16, VhostUserProtocolFeature.STATUS.mask());
    int code = 1;
    for (final VhostUserRequest request : VhostUserRequest.values()) {
      assertEquals(code++, request.code());
      assertEquals(request, VhostUserRequest.of(request.code()));
    }
    assertNull(VhostUserRequest.of(0));
    assertNull(VhostUserRequest.of(44));
    assertNull(VhostUserRequest.of(-1));
    assertNull(VhostUserRequest.of(Integer.MAX_VALUE));
    int bit = 0;
    for (final VhostUserProtocolFeature feature : VhostUserProtocolFeature.values()) {
      assertEquals(bit++, feature.bit());
    }
  }

  @Test
  void shouldWriteEveryFieldWhereTheSpecificationWantsIt() {
    final byte[] state = VhostUserMessage.request(VhostUserRequest.SET_VRING_NUM, 0x8, 8);
    VringState.put(state, 0x01020304, 0x05060708);
    assertHex("08000000" + "09000000" + "08000000" + "0403020108070605", state);
    assertEquals(0x01020304, VringState.index(state));
    assertEquals(0x05060708, VringState.num(state));

    final byte[] address = VhostUserMessage.request(VhostUserRequest.SET_VRING_ADDR, 0, 40);
    VringAddress.put(address, 1, 2, 3, 4, 5, 6);
    assertHex(
        "09000000010000002800000001000000020000000300000000000000"
            + "040000000000000005000000000000000600000000000000",
        address);
    assertEquals(4, VringAddress.used(address));
    assertEquals(5, VringAddress.available(address));

    final byte[] inflight = VhostUserMessage.reply(31, InflightArea.PADDED_LENGTH);
    InflightArea.put(inflight, 1, 2, 65535, 128);
    assertHex(
        "1f0000000500000018000000" + "01000000000000000200000000000000" + "ffff800000000000",
        inflight);
    assertEquals(65535, InflightArea.queueCount(inflight));

    final byte[] config = VhostUserMessage.request(VhostUserRequest.GET_CONFIG, 0, 13);
    ConfigSpace.put(config, 32, 1, 1);
    config[ConfigSpace.bytesIndex()] = 7;
    assertHex("18000000010000000d000000" + "20000000010000000100000007", config);

    final byte[] memory =
        VhostUserMessage.request(VhostUserRequest.ADD_MEM_REG, 0, MemoryTable.SINGLE_LENGTH);
    MemoryTable.putRegion(memory, 0, 1, 2, 3, 4);
    assertHex(
        "250000000100000028000000"
            + "0000000000000000"
            + "0100000000000000020000000000000003000000000000000400000000000000",
        memory);

    final byte[] log = VhostUserMessage.request(VhostUserRequest.SET_LOG_BASE, 0, LogArea.LENGTH);
    LogArea.put(log, 9, 10);
    assertEquals(9, LogArea.size(log));
    assertEquals(10, LogArea.offset(log));
  }

  @Test
  void shouldFlagReplies() {
    assertHex("0100000005000000080000000700000000000000", VhostUserMessage.replyU64(1, 7));
    assertTrue(
        VhostUserProtocolFeature.MQ.isIn(
            VhostUserProtocolFeature.maskOf(
                VhostUserProtocolFeature.MQ, VhostUserProtocolFeature.CONFIG)));
  }

  private static void assertHex(final String expected, final byte[] actual) {
    assertArrayEquals(HexFormat.of().parseHex(expected), actual);
  }
}
