package io.virtnvme.ipc.virtio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** Words that hold several fields, and the arithmetic of events. */
class RingWordsTest {
  /** The same bytes as field by field. */
  private static long word(final int length, final int third, final int fourth) {
    final ByteBuffer bytes = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putInt(length).putShort((short) third).putShort((short) fourth);
    return bytes.getLong(0);
  }

  @Property
  void shouldPackDescriptorWordsAsTheFieldsLie(
      @ForAll final int length,
      @ForAll @IntRange(max = 0xFFFF) final int third,
      @ForAll @IntRange(max = 0xFFFF) final int fourth) {
    final long word = word(length, third, fourth);
    assertEquals(word, SplitDescriptor.word(length, third, fourth));
    assertEquals(length & 0xFFFF_FFFFL, SplitDescriptor.length(word));
    assertEquals(third, SplitDescriptor.flags(word));
    assertEquals(fourth, SplitDescriptor.next(word));
    assertEquals(word, PackedDescriptor.word(length, third, fourth));
    assertEquals(length & 0xFFFF_FFFFL, PackedDescriptor.length(word));
    assertEquals(third, PackedDescriptor.id(word));
    assertEquals(fourth, PackedDescriptor.flags(word));
    assertEquals(UsedRing.element(third, length), (length & 0xFFFF_FFFFL) << 32 | third);
  }

  /** By walking from the old to the new index, entry by entry. */
  @Property
  void shouldFindTheEventPassed(
      @ForAll @IntRange(max = 0xFFFF) final int event,
      @ForAll @IntRange(max = 0xFFFF) final int oldIndex,
      @ForAll @IntRange(max = 600) final int count) {
    boolean expected = false;
    for (int i = 0; i < count; i++) {
      expected |= (oldIndex + i & 0xFFFF) == event;
    }
    assertEquals(expected, EventIndex.isDue(event, oldIndex + count & 0xFFFF, oldIndex));
    assertEquals(count > 0, EventIndex.isDue(oldIndex, oldIndex + count & 0xFFFF, oldIndex));
  }

  @Property
  void shouldFindTheEventPassedInPackedRings(
      @ForAll @IntRange(min = 1, max = 40) final int queueSize,
      @ForAll @IntRange(max = 79) final int eventPosition,
      @ForAll @IntRange(max = 79) final int oldPosition,
      @ForAll @IntRange(min = 1, max = 40) final int count) {
    final int laps = 2 * queueSize;
    final int event = eventPosition % laps;
    final int passed = Math.min(count, queueSize);
    boolean expected = false;
    for (int i = 0; i < passed; i++) {
      expected |= (oldPosition + i) % laps == event;
    }
    final int position = (oldPosition + passed) % laps;
    final int word =
        EventSuppression.word(
            event % queueSize, event / queueSize == 0, EventSuppression.FLAGS_DESC);
    assertEquals(
        expected,
        EventSuppression.isDue(
            word, true, queueSize, position % queueSize, position / queueSize == 0, passed));
  }

  @Test
  void shouldHonourTheOtherEventFlags() {
    final int enable = EventSuppression.word(0, false, EventSuppression.FLAGS_ENABLE);
    final int disable = EventSuppression.word(0, false, EventSuppression.FLAGS_DISABLE);
    final int far = EventSuppression.word(5, true, EventSuppression.FLAGS_DESC);
    assertTrue(EventSuppression.isDue(enable, true, 8, 1, true, 1));
    assertFalse(EventSuppression.isDue(disable, true, 8, 1, true, 1));
    assertFalse(EventSuppression.isDue(far, true, 8, 1, true, 1));
    assertTrue(EventSuppression.isDue(far, false, 8, 1, true, 1), "not negotiated");
    assertEquals(5, EventSuppression.offset(far));
    assertTrue(EventSuppression.wrapCounter(far));
  }

  @Test
  void shouldTellAvailableFromUsed() {
    for (final boolean wrap : new boolean[] {false, true}) {
      assertTrue(PackedDescriptor.isAvailable(PackedDescriptor.availFlags(wrap), wrap));
      assertFalse(PackedDescriptor.isAvailable(PackedDescriptor.availFlags(!wrap), wrap));
      assertFalse(PackedDescriptor.isAvailable(PackedDescriptor.usedFlags(wrap), wrap));
      assertTrue(PackedDescriptor.isUsed(PackedDescriptor.usedFlags(wrap), wrap));
      assertFalse(PackedDescriptor.isUsed(PackedDescriptor.usedFlags(!wrap), wrap));
      assertFalse(PackedDescriptor.isUsed(PackedDescriptor.availFlags(wrap), wrap));
    }
  }

  /** The driver alone: what it puts in memory is what the device's side of the layouts reads. */
  @Test
  void shouldWriteAvailableDescriptorsInPublishOrder() {
    final long bytes = PackedDriverQueue.length(4, 4);
    final long block = Mem.allocate(bytes + 64);
    final long address = block + 63 & -64;
    final PackedDriverQueue driver = new PackedDriverQueue(address, 1 << 20, 4, 0, 4);
    driver.begin(BlkRequest.TYPE_FLUSH, 0);
    assertTrue(driver.add());
    driver.begin(BlkRequest.TYPE_FLUSH, 0);
    assertTrue(driver.add());
    driver.begin(BlkRequest.TYPE_FLUSH, 0);
    assertFalse(driver.add(), "the ring is full");
    // Until publish the device sees nothing: the first descriptor's flags are missing.
    assertFalse(
        PackedDescriptor.isAvailable(
            PackedDescriptor.flags(Mem.getLong(address + PackedDescriptor.WORD_OFFSET)), true));
    assertTrue(driver.publish());
    for (int i = 0; i < 4; i++) {
      final int flags =
          PackedDescriptor.flags(Mem.getLong(address + 16L * i + PackedDescriptor.WORD_OFFSET));
      assertTrue(PackedDescriptor.isAvailable(flags, true));
      assertEquals(i % 2 == 0, (flags & PackedDescriptor.FLAG_NEXT) != 0);
    }
    assertEquals(DriverQueue.NONE, driver.poll());
    // Somebody answers with an id that is not in flight.
    Mem.putLong(
        address + PackedDescriptor.WORD_OFFSET,
        PackedDescriptor.word(1, 3, PackedDescriptor.usedFlags(true)));
    assertEquals(DriverQueue.NONE, driver.poll());
    assertEquals(1, driver.faultCount());
    Mem.free(block);
  }
}
