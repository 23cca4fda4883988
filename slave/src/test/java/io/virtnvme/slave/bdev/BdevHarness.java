package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** Drives a bdev as a reactor does, on the calling thread, one request at a time. */
final class BdevHarness implements AutoCloseable {
  static final int BLOCK_BYTES = 512;
  private static final int BUFFER_BYTES = 8 * 1024 * 1024;
  private static final int IOVECS_MAX = 4096;
  private static final int PAGE_BYTES = 4096;

  private final Bdev bdev;
  private final UringReactorIo io = new UringReactorIo();
  private final BlockChannel channel;
  private final long memory = Mem.allocate(BUFFER_BYTES + 2 * PAGE_BYTES);
  private final long buffer = (memory + PAGE_BYTES - 1) & -PAGE_BYTES;
  private final long iovecs = Mem.allocate((long) IOVECS_MAX * Iovecs.ENTRY_LENGTH);
  private long endedTag;
  private int endedResult;

  BdevHarness(final Bdev bdev) {
    this.bdev = bdev;
    this.channel = bdev.channel(io);
  }

  static BdevDescription file(final Path path) {
    return new BdevDescription(
        "file0", BdevDescription.Kind.URING, BLOCK_BYTES, 0, path.toString(), false, "serial");
  }

  static BdevDescription mem(final String name, final long blockCount) {
    return new BdevDescription(
        name, BdevDescription.Kind.MEM, BLOCK_BYTES, blockCount, "", false, "serial");
  }

  static SegmentDirectory segments(final Path path) {
    return new SegmentDirectory(path, 42, BootId.current());
  }

  static Path sparseFile(final Path path, final long lengthBytes) throws IOException {
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(lengthBytes);
    }
    return path;
  }

  Bdev bdev() {
    return bdev;
  }

  BlockChannel channel() {
    return channel;
  }

  UringReactorIo io() {
    return io;
  }

  /** Page-aligned scratch memory. */
  long buffer() {
    return buffer;
  }

  long iovecs() {
    return iovecs;
  }

  /** One iovec over the scratch memory, {@code shift} bytes past the start of a page. */
  long single(final int shift, final long lengthBytes) {
    Iovecs.put(iovecs, buffer + shift, lengthBytes);
    return iovecs;
  }

  /**
   * Cuts {@code lengthBytes} of scratch memory into {@code count} iovecs of about the same length.
   *
   * @param unit each length but the last is a multiple of this
   */
  int scatter(final int shift, final int lengthBytes, final int count, final int unit) {
    final int share = Math.max(unit, lengthBytes / count / unit * unit);
    int used = 0;
    int i = 0;
    while (used < lengthBytes) {
      final int length = i == count - 1 ? lengthBytes - used : Math.min(share, lengthBytes - used);
      Iovecs.put(Iovecs.at(iovecs, i), buffer + shift + used, length);
      used += length;
      i++;
    }
    return i;
  }

  void fillBuffer(final int shift, final byte[] content) {
    Mem.copyIn(content, 0, buffer + shift, content.length);
  }

  byte[] bufferContent(final int shift, final int lengthBytes) {
    final byte[] content = new byte[lengthBytes];
    Mem.copyOut(buffer + shift, content, 0, lengthBytes);
    return content;
  }

  int write(final long offsetBytes, final byte[] content) {
    fillBuffer(0, content);
    return run(BlockChannel.OP_WRITE, single(0, content.length), 1, offsetBytes, content.length, 0);
  }

  byte[] read(final long offsetBytes, final int lengthBytes) {
    final int result =
        run(BlockChannel.OP_READ, single(0, lengthBytes), 1, offsetBytes, lengthBytes, 0);
    if (result != 0) {
      throw new AssertionError("read failed: " + result);
    }
    return bufferContent(0, lengthBytes);
  }

  int run(
      final int operation,
      final long requestIovecs,
      final int iovecCount,
      final long offsetBytes,
      final long lengthBytes,
      final int flags) {
    final long tag = System.nanoTime();
    final int started =
        channel.submit(operation, requestIovecs, iovecCount, offsetBytes, lengthBytes, flags, tag);
    if (started != BlockChannel.PENDING) {
      return started;
    }
    endedTag = 0;
    final long deadlineNs = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (endedTag != tag) {
      io.poll(this::onEnd, 32);
      if (System.nanoTime() > deadlineNs) {
        throw new AssertionError("no end of operation " + operation + " after 30 s");
      }
    }
    return endedResult;
  }

  private void onEnd(final long tag, final int result) {
    endedTag = tag;
    endedResult = result;
  }

  @Override
  public void close() {
    io.close();
    bdev.close();
    Mem.free(memory);
    Mem.free(iovecs);
  }
}
