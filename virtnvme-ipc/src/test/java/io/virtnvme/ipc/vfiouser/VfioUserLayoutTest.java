package io.virtnvme.ipc.vfiouser;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** The wire format belongs to the specification: a change here breaks every front-end. */
class VfioUserLayoutTest {
  private static final String GOLDEN =
      """
      vfio-user header
           0   2  message id
           2   2  command
           4   4  size
           8   4  flags
          12   4  error
          16      end
      version
           0   2  major
           2   2  minor
           4      end
      DMA map
           0   4  argsz
           4   4  flags
           8   8  offset
          16   8  address
          24   8  size
          32      end
      DMA unmap
           0   4  argsz
           4   4  flags
           8   8  address
          16   8  size
          24      end
      device info
           0   4  argsz
           4   4  flags
           8   4  region count
          12   4  irq count
          16      end
      region info
           0   4  argsz
           4   4  flags
           8   4  index
          12   4  cap offset
          16   8  size
          24   8  offset
          32      end
      sparse mmap
           0   2  id
           2   2  version
           4   4  next
           8   4  area count
          12   4  reserved
          16   8  area offset
          24   8  area size
          32      end
      irq info
           0   4  argsz
           4   4  flags
           8   4  index
          12   4  count
          16      end
      irq set
           0   4  argsz
           4   4  flags
           8   4  index
          12   4  start
          16   4  count
          20      end
      region access
           0   8  offset
           8   4  region
          12   4  count
          16      end
      region writes
           0   8  write count
           8      end
      region write
           0   8  offset
           8   4  region
          12   4  count
          16   8  data
          24      end
      region io fds
           0   4  argsz
           4   4  flags
           8   4  index
          12   4  count
          16      end
      device feature
           0   4  argsz
           4   4  flags
           8      end
      """;

  @Test
  void shouldKeepTheLayoutOfTheSpecification() {
    assertEquals(
        GOLDEN,
        VfioUserMessage.describe()
            + VersionPayload.describe()
            + DmaMap.describe()
            + DmaUnmap.describe()
            + DeviceInfo.describe()
            + RegionInfo.describe()
            + SparseMmap.describe()
            + IrqInfo.describe()
            + IrqSet.describe()
            + RegionAccess.describe()
            + RegionWrites.describe()
            + RegionIoFds.describe()
            + DeviceFeature.describe());
  }

  /** A golden text with names changed round would pass the test above. */
  @Test
  void shouldPutFieldsWhereTheSpecificationHasThem() {
    final byte[] map = VfioUserMessage.command(VfioUserCommand.DMA_MAP, 0x1234, 0, DmaMap.LENGTH);
    DmaMap.put(map, 32, DmaMap.READ_FLAG | DmaMap.WRITE_FLAG, 0x1000, 0x80000000L, 0x200000);
    assertArrayEquals(
        HexFormat.of()
            .parseHex(
                "3412"
                    + "0200"
                    + "30000000"
                    + "00000000"
                    + "00000000"
                    + "20000000"
                    + "03000000"
                    + "0010000000000000"
                    + "0000008000000000"
                    + "0000200000000000"),
        map);

    final byte[] access =
        VfioUserMessage.command(
            VfioUserCommand.REGION_WRITE,
            7,
            VfioUserMessage.NO_REPLY_FLAG,
            RegionAccess.LENGTH + 4);
    RegionAccess.put(access, 0x14, PciRegion.BAR0, 4);
    assertArrayEquals(
        HexFormat.of()
            .parseHex(
                "0700"
                    + "0a00"
                    + "24000000"
                    + "10000000"
                    + "00000000"
                    + "1400000000000000"
                    + "00000000"
                    + "04000000"
                    + "00000000"),
        access);
  }

  @Test
  void shouldReplyWithTheIdAndTheCommandOfTheRequest() {
    final byte[] command = VfioUserMessage.command(VfioUserCommand.DEVICE_RESET, 0xFFFE, 0, 0);
    final byte[] reply = VfioUserMessage.reply(command, 3);
    assertEquals(0xFFFE, VfioUserMessage.id(reply));
    assertEquals(VfioUserCommand.DEVICE_RESET.code(), VfioUserMessage.commandCode(reply));
    assertTrue(VfioUserMessage.isReply(reply));
    assertFalse(VfioUserMessage.isRefusal(reply));
    assertEquals(19, VfioUserMessage.size(reply));

    final byte[] refusal = VfioUserMessage.refusal(command, 22);
    assertEquals(VfioUserMessage.HEADER_LENGTH, refusal.length);
    assertTrue(VfioUserMessage.isRefusal(refusal));
    assertEquals(22, VfioUserMessage.error(refusal));
    assertEquals(0xFFFE, VfioUserMessage.id(refusal));
  }

  @Test
  void shouldEndTheTextOfAVersionWithAZero() {
    final byte[] command = VfioUserMessage.command(VfioUserCommand.VERSION, 1, 0, 0);
    final byte[] message = VersionPayload.withText(command, "{}");
    assertEquals(16 + 4 + 3, message.length);
    assertEquals(message.length, VfioUserMessage.size(message));
    assertEquals(0, message[message.length - 1]);
    assertEquals("{}", VersionPayload.text(message));
  }

  @Test
  void shouldKnowEachCommandByItsNumber() {
    for (final VfioUserCommand command : VfioUserCommand.values()) {
      assertEquals(command, VfioUserCommand.of(command.code()));
    }
    assertNull(VfioUserCommand.of(0));
    assertNull(VfioUserCommand.of(14));
    assertNull(VfioUserCommand.of(-1));
    assertNull(VfioUserCommand.of(0xFFFF));
  }
}
