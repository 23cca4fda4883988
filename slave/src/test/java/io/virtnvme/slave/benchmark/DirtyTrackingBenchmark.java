package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.UringReactorIo;
import java.io.IOException;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/** What marking costs a write of 4 KiB to a memory disk: the device's part of the request. */
public class DirtyTrackingBenchmark extends DataPathBenchmark {
  private static final int OPERATIONS = 128;

  /** Whether and how changes are marked. */
  public enum Marks {
    OFF,
    /** Almost every mark is there already. */
    KEPT,
    /** A client takes all of them after each 128 writes, so that most writes make theirs. */
    TAKEN
  }

  /** How. */
  @Param public Marks marks;

  private final SplittableRandom random = new SplittableRandom(1);
  private final UringReactorIo io = new UringReactorIo();
  private final long[] offsets = new long[OPERATIONS];
  private SharedMemory buffers;
  private SharedMemory iovecs;
  private BenchmarkDisk disk;
  private BlockChannel channel;
  private DirtySegment dirty;

  /** Opens the disk and writes every block once. */
  @Setup
  public void open() throws IOException {
    disk = new BenchmarkDisk(BdevDescription.Kind.MEM);
    buffers = new SharedMemory((long) OPERATIONS * Guest.REQUEST_BYTES);
    iovecs = new SharedMemory(OPERATIONS * 2L * Long.BYTES);
    for (int i = 0; i < OPERATIONS; i++) {
      final long iovec = iovecs.address() + i * 2L * Long.BYTES;
      Mem.putLong(iovec, buffers.address() + (long) i * Guest.REQUEST_BYTES);
      Mem.putLong(iovec + Long.BYTES, Guest.REQUEST_BYTES);
    }
    channel = disk.bdev().channel(io);
    for (long block = 0; block < BenchmarkDisk.BLOCK_COUNT; block++) {
      write(0, block * Guest.REQUEST_BYTES);
    }
    if (marks != Marks.OFF) {
      dirty = disk.track();
    }
  }

  /** Ends everything. */
  @TearDown
  public void close() throws IOException {
    disk.close();
    io.close();
    buffers.close();
    iovecs.close();
  }

  /** Not measured. */
  @Setup(Level.Invocation)
  public void before() {
    for (int i = 0; i < OPERATIONS; i++) {
      offsets[i] = random.nextLong(BenchmarkDisk.BLOCK_COUNT) * Guest.REQUEST_BYTES;
    }
    for (int word = 0; marks == Marks.TAKEN && word < dirty.wordCount(); word++) {
      dirty.copied(word, dirty.take(word));
    }
  }

  private int write(final int slot, final long offsetBytes) {
    return channel.submit(
        BlockChannel.OP_WRITE,
        iovecs.address() + slot * 2L * Long.BYTES,
        1,
        offsetBytes,
        Guest.REQUEST_BYTES,
        0,
        slot);
  }

  /** Random blocks. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public int write() {
    int sum = 0;
    for (int i = 0; i < OPERATIONS; i++) {
      sum += write(i, offsets[i]);
    }
    return sum;
  }
}
