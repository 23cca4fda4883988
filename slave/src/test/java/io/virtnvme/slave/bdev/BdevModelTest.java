package io.virtnvme.slave.bdev;

import static io.virtnvme.slave.bdev.BdevHarness.BLOCK_BYTES;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.ShrinkingMode;

/** Any sequence of operations leaves what it leaves in an array of bytes. */
class BdevModelTest {
  private static final int BLOCK_COUNT = 1024;
  private static final int SHIFT_MAX = 700;

  /**
   * @param shift bytes past the start of a page where the buffers begin
   * @param unit bytes that each iovec's length is a multiple of
   */
  record Step(
      int operation, int block, int blocks, int flags, int shift, int iovecs, int unit, int seed) {}

  @Provide
  Arbitrary<List<Step>> steps() {
    return Combinators.combine(
            Arbitraries.integers().between(BlockChannel.OP_READ, BlockChannel.OP_UNMAP),
            Arbitraries.integers().between(0, BLOCK_COUNT - 1),
            Arbitraries.integers().between(1, BLOCK_COUNT),
            Arbitraries.integers().between(0, 3),
            Arbitraries.of(0, 0, 0, BLOCK_BYTES, 1, 4, SHIFT_MAX),
            Arbitraries.integers().between(1, 40),
            Arbitraries.of(BLOCK_BYTES, BLOCK_BYTES, 1, 17),
            Arbitraries.integers())
        .as(BdevModelTest::step)
        .list()
        .ofMinSize(1)
        .ofMaxSize(30);
  }

  private static Step step(
      final int operation,
      final int block,
      final int blocks,
      final int flags,
      final int shift,
      final int iovecs,
      final int unit,
      final int seed) {
    return new Step(
        operation, block, Math.min(blocks, BLOCK_COUNT - block), flags, shift, iovecs, unit, seed);
  }

  @Property(tries = 60, shrinking = ShrinkingMode.BOUNDED)
  void shouldBehaveAsAnArrayOnAFileWithDirectIo(@ForAll("steps") final List<Step> steps)
      throws IOException {
    onFile(steps, true, false);
  }

  @Property(tries = 30, shrinking = ShrinkingMode.BOUNDED)
  void shouldBehaveAsAnArrayThroughThePageCache(@ForAll("steps") final List<Step> steps)
      throws IOException {
    onFile(steps, false, false);
  }

  @Property(tries = 30, shrinking = ShrinkingMode.BOUNDED)
  void shouldBehaveAsAnArrayWithoutFallocate(@ForAll("steps") final List<Step> steps)
      throws IOException {
    onFile(steps, true, true);
  }

  private static void onFile(
      final List<Step> steps, final boolean direct, final boolean withoutFallocate)
      throws IOException {
    final Path path = Files.createTempFile("virtnvme-bdev", ".img");
    try {
      BdevHarness.sparseFile(path, (long) BLOCK_COUNT * BLOCK_BYTES);
      final UringBdev bdev = UringBdev.open(BdevHarness.file(path), direct);
      if (withoutFallocate) {
        bdev.onPunchHoleMissing();
        bdev.onZeroRangeMissing();
      }
      try (BdevHarness harness = new BdevHarness(bdev)) {
        check(harness, steps, withoutFallocate);
      }
    } finally {
      Files.delete(path);
    }
  }

  @Property(tries = 60, shrinking = ShrinkingMode.BOUNDED)
  void shouldBehaveAsAnArrayInMemory(@ForAll("steps") final List<Step> steps) throws IOException {
    final Path folder = Files.createTempDirectory("virtnvme-bdev");
    final SegmentDirectory segments = BdevHarness.segments(folder);
    try {
      final BdevDescription description = BdevHarness.mem("m0", BLOCK_COUNT);
      MemDiskSegment.create(segments, "m0", description.lengthBytes()).close();
      try (BdevHarness harness = new BdevHarness(Bdevs.open(description, segments))) {
        check(harness, steps, false);
      }
    } finally {
      Files.deleteIfExists(segments.memDisk("m0"));
      Files.delete(folder);
    }
  }

  private static void check(
      final BdevHarness harness, final List<Step> steps, final boolean unmapKeeps) {
    final byte[] model = new byte[BLOCK_COUNT * BLOCK_BYTES];
    for (final Step step : steps) {
      final int offset = step.block() * BLOCK_BYTES;
      final int length = step.blocks() * BLOCK_BYTES;
      final int count = harness.scatter(step.shift(), length, step.iovecs(), step.unit());
      final byte[] content = new byte[length];
      new Random(step.seed()).nextBytes(content);
      harness.fillBuffer(step.shift(), content);
      final int result =
          harness.run(step.operation(), harness.iovecs(), count, offset, length, step.flags());
      assertEquals(0, result, step.toString());
      switch (step.operation()) {
        case BlockChannel.OP_READ ->
            assertArrayEquals(
                Arrays.copyOfRange(model, offset, offset + length),
                harness.bufferContent(step.shift(), length));
        case BlockChannel.OP_WRITE -> System.arraycopy(content, 0, model, offset, length);
        case BlockChannel.OP_WRITE_ZEROES -> Arrays.fill(model, offset, offset + length, (byte) 0);
        case BlockChannel.OP_UNMAP -> {
          if (!unmapKeeps) {
            Arrays.fill(model, offset, offset + length, (byte) 0);
          }
        }
        default -> {}
      }
    }
    assertArrayEquals(model, harness.read(0, model.length));
  }
}
