package io.virtnvme.ipc.segment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirtySegmentTest {
  private static final int GRAIN_SHIFT = DirtySegment.GRAIN_SHIFT_MIN;
  private static final int GRAIN = 1 << GRAIN_SHIFT;

  @TempDir private Path folder;

  private SegmentDirectory directory() {
    return new SegmentDirectory(folder, 7, BootId.current());
  }

  private Path create(final long diskBytes, final boolean allDirty) {
    DirtySegment.create(directory(), "d", diskBytes, GRAIN_SHIFT, allDirty);
    return directory().dirty("d");
  }

  @Test
  void shouldKeepTheLayoutThatClientsKnow() {
    assertEquals(
        """
        dirty segment, version 1
            64   4  grain_shift
            72   8  grain_count
          4096      end
        """,
        DirtySegment.describe());
    final Path path = create(GRAIN * 65L, false);
    final int fd = Fds.open(path.toString(), Fds.O_RDWR, 0);
    try (DirtySegment segment = DirtySegment.open(directory(), "d");
        Mapping raw = Mapping.map(fd, 0, Fds.length(fd))) {
      assertEquals(3 * 4096, raw.lengthBytes());
      segment.mark(64L * GRAIN, 1);
      assertEquals(1, Mem.getLong(raw.address() + 4096 + 8));
      segment.take(1);
      assertEquals(0, Mem.getLong(raw.address() + 4096 + 8));
      assertEquals(1, Mem.getLong(raw.address() + 8192 + 8));
    } finally {
      Fds.close(fd);
    }
  }

  /** Every range of a small disk, against a look at each grain. */
  @Test
  void shouldMarkTheGrainsThatARangeTouches() {
    final int grains = 200;
    create((long) grains * GRAIN, false);
    try (DirtySegment segment = DirtySegment.open(directory(), "d")) {
      for (int first = 0; first < grains; first++) {
        for (int last = first; last < grains; last += 1 + last % 7) {
          segment.mark(first * (long) GRAIN + GRAIN - 1, (last - first) * (long) GRAIN + 1);
          for (int word = 0; word < segment.wordCount(); word++) {
            long expected = 0;
            for (int bit = 0; bit < Long.SIZE; bit++) {
              final int grain = word * Long.SIZE + bit;
              expected |= grain >= first && grain <= last ? 1L << bit : 0;
            }
            assertEquals(expected, segment.take(word), first + ".." + last);
            segment.copied(word, -1);
          }
        }
      }
      assertEquals(0, segment.dirtyCount());
    }
  }

  @Test
  void shouldKeepWhatWasTakenUntilItIsCopied() {
    final Path path = create(10L * GRAIN, false);
    try (DirtySegment slave = DirtySegment.open(directory(), "d")) {
      slave.mark(0, 3L * GRAIN);
      try (DirtySegment client = DirtySegment.attach(path)) {
        assertEquals(0b111, client.take(0));
        client.copied(0, 0b010);
        slave.mark(GRAIN, 1);
      }
      // The client died, or so it looks.
      try (DirtySegment next = DirtySegment.attach(path)) {
        assertEquals(0b111, next.take(0));
        next.copied(0, 0b111);
        assertEquals(0, next.take(0));
      }
    }
  }

  @Test
  void shouldBelongToOneClientAtATime() {
    final Path path = create(GRAIN, false);
    try (DirtySegment client = DirtySegment.attach(path)) {
      final BadSegmentException refusal =
          assertThrows(BadSegmentException.class, () -> DirtySegment.attach(path));
      assertTrue(refusal.getMessage().contains("another process"), refusal.getMessage());
      assertEquals(0, client.dirtyCount());
    }
    DirtySegment.attach(path).close();
  }

  @Test
  void shouldCountEverythingAsChangedWhenNobodyKnows() {
    create(70L * GRAIN - 1, true);
    try (DirtySegment segment = DirtySegment.open(directory(), "d")) {
      assertEquals(70, segment.grainCount());
      assertEquals(70, segment.dirtyCount());
      assertTrue(segment.covers(70L * GRAIN));
      assertEquals(0b111111, segment.take(1));
    }
  }

  @Test
  void shouldRefuseASegmentThatDoesNotFitItself() {
    final Path path = create(10L * GRAIN, false);
    for (final long count : new long[] {0, -1, Long.MIN_VALUE, 1L << 40, Long.MAX_VALUE}) {
      store(path, DirtySegment.GRAIN_COUNT_OFFSET, count);
      assertThrows(BadSegmentException.class, () -> DirtySegment.open(directory(), "d"));
      assertThrows(BadSegmentException.class, () -> DirtySegment.attach(path));
    }
    store(path, DirtySegment.GRAIN_COUNT_OFFSET, 10);
    for (final int shift : new int[] {0, 11, 31, -1, 64}) {
      store(path, DirtySegment.GRAIN_SHIFT_OFFSET, shift);
      assertThrows(BadSegmentException.class, () -> DirtySegment.attach(path));
    }
    store(path, DirtySegment.GRAIN_SHIFT_OFFSET, GRAIN_SHIFT);
    DirtySegment.attach(path).close();
  }

  private static void store(final Path path, final int offset, final long value) {
    final int fd = Fds.open(path.toString(), Fds.O_RDWR, 0);
    try (Mapping raw = Mapping.map(fd, 0, Fds.length(fd))) {
      if (offset == DirtySegment.GRAIN_SHIFT_OFFSET) {
        Mem.putInt(raw.address() + offset, (int) value);
      } else {
        Mem.putLong(raw.address() + offset, value);
      }
    } finally {
      Fds.close(fd);
    }
  }
}
