package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/** Translation of guest addresses. */
class GuestMemoryTest {
  private static MemoryRegion region(
      final long guest, final long user, final long length, final long host) {
    return new MemoryRegion(guest, user, length, host, -1, 0);
  }

  @Test
  void shouldTranslateOnlyRangesInsideOneRegion() {
    final GuestMemory memory =
        GuestMemory.of(
            List.of(
                region(0x10000, 0x7000_0000, 0x1000, 0x1_0000_0000L),
                region(0, 0x8000_0000L, 0x1000, 0x2_0000_0000L),
                region(0x1000, 0x9000_0000L, 0x1000, 0x3_0000_0000L)));
    assertEquals(0x1_0000_0000L, memory.translate(0x10000, 0x1000));
    assertEquals(0x1_0000_0FFFL, memory.translate(0x10FFF, 1));
    assertEquals(0, memory.translate(0x10000, 0x1001));
    assertEquals(0, memory.translate(0x10000, 0));
    assertEquals(0, memory.translate(0x10000, -1));
    assertEquals(0, memory.translate(0x10000, Long.MIN_VALUE));
    assertEquals(0, memory.translate(0xFFFF, 2));
    assertEquals(0, memory.translate(-1, 1));
    assertEquals(0, memory.translate(Long.MIN_VALUE, 1));
    assertEquals(0x2_0000_0FFFL, memory.translate(0xFFF, 1));
    assertEquals(0, memory.translate(0xFFF, 2), "touching regions are two");
    assertEquals(1, memory.contiguousLength(0xFFF));
    assertEquals(0x1000, memory.contiguousLength(0x1000));
    assertEquals(0, memory.contiguousLength(0x2000));
    assertEquals(0x2_0000_0010L, memory.translateUser(0x8000_0010L, 0xFF0));
    assertEquals(0, memory.translateUser(0x8000_0010L, 0xFF1));
    assertEquals(0x1010, memory.guestAddressOf(0x3_0000_0010L));
    assertEquals(-1, memory.guestAddressOf(0x3_0000_1000L));
  }

  @Test
  void shouldRefuseBadMaps() {
    assertThrows(IllegalArgumentException.class, () -> GuestMemory.of(List.of(region(0, 0, 0, 1))));
    assertThrows(
        IllegalArgumentException.class, () -> GuestMemory.of(List.of(region(-2, 0, 4, 1))));
    assertThrows(
        IllegalArgumentException.class, () -> GuestMemory.of(List.of(region(0, -2, 4, 1))));
    assertThrows(
        IllegalArgumentException.class,
        () -> GuestMemory.of(List.of(region(0, 0, 0x1001, 1), region(0x1000, 0x10000, 1, 1))));
    assertEquals(0, GuestMemory.of(List.of()).translate(0, 1));
  }

  @Test
  void shouldAcceptRegionsAtBothEndsOfTheAddressSpace() {
    final GuestMemory memory =
        GuestMemory.of(
            List.of(region(0, 0, 0x1000, 1 << 20), region(-0x1000, 0x10000, 0x1000, 1 << 22)));
    assertEquals((1 << 22) + 0xFFF, memory.translate(-1, 1));
    assertEquals(0, memory.translate(-1, 2));
  }

  @Property(tries = 200)
  void shouldAgreeWithLinearSearch(@ForAll final long seed) {
    final Random random = new Random(seed);
    final List<MemoryRegion> regions = new ArrayList<>();
    long guest = random.nextInt(1000);
    for (int i = 0; i < 1 + random.nextInt(40); i++) {
      final int length = 1 + random.nextInt(100);
      regions.add(region(guest, guest + 5, length, (i + 1L) << 20));
      guest += length + random.nextInt(3) * 10L;
    }
    final GuestMemory memory = GuestMemory.of(regions);
    for (int i = 0; i < 500; i++) {
      final long address = random.nextInt((int) guest + 20);
      final int length = 1 + random.nextInt(50);
      long expected = 0;
      for (final MemoryRegion region : regions) {
        if (address >= region.guestAddress()
            && address + length <= region.guestAddress() + region.lengthBytes()) {
          expected = region.hostAddress() + address - region.guestAddress();
        }
      }
      assertEquals(expected, memory.translate(address, length));
      assertEquals(expected, memory.translateUser(address + 5, length));
    }
  }
}
