package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** NVMe base specification 2.0, 5.17, by the offsets that drivers read. */
class ControllerIdentifyTest {
  private static final int INVALID_FIELD = 2;
  private static final int INVALID_NAMESPACE = 0xB;

  private final ControllerRig rig = new ControllerRig();

  @BeforeEach
  void enable() {
    rig.enable();
  }

  private static String text(final ByteBuffer data, final int offset, final int length) {
    return new String(ControllerRig.bytes(data), offset, length, StandardCharsets.US_ASCII);
  }

  private static void assertZero(final ByteBuffer data, final int from, final int to) {
    for (int i = from; i < to; i++) {
      assertEquals(0, data.get(i), "byte " + i);
    }
  }

  @Test
  void shouldDescribeTheController() {
    final ByteBuffer data = rig.read(ControllerRig.identify(1, 0));
    assertEquals(4096, data.capacity());
    assertEquals(0x1B36, data.getShort(0));
    assertEquals(0x1AF4, data.getShort(2));
    assertEquals("SER1                ", text(data, 4, 20));
    assertEquals("virtnvme disk                           ", text(data, 24, 40));
    assertEquals("1       ", text(data, 64, 8));
    assertEquals(8, data.get(77), "MDTS: 1 MiB in pages of 4 KiB");
    assertEquals(1, data.getShort(78));
    assertEquals(0x0002_0000, data.getInt(80));
    assertZero(data, 84, 92);
    assertEquals(0x100, data.getInt(92), "OAES: namespace attribute notices");
    assertEquals(1, data.get(111), "an I/O controller");
    assertEquals(0x100, data.getShort(256), "OACS: doorbell buffer config and nothing else");
    assertEquals(3, data.get(258));
    assertEquals(3, data.get(259));
    assertEquals(3, data.get(260), "one firmware slot, read-only");
    assertEquals(0x26, data.get(261));
    assertEquals(63, data.get(262));
    assertEquals(0, data.get(263));
    assertEquals(343, data.getShort(266));
    assertEquals(373, data.getShort(268));
    // No host memory buffer, no keep alive, no thermal management, no sanitize.
    assertZero(data, 270, 512);
    assertEquals(0x66, data.get(512));
    assertEquals(0x44, data.get(513));
    assertEquals(32, data.getInt(516));
    assertEquals(0x9D, data.getShort(520), "ONCS");
    assertEquals(0, data.getShort(522));
    assertEquals(0, data.get(524));
    assertEquals(7, data.get(525), "VWC: Flush for one or all namespaces");
    assertZero(data, 526, 536);
    assertEquals(0x50001, data.getInt(536), "SGLS");
    assertZero(data, 540, 768);
    assertEquals("nqn.2024-01.io.virtnvme:disk0", text(data, 768, 256).trim());
    assertEquals(0, data.get(768 + 29));
    assertZero(data, 1024, 4096);
  }

  @Test
  void shouldDescribeANamespace() {
    final ByteBuffer data = rig.read(ControllerRig.identify(0, 2));
    assertEquals(2000, data.getLong(0));
    assertEquals(2000, data.getLong(8));
    assertEquals(2000, data.getLong(16));
    assertZero(data, 24, 33);
    assertEquals(9, data.get(33));
    assertEquals(2000L * 4096, data.getLong(48));
    assertEquals(0, data.get(99));
    final byte[] uuid = {
      0x00,
      0x11,
      0x22,
      0x33,
      0x44,
      0x55,
      0x46,
      0x77,
      (byte) 0x88,
      (byte) 0x99,
      (byte) 0xAA,
      (byte) 0xBB,
      (byte) 0xCC,
      (byte) 0xDD,
      (byte) 0xEE,
      2
    };
    assertArrayEquals(uuid, Arrays.copyOfRange(ControllerRig.bytes(data), 104, 120));
    assertEquals(2, data.get(120) & 3, "EUI64 is local and not a group's");
    assertEquals(0x000C_0000, data.getInt(128));
    assertZero(data, 132, 4096);
    assertEquals(0x0009_0000, rig.read(ControllerRig.identify(0, 1)).getInt(128));
  }

  @Test
  void shouldShowTheIdentifiersThatANamespaceWasGiven() {
    final NamespaceIds ids =
        NamespaceIds.of(
            ControllerRig.DISK_1.ids().uuid(),
            "0011223344556677F899AABBCCDDEEFF",
            "fedcba9876543210");
    rig.namespaces = List.of(new Namespace(1, 1000, 512, false, ids));
    rig.controller.namespaces(rig.namespaces, () -> {});
    rig.host.settle();
    for (int i = 0; i < 2; i++) {
      final byte[] data = ControllerRig.bytes(rig.read(ControllerRig.identify(0, 1)));
      assertEquals(
          "0011223344556677f899aabbccddeeff" + "fedcba9876543210",
          HexFormat.of().formatHex(data, 104, 128));
      final byte[] list = ControllerRig.bytes(rig.read(ControllerRig.identify(3, 1)));
      assertEquals(
          "03100000"
              + "00112233445546778899aabbccddee01"
              + "02100000"
              + "0011223344556677f899aabbccddeeff"
              + "01080000"
              + "fedcba9876543210"
              + "0401000000",
          HexFormat.of().formatHex(list, 0, 57));
      final int changed = rig.controller.state().events().changedNamespaces().size();
      rig.takeOver();
      rig.host.settle();
      assertEquals(
          changed,
          rig.controller.state().events().changedNamespaces().size(),
          "a successor finds nothing new");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0011223344556677F899AABBCCDDEEF, fedcba9876543210",
    "0011223344556677F899AABBCCDDEEFG, fedcba9876543210",
    "0011223344556677F899AABBCCDDEEFF, +edcba9876543210",
    "0011223344556677F899AABBCCDDEEFF, 1"
  })
  void shouldRefuseIdentifiersThatAreNoDigits(final String nguid, final String eui64) {
    final UUID uuid = ControllerRig.DISK_1.ids().uuid();
    final String text =
        assertThrows(IllegalArgumentException.class, () -> NamespaceIds.of(uuid, nguid, eui64))
            .getMessage();
    assertTrue(text.endsWith(nguid) || text.endsWith(eui64), text);
  }

  @Test
  void shouldShowWriteProtection() {
    rig.namespaces = List.of(new Namespace(3, 10, 512, true, ControllerRig.DISK_1.ids()));
    rig.controller.namespaces(rig.namespaces, () -> {});
    rig.host.settle();
    assertEquals(1, rig.read(ControllerRig.identify(0, 3)).get(99));
    assertEquals(1, rig.read(ControllerRig.identify(8, 3)).get(8));
  }

  @Test
  void shouldAnswerZeroesForAnIdWithoutNamespace() {
    assertZero(rig.read(ControllerRig.identify(0, 32)), 0, 4096);
    assertZero(rig.read(ControllerRig.identify(8, 3)), 0, 4096);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "0, 33",
    "0, -1",
    "0x11, 3",
    "0x11, 0",
    "3, 0",
    "3, 3",
    "3, -1",
    "5, 33",
    "8, 0",
    "0x12, 0",
    "2, -1",
    "2, -2",
    "7, -1",
    "0x10, -2"
  })
  void shouldRefuseABadNamespaceId(final String cns, final int namespaceId) {
    rig.refuse(ControllerRig.identify(Integer.decode(cns), namespaceId), INVALID_NAMESPACE, 4);
  }

  @Test
  void shouldListNamespaces() {
    for (final int cns : new int[] {2, 7, 0x10}) {
      ByteBuffer data = rig.read(ControllerRig.identify(cns, 0));
      assertEquals(1, data.getInt(0));
      assertEquals(2, data.getInt(4));
      assertZero(data, 8, 4096);
      data = rig.read(ControllerRig.identify(cns, 1));
      assertEquals(2, data.getInt(0));
      assertZero(data, 4, 4096);
      assertZero(rig.read(ControllerRig.identify(cns, 2)), 0, 4096);
      assertZero(rig.read(ControllerRig.identify(cns, 0xFFFF_FFFD)), 0, 4096);
    }
  }

  @Test
  void shouldNameANamespace() {
    final ByteBuffer data = rig.read(ControllerRig.identify(3, 1));
    final ByteBuffer namespace = rig.read(ControllerRig.identify(0, 1));
    assertEquals(0x1003, data.getShort(0));
    assertEquals(0x0011_2233_4455_4677L, Long.reverseBytes(data.getLong(4)));
    assertEquals(0x1002, data.getShort(20));
    assertArrayEquals(
        Arrays.copyOfRange(ControllerRig.bytes(namespace), 104, 120),
        Arrays.copyOfRange(ControllerRig.bytes(data), 24, 40));
    assertEquals(0x0801, data.getShort(40));
    assertEquals(namespace.getLong(120), data.getLong(44));
    assertEquals(0x0104, data.getShort(52));
    assertZero(data, 56, 4096);
    assertNotEquals(namespace.getLong(120), rig.read(ControllerRig.identify(0, 2)).getLong(120));
  }

  @Test
  void shouldKnowTheNvmCommandSet() {
    final ByteBuffer limits = rig.read(ControllerRig.identify(6, 0));
    assertEquals(12, limits.get(0), "Verify: 16 MiB");
    assertEquals(12, limits.get(1), "Write Zeroes: 16 MiB");
    assertZero(limits, 2, 4096);
    assertZero(rig.read(ControllerRig.identify(5, 1)), 0, 4096);
    assertEquals(1, rig.read(ControllerRig.identify(0x1C, 0)).getLong(0));
    for (final int cns : new int[] {5, 6, 7}) {
      rig.refuse(ControllerRig.identify(cns, 1).putInt(44, 2 << 24), INVALID_FIELD, 47);
    }
  }

  @Test
  void shouldListControllers() {
    ByteBuffer data = rig.read(ControllerRig.identify(0x13, 0));
    assertEquals(0x0001_0001, data.getInt(0));
    assertZero(data, 4, 4096);
    data = rig.read(ControllerRig.identify(2 << 16 | 0x13, 0));
    assertZero(data, 0, 4096);
    assertEquals(0x0001_0001, rig.read(ControllerRig.identify(0x12, 1)).getInt(0));
    assertEquals(0, rig.read(ControllerRig.identify(0x12, 3)).getInt(0));
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 9, 0xA, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1D, 0xFF})
  void shouldRefuseWhatItDoesNotHave(final int cns) {
    rig.refuse(ControllerRig.identify(cns, 1), INVALID_FIELD, 40);
  }

  @Test
  void shouldReportDataThatCannotBeWritten() {
    rig.host.transferStatus = 0x13;
    rig.refuse(ControllerRig.identify(1, 0), 0x13, 24);
    rig.host.transferStatus = 0;
    assertEquals(0x1B36, rig.read(ControllerRig.identify(1, 0)).getShort(0));
  }
}
