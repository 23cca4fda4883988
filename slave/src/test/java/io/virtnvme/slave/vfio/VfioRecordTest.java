package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.virtnvme.slave.session.SessionException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class VfioRecordTest {
  private static final int VECTOR_COUNT = 65;

  private static VfioState full() {
    final BitSet vectors = new BitSet();
    vectors.set(0);
    vectors.set(64);
    final PciConfigSpace config =
        PciConfigSpace.initial(VECTOR_COUNT).write(4, new byte[] {6, 4}, 0, 2);
    return new VfioState(
        true,
        4096,
        List.of(
            new DmaRegion(0, 4096, 0, DmaRegion.NO_SLOT, true, true),
            new DmaRegion(0x10_0000, 1 << 20, 4096, 3, true, false),
            new DmaRegion(-4096, 4096, 0, 0, false, true)),
        vectors,
        true,
        false,
        config,
        new VfioState.Settled(12, new byte[] {1, 2, 3}));
  }

  @Test
  void shouldReadWhatItWrites() {
    final byte[] record = VfioRecord.encode(full());
    assertEquals(full(), VfioRecord.decode(record, VECTOR_COUNT));
    assertArrayEquals(record, VfioRecord.encode(VfioRecord.decode(record, VECTOR_COUNT)));
    final VfioState initial = VfioState.initial(VECTOR_COUNT);
    assertEquals(initial, VfioRecord.decode(VfioRecord.encode(initial), VECTOR_COUNT));
  }

  @Test
  void shouldHoldTheSlotsThatItsStateNames() {
    final BitSet held = full().slots();
    final BitSet expected = new BitSet();
    expected.set(0);
    expected.set(3);
    expected.set(VfioSlots.VECTOR);
    expected.set(VfioSlots.VECTOR + 64);
    expected.set(VfioSlots.ERR);
    expected.set(VfioSlots.DOORBELLS);
    expected.set(VfioSlots.AREA);
    assertEquals(expected, held);
    assertEquals(1, full().freeRegionSlot());
  }

  @Test
  void shouldRefuseEveryOtherNumberOfBytes() {
    final byte[] record = VfioRecord.encode(full());
    for (int length = 0; length < record.length; length++) {
      final byte[] cut = Arrays.copyOf(record, length);
      assertThrows(SessionException.class, () -> VfioRecord.decode(cut, VECTOR_COUNT));
    }
    final byte[] longer = Arrays.copyOf(record, record.length + 1);
    assertThrows(SessionException.class, () -> VfioRecord.decode(longer, VECTOR_COUNT));
  }

  /**
   * What another build wrote, or memory that was overwritten: refused, or a state like any other.
   */
  @Test
  void shouldThrowNothingElseForChangedBytes() {
    final long seed = System.nanoTime();
    final Random random = new Random(seed);
    final byte[] record = VfioRecord.encode(full());
    for (int i = 0; i < 20_000; i++) {
      final byte[] changed = record.clone();
      for (int k = random.nextInt(3); k >= 0; k--) {
        changed[random.nextInt(changed.length)] = (byte) random.nextInt();
      }
      try {
        assertArrayEquals(
            changed, VfioRecord.encode(VfioRecord.decode(changed, VECTOR_COUNT)), "seed=" + seed);
      } catch (final SessionException expected) {
        assertEquals(true, expected.getMessage().startsWith("session record: "));
      }
    }
  }

  @Test
  void shouldChangeOnlyWhatAFrontEndMayWrite() {
    final PciConfigSpace before = PciConfigSpace.initial(VECTOR_COUNT);
    final byte[] ones = new byte[PciConfigSpace.LENGTH];
    Arrays.fill(ones, (byte) 0xFF);
    final byte[] after = before.write(0, ones, 0, ones.length).bytes();
    // Vendor, device, class, capabilities and table places stay; BARs tell their sizes.
    assertEquals(0x56, after[0]);
    assertEquals(0x4E, after[1]);
    assertEquals(0x01, after[0x0B]);
    assertEquals(0x08, after[0x0A]);
    assertEquals(0x02, after[0x09]);
    assertEquals(0x46, after[0x04]);
    assertEquals(0x05, after[0x05]);
    assertEquals((byte) 0x04, after[0x10]);
    assertEquals((byte) 0xC0, after[0x11]);
    assertEquals((byte) 0xFF, after[0x17]);
    assertEquals((byte) 0xE0, after[0x21]);
    assertEquals((byte) 0xC0, after[0x53]);
    assertEquals(VECTOR_COUNT - 1, after[0x52]);
    assertEquals(0, after[0x3D], "no interrupt pin");
    // Byte by byte it is the same as at once.
    PciConfigSpace slowly = before;
    for (int i = 0; i < ones.length; i++) {
      slowly = slowly.write(i, ones, i, 1);
    }
    assertArrayEquals(after, slowly.bytes());
  }
}
