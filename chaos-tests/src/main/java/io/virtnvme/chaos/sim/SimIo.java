package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * The way of one reactor to the disk. Like a submission ring: what was submitted goes to the kernel
 * with the next poll, and dies with the slave before that.
 */
final class SimIo implements ReactorIo {
  private static final int IOVEC_LENGTH = 2 * Long.BYTES;

  private record End(long tag, int result) {}

  private final World world;
  private final SimSlave slave;
  private final Deque<SimDisk.Request> submitted = new ArrayDeque<>();
  private final Deque<End> ended = new ArrayDeque<>();
  private int inFlightCount;

  SimIo(final World world, final SimSlave slave) {
    this.world = world;
    this.slave = slave;
  }

  SimSlave slave() {
    return slave;
  }

  /** The disk tells of the end of a request; the result is as of a channel. */
  void ended(final long tag, final int result) {
    ended.add(new End(tag, result));
  }

  @Override
  public int poll(final Listener listener, final int limit) {
    while (!submitted.isEmpty()) {
      world.disk().accept(submitted.remove());
    }
    int count = 0;
    while (count < limit && !ended.isEmpty()) {
      inFlightCount--;
      final End end = ended.remove();
      listener.onIoEnd(end.tag, end.result);
      count++;
    }
    return count;
  }

  @Override
  public int inFlightCount() {
    return inFlightCount;
  }

  @Override
  public int fd() {
    return -1;
  }

  @Override
  public void close() {
    submitted.clear();
  }

  /** The disk as a slave opens it. */
  static final class OpenDisk implements Bdev {
    private final World world;
    private final SimSlave slave;

    OpenDisk(final World world, final SimSlave slave) {
      this.world = world;
      this.slave = slave;
    }

    @Override
    public BdevDescription description() {
      return new BdevDescription(
          "disk",
          BdevDescription.Kind.NULL,
          SimDisk.SECTOR_BYTES,
          SimDisk.SECTOR_COUNT,
          "",
          false,
          "s");
    }

    @Override
    public boolean needsFence() {
      return world.plan().kernelDisk();
    }

    @Override
    public boolean tryFence() {
      return world.disk().tryFence(slave);
    }

    @Override
    public BlockChannel channel(final ReactorIo io) {
      return new Channel(world, (SimIo) io);
    }

    @Override
    public void resize(final long blockCount) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
  }

  private static final class Channel implements BlockChannel {
    private final World world;
    private final SimIo io;

    Channel(final World world, final SimIo io) {
      this.world = world;
      this.io = io;
    }

    @Override
    public int submit(
        final int operation,
        final long iovecs,
        final int iovecCount,
        final long offsetBytes,
        final long lengthBytes,
        final int flags,
        final long tag) {
      if (io.inFlightCount >= world.disk().room()) {
        return RETRY;
      }
      final long[] bases = new long[iovecCount];
      final long[] lengths = new long[iovecCount];
      long sum = 0;
      for (int i = 0; i < iovecCount; i++) {
        bases[i] = Mem.getLong(iovecs + (long) i * IOVEC_LENGTH);
        lengths[i] = Mem.getLong(iovecs + (long) i * IOVEC_LENGTH + Long.BYTES);
        sum += lengths[i];
      }
      if ((operation == OP_READ || operation == OP_WRITE) && sum != lengthBytes) {
        throw new Violation("iovecs hold " + sum + " bytes of " + lengthBytes);
      }
      world.machine().onSubmit(io.slave.number(), operation, offsetBytes, lengthBytes);
      if (!world.plan().kernelDisk()) {
        world.disk().transfer(operation, bases, lengths, offsetBytes, lengthBytes, lengthBytes);
        return DONE;
      }
      io.inFlightCount++;
      io.submitted.add(
          new SimDisk.Request(io, operation, bases, lengths, offsetBytes, lengthBytes, tag));
      return PENDING;
    }

    @Override
    public long lengthBytes() {
      return (long) SimDisk.SECTOR_COUNT * SimDisk.SECTOR_BYTES;
    }

    @Override
    public int blockBytes() {
      return SimDisk.SECTOR_BYTES;
    }
  }
}
