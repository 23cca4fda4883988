package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.slave.bdev.BlockChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * The disk and the kernel in front of it: ends requests in any order, when chance says so, those of
 * dead slaves too; and the lock that a successor waits for.
 */
final class SimDisk implements AutoCloseable {
  static final int SECTOR_BYTES = 1 << BlkRequest.SECTOR_SHIFT;
  static final int SECTOR_COUNT = 128;
  private static final int ROOM = 64;
  private static final int ERROR_PERIOD = 20;

  /** A request that the kernel has. */
  static final class Request {
    final SimIo io;
    final int operation;
    final long[] bases;
    final long[] lengths;
    final long offset;
    final long lengthBytes;
    final long tag;

    Request(
        final SimIo io,
        final int operation,
        final long[] bases,
        final long[] lengths,
        final long offset,
        final long lengthBytes,
        final long tag) {
      this.io = io;
      this.operation = operation;
      this.bases = bases;
      this.lengths = lengths;
      this.offset = offset;
      this.lengthBytes = lengthBytes;
      this.tag = tag;
    }
  }

  private final World world;
  private final SplittableRandom random;
  private final long data = Mem.allocate((long) SECTOR_COUNT * SECTOR_BYTES);
  private final List<Request> held = new ArrayList<>();
  private SimSlave holder;
  private int newestTurn;
  private int slowUntil;
  private int smallUntil;

  SimDisk(final World world, final SplittableRandom random) {
    this.world = world;
    this.random = random;
  }

  void slowUntil(final int step) {
    slowUntil = step;
  }

  void smallUntil(final int step) {
    smallUntil = step;
  }

  /** How many requests one reactor may have in it. */
  int room() {
    return world.step() < smallUntil ? 1 : ROOM;
  }

  /** As flock on the open file description: free when the last request of a dead holder ended. */
  boolean tryFence(final SimSlave slave) {
    for (final Request request : held) {
      if (request.io.slave() != slave) {
        return false;
      }
    }
    if (holder != null && holder != slave && !holder.isDead()) {
      return false;
    }
    if (holder != slave) {
      world.trace().note("fence", slave.number());
    }
    holder = slave;
    return true;
  }

  /** A slave hands a request to the kernel. */
  void accept(final Request request) {
    newestTurn = Math.max(newestTurn, request.io.slave().turn());
    held.add(request);
  }

  /** Ends one request, perhaps. */
  void step() {
    if (held.isEmpty() || world.step() < slowUntil) {
      return;
    }
    final Request request = held.remove(random.nextInt(held.size()));
    final SimSlave slave = request.io.slave();
    if (slave.isDead()) {
      if (slave.turn() < newestTurn) {
        throw new Violation(
            "a request of dead slave "
                + slave.number()
                + " was still running when a later owner had begun: offset="
                + request.offset);
      }
      // The kernel may have cancelled it, at any point.
      final int part = random.nextInt(4);
      carryOut(request, part == 0 ? 0 : part == 1 ? request.lengthBytes / 2 : request.lengthBytes);
      world.trace().note("late", slave.number(), request.offset, part);
      if (!holdsRequestOf(slave)) {
        slave.release();
      }
      return;
    }
    if (isBad()) {
      fail(request);
      return;
    }
    carryOut(request, request.lengthBytes);
    world.trace().note("io", request.operation, request.offset, request.lengthBytes);
    request.io.ended(request.tag, BlockChannel.DONE);
  }

  private boolean isBad() {
    return world.plan().nvme() != null
        && world.plan().nvme().allKinds()
        && world.step() < world.plan().stepCount()
        && random.nextInt(ERROR_PERIOD) == 0;
  }

  /** An error says nothing of how far the request came. */
  private void fail(final Request request) {
    carryOut(request, random.nextInt(3) * request.lengthBytes / 2);
    world.trace().note("io error", request.operation, request.offset, request.lengthBytes);
    world.machine().onIoError(request.operation, request.offset, request.lengthBytes);
    request.io.ended(request.tag, -Errno.EIO);
  }

  /** Whether the kernel has such a request, whoever handed it over. */
  boolean holds(final int operation, final long offset, final long lengthBytes) {
    return held.stream()
        .anyMatch(
            request ->
                request.operation == operation
                    && request.offset == offset
                    && request.lengthBytes == lengthBytes);
  }

  boolean holdsRequestOf(final SimSlave slave) {
    return held.stream().anyMatch(request -> request.io.slave() == slave);
  }

  private void carryOut(final Request request, final long limitBytes) {
    transfer(
        request.operation, request.bases, request.lengths, request.offset, limitBytes, limitBytes);
  }

  /** Moves or clears bytes; through {@link Mem}, so that a slave that copies can die over it. */
  void transfer(
      final int operation,
      final long[] bases,
      final long[] lengths,
      final long offset,
      final long lengthBytes,
      final long limitBytes) {
    long position = data + offset;
    long left = limitBytes;
    switch (operation) {
      case BlockChannel.OP_READ, BlockChannel.OP_WRITE -> {
        for (int i = 0; i < bases.length && left > 0; i++) {
          final long part = Math.min(left, lengths[i]);
          if (operation == BlockChannel.OP_READ) {
            Mem.copy(position, bases[i], part);
          } else {
            Mem.copy(bases[i], position, part);
          }
          position += part;
          left -= part;
        }
      }
      case BlockChannel.OP_WRITE_ZEROES, BlockChannel.OP_UNMAP ->
          Mem.fill(position, Math.min(left, lengthBytes), (byte) 0);
      default -> {}
    }
  }

  /** Address of a sector's bytes. */
  long sector(final int sector) {
    return data + (long) sector * SECTOR_BYTES;
  }

  /** Nothing runs any more. */
  void drop() {
    held.clear();
  }

  @Override
  public void close() {
    Mem.free(data);
  }
}
