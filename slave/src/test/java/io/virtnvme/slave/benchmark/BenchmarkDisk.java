package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.Bdevs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A null or memory disk as the product opens it, larger than any cache. */
final class BenchmarkDisk implements AutoCloseable {
  static final long BLOCK_COUNT = 65_536;

  private static final String NAME = "benchmark";

  private final SegmentDirectory segments;
  private final Bdev bdev;

  BenchmarkDisk(final BdevDescription.Kind kind) throws IOException {
    final Path folder = Files.createTempDirectory(Path.of("/dev/shm"), "virtnvme-benchmark");
    segments = new SegmentDirectory(folder, 1, BootId.current());
    if (kind == BdevDescription.Kind.MEM) {
      MemDiskSegment.create(segments, NAME, BLOCK_COUNT * Guest.REQUEST_BYTES).close();
    }
    bdev =
        Bdevs.open(
            new BdevDescription(
                NAME, kind, Guest.REQUEST_BYTES, BLOCK_COUNT, "", false, "benchmark"),
            segments);
  }

  /** Has changes marked from now on. */
  DirtySegment track() {
    DirtySegment.create(segments, NAME, BLOCK_COUNT * Guest.REQUEST_BYTES, 16, false);
    final DirtySegment marks = DirtySegment.open(segments, NAME);
    bdev.tracking().set(marks);
    return marks;
  }

  Bdev bdev() {
    return bdev;
  }

  @Override
  public void close() throws IOException {
    bdev.close();
    Files.deleteIfExists(segments.memDisk(NAME));
    Files.deleteIfExists(segments.dirty(NAME));
    Files.delete(segments.path());
  }
}
