package io.virtnvme.slave.bdev;

import static io.virtnvme.slave.bdev.BdevHarness.BLOCK_BYTES;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What channels mark, and when. */
class DirtyMarksTest {
  private static final int GRAIN = 1 << 12;
  private static final int DISK_BYTES = 4 << 20;

  @TempDir private Path folder;

  private SegmentDirectory segments;
  private DirtySegment dirty;

  private BdevHarness open(final String kind) throws IOException {
    segments = BdevHarness.segments(folder);
    final BdevHarness harness;
    if (kind.equals("mem")) {
      MemDiskSegment.create(segments, "d", DISK_BYTES).close();
      harness =
          new BdevHarness(Bdevs.open(BdevHarness.mem("d", DISK_BYTES / BLOCK_BYTES), segments));
    } else {
      final Path file = BdevHarness.sparseFile(folder.resolve("disk"), DISK_BYTES);
      harness = new BdevHarness(Bdevs.open(BdevHarness.file(file), segments));
    }
    DirtySegment.create(segments, "d", DISK_BYTES, 12, false);
    dirty = DirtySegment.open(segments, "d");
    assertNull(harness.bdev().tracking().set(DirtySegment.open(segments, "d")));
    return harness;
  }

  @AfterEach
  void tearDown() {
    Mem.listener(null);
    if (dirty != null) {
      dirty.close();
    }
  }

  private void assertMarks(final long expected) {
    assertEquals(Long.toBinaryString(expected), Long.toBinaryString(dirty.take(0)));
    dirty.copied(0, -1);
    assertEquals(0, dirty.dirtyCount());
  }

  @ParameterizedTest
  @ValueSource(strings = {"mem", "uring"})
  void shouldMarkWhatChangesAndNothingElse(final String kind) throws IOException {
    try (BdevHarness harness = open(kind)) {
      harness.read(0, 8 * GRAIN);
      assertEquals(0, harness.run(BlockChannel.OP_FLUSH, 0, 0, 0, 0, 0));
      assertMarks(0);
      assertEquals(0, harness.write(GRAIN + BLOCK_BYTES, new byte[BLOCK_BYTES]));
      assertMarks(0b10);
      assertEquals(0, harness.write(2 * GRAIN - BLOCK_BYTES, new byte[2 * BLOCK_BYTES]));
      assertMarks(0b110);
      assertEquals(0, harness.run(BlockChannel.OP_WRITE_ZEROES, 0, 0, 3 * GRAIN, 2 * GRAIN, 0));
      assertMarks(0b11000);
      assertEquals(0, harness.run(BlockChannel.OP_UNMAP, 0, 0, 5 * GRAIN, GRAIN, 0));
      assertMarks(0b100000);
      // Outside the disk: refused before anything is marked.
      assertTrue(harness.write(DISK_BYTES, new byte[BLOCK_BYTES]) < 0);
      assertMarks(0);
      final DirtySegment last = harness.bdev().tracking().set(null);
      assertEquals(0, harness.write(0, new byte[BLOCK_BYTES]));
      assertMarks(0);
      last.close();
    }
  }

  /** On a memory disk the data is stored by this thread: the moment before it can be seen. */
  @Test
  void shouldMarkBeforeDataIsStoredAndAgainAfterwards() throws IOException {
    try (BdevHarness harness = open("mem")) {
      final long[] marksAtStore = {0, 0};
      harness.fillBuffer(0, new byte[GRAIN]);
      harness.single(0, GRAIN);
      Mem.listener(
          (address, lengthBytes) -> {
            if (lengthBytes == GRAIN) {
              // A client takes the mark and reads what is there before the data is.
              Mem.listener(null);
              marksAtStore[0] = dirty.take(0);
              dirty.copied(0, -1);
              marksAtStore[1]++;
            }
          });
      assertEquals(0, harness.run(BlockChannel.OP_WRITE, harness.iovecs(), 1, GRAIN, GRAIN, 0));
      assertEquals(1, marksAtStore[1]);
      assertEquals(0b10, marksAtStore[0]);
      assertMarks(0b10);
    }
  }

  /** The request runs; a client takes the mark meanwhile. */
  @ParameterizedTest
  @ValueSource(strings = {"mem", "uring"})
  void shouldMarkAgainWhenARequestEndsThatRanForAWhile(final String kind) throws IOException {
    try (BdevHarness harness = open(kind)) {
      final int zeroes = 2 * ZeroFills.SLICE_BYTES;
      final long grains = zeroes / GRAIN;
      assertEquals(
          BlockChannel.PENDING,
          harness.channel().submit(BlockChannel.OP_WRITE_ZEROES, 0, 0, 0, zeroes, 0, 9));
      assertEquals(grains, dirty.dirtyCount());
      clear();
      final long[] marksAtEnd = {-1};
      while (marksAtEnd[0] < 0) {
        harness.io().poll((tag, result) -> marksAtEnd[0] = dirty.dirtyCount(), 1);
      }
      assertEquals(grains, marksAtEnd[0], "before anybody is told of the end");
    }
  }

  private void clear() {
    for (int word = 0; word < dirty.wordCount(); word++) {
      dirty.copied(word, dirty.take(word));
    }
  }

  /** A memory fault makes reactors forget requests that the kernel goes on with. */
  @Test
  void shouldMarkAgainWhatEndsInARecovery() throws IOException {
    try (BdevHarness harness = open("uring")) {
      harness.fillBuffer(0, new byte[GRAIN]);
      assertEquals(
          BlockChannel.PENDING,
          harness
              .channel()
              .submit(BlockChannel.OP_WRITE, harness.single(0, GRAIN), 1, 0, GRAIN, 0, 9));
      // To the kernel, and no end taken.
      harness.io().poll((tag, result) -> {}, 0);
      harness.io().recover();
      clear();
      final int[] ends = {0};
      while (harness.io().inFlightCount() > 0) {
        harness.io().poll((tag, result) -> ends[0]++, 1);
      }
      assertEquals(1, ends[0]);
      assertMarks(1);
    }
  }
}
