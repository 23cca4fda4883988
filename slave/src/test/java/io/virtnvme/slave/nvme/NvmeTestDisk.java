package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateLimits;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.ring.RingAgent;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A disk in private memory whose requests end at once, or when and in what order the test says.
 * Fails the test when it is asked for something a channel must never be asked.
 */
final class NvmeTestDisk implements BlockChannel, Bdev {
  record Held(
      int operation, long iovecs, int iovecCount, long offset, long length, int flags, long tag) {}

  private final RateLimits limits = new RateLimits();
  final long data;
  private final int blockBytes;
  private final List<Held> held = new ArrayList<>();
  private long lengthBytes;
  private int room = -1;
  private int refusals;
  private int nextError;
  private boolean fenced;
  int submitCount;
  int lastOperation = -1;
  int lastFlags;
  int lastIovecCount;
  long lastLength;

  NvmeTestDisk(final long lengthBytes, final int blockBytes) {
    this.lengthBytes = lengthBytes;
    this.blockBytes = blockBytes;
    this.data = Mem.allocate(lengthBytes);
  }

  @Override
  public RateLimits limits() {
    return limits;
  }

  /** Requests are held until {@link #finish}, at most so many; -1 ends them at once. */
  void room(final int requestCount) {
    room = requestCount;
  }

  void refuseNext(final int count) {
    refusals = count;
  }

  void failNext(final int error) {
    nextError = error;
  }

  void fence(final boolean closed) {
    fenced = closed;
  }

  void shrink(final long newLengthBytes) {
    lengthBytes = newLengthBytes;
  }

  int heldCount() {
    return held.size();
  }

  @Override
  public int submit(
      final int operation,
      final long iovecs,
      final int iovecCount,
      final long offsetBytes,
      final long length,
      final int flags,
      final long tag) {
    check(operation, iovecs, iovecCount, offsetBytes, length);
    submitCount++;
    if (refusals > 0) {
      refusals--;
      return RETRY;
    }
    lastOperation = operation;
    lastFlags = flags;
    lastIovecCount = iovecCount;
    lastLength = length;
    if (nextError != 0) {
      final int error = nextError;
      nextError = 0;
      return error;
    }
    if (room < 0) {
      carryOut(operation, iovecs, iovecCount, offsetBytes);
      if (operation == OP_WRITE_ZEROES || operation == OP_UNMAP) {
        Mem.fill(data + offsetBytes, length, (byte) 0);
      }
      return DONE;
    }
    if (held.size() >= room) {
      return RETRY;
    }
    for (final Held other : held) {
      if (other.tag == tag) {
        throw new AssertionError("submitted while held: tag=" + tag);
      }
    }
    held.add(new Held(operation, iovecs, iovecCount, offsetBytes, length, flags, tag));
    return PENDING;
  }

  private void check(
      final int operation,
      final long iovecs,
      final int iovecCount,
      final long offsetBytes,
      final long length) {
    if (offsetBytes < 0 || length < 0 || offsetBytes + length > lengthBytes) {
      throw new AssertionError("out of range: offset=" + offsetBytes + " length=" + length);
    }
    if ((offsetBytes | length) % blockBytes != 0) {
      throw new AssertionError("not aligned: offset=" + offsetBytes + " length=" + length);
    }
    long sum = 0;
    for (int i = 0; i < iovecCount; i++) {
      sum += Mem.getLong(iovecs + i * 16L + 8);
    }
    if (operation <= OP_WRITE && sum != length) {
      throw new AssertionError("iovecs=" + sum + " bytes, length=" + length);
    }
  }

  private void carryOut(
      final int operation, final long iovecs, final int iovecCount, final long offsetBytes) {
    long at = data + offsetBytes;
    for (int i = 0; i < iovecCount && operation <= OP_WRITE; i++) {
      final long base = Mem.getLong(iovecs + i * 16L);
      final long bytes = Mem.getLong(iovecs + i * 16L + 8);
      if (operation == OP_READ) {
        Mem.copy(at, base, bytes);
      } else {
        Mem.copy(base, at, bytes);
      }
      at += bytes;
    }
  }

  private void carryOut(final Held request) {
    carryOut(request.operation, request.iovecs, request.iovecCount, request.offset);
    if (request.operation == OP_WRITE_ZEROES || request.operation == OP_UNMAP) {
      Mem.fill(data + request.offset, request.length, (byte) 0);
    }
  }

  /** Ends one held request, any of them. */
  void finish(final Random random, final RingAgent agent, final int result) {
    final Held request = held.remove(random.nextInt(held.size()));
    if (result == 0) {
      carryOut(request);
    }
    agent.onIoEnd((int) request.tag, result);
  }

  /** The process that asked is gone: each held request has happened or not, and nobody hears. */
  void die(final Random random) {
    for (final Held request : held) {
      if (random.nextBoolean()) {
        carryOut(request);
      }
    }
    held.clear();
  }

  @Override
  public long lengthBytes() {
    return lengthBytes;
  }

  @Override
  public int blockBytes() {
    return blockBytes;
  }

  @Override
  public BdevDescription description() {
    return new BdevDescription(
        "d", BdevDescription.Kind.MEM, blockBytes, lengthBytes / blockBytes, "", false, "d");
  }

  @Override
  public boolean needsFence() {
    return fenced;
  }

  @Override
  public boolean tryFence() {
    return !fenced;
  }

  @Override
  public BlockChannel channel(final ReactorIo io) {
    return this;
  }

  @Override
  public void resize(final long blockCount) {}

  @Override
  public void close() {
    Mem.free(data);
  }
}
