package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateLimits;
import io.virtnvme.slave.bdev.ReactorIo;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A disk in private memory whose requests end at once, or when and in what order the test says.
 * Fails the test when it is asked for something a channel must never be asked.
 */
final class TestDisk implements BlockChannel, Bdev {
  private record Held(
      int operation, long iovecs, int iovecCount, long offset, long length, int flags, long tag) {}

  private final RateLimits limits = new RateLimits();
  private final long data;
  private final int blockBytes;
  private final List<Held> held = new ArrayList<>();
  private long lengthBytes;
  private GuestMemory memory;
  private boolean synchronous = true;
  private int roomCount = Integer.MAX_VALUE;
  private int nextError;
  private int refusals;
  private Runnable beforeAccept = () -> {};
  private Runnable afterAccept = () -> {};
  int submitCount;
  int lastFlags;
  int lastOperation = -1;
  int lastIovecCount;

  TestDisk(final long lengthBytes, final int blockBytes) {
    this.lengthBytes = lengthBytes;
    this.blockBytes = blockBytes;
    this.data = Mem.allocate(lengthBytes);
  }

  /** Checks that every buffer lies in this memory from now on. */
  void guestMemory(final GuestMemory newMemory) {
    memory = newMemory;
  }

  /** Requests are held until {@link #finish}; at most {@code room} of them. */
  void asynchronous(final int room) {
    synchronous = false;
    roomCount = room;
  }

  void synchronous() {
    synchronous = true;
  }

  void room(final int room) {
    roomCount = room;
  }

  void failNext(final int error) {
    nextError = error;
  }

  /** Answers RETRY so many times. */
  void refuseNext(final int count) {
    refusals = count;
  }

  /** Runs code inside submit: before the request is the channel's, and after. */
  void hooks(final Runnable before, final Runnable after) {
    beforeAccept = before;
    afterAccept = after;
  }

  int heldCount() {
    return held.size();
  }

  @Override
  public RateLimits limits() {
    return limits;
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
    beforeAccept.run();
    submitCount++;
    lastFlags = flags;
    lastOperation = operation;
    lastIovecCount = iovecCount;
    if (nextError != 0) {
      final int error = nextError;
      nextError = 0;
      return error;
    }
    if (refusals > 0) {
      refusals--;
      return RETRY;
    }
    if (synchronous) {
      carryOut(operation, iovecs, iovecCount, offsetBytes, length);
      afterAccept.run();
      return DONE;
    }
    if (held.size() >= roomCount) {
      return RETRY;
    }
    final Held request = new Held(operation, iovecs, iovecCount, offsetBytes, length, flags, tag);
    for (final Held other : held) {
      if (other.tag == tag) {
        throw new AssertionError("submitted while held: tag=" + tag);
      }
    }
    held.add(request);
    afterAccept.run();
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
      final long base = Mem.getLong(iovecs + i * 16L);
      final long bytes = Mem.getLong(iovecs + i * 16L + 8);
      sum += bytes;
      checkBuffer(base, bytes);
    }
    if ((operation == OP_READ || operation == OP_WRITE) && sum != length) {
      throw new AssertionError("iovecs hold " + sum + " bytes of " + length);
    }
  }

  private void checkBuffer(final long base, final long bytes) {
    if (memory == null) {
      return;
    }
    final long guest = memory.guestAddressOf(base);
    if (guest == -1 || memory.translate(guest, bytes) != base) {
      throw new AssertionError("buffer outside guest memory: bytes=" + bytes);
    }
  }

  private void carryOut(final Held request) {
    carryOut(request.operation, request.iovecs, request.iovecCount, request.offset, request.length);
  }

  private void carryOut(
      final int operation,
      final long iovecs,
      final int iovecCount,
      final long offset,
      final long length) {
    long position = data + offset;
    switch (operation) {
      case OP_READ, OP_WRITE -> {
        for (int i = 0; i < iovecCount; i++) {
          final long base = Mem.getLong(iovecs + i * 16L);
          final long bytes = Mem.getLong(iovecs + i * 16L + 8);
          if (operation == OP_READ) {
            Mem.copy(position, base, bytes);
          } else {
            Mem.copy(base, position, bytes);
          }
          position += bytes;
        }
      }
      case OP_WRITE_ZEROES, OP_UNMAP -> Mem.fill(position, length, (byte) 0);
      default -> {}
    }
  }

  /** Ends one held request, chosen at random. */
  void finish(final Random random, final VirtqueueAgent agent, final int result) {
    final Held request = held.remove(random.nextInt(held.size()));
    if (result == 0) {
      carryOut(request);
    }
    agent.onIoEnd((int) request.tag, result);
  }

  /** Ends one held request and loses its end. */
  void loseOne() {
    carryOut(held.remove(0));
  }

  /** What a fence waits for: each held request is carried out or not, and nobody hears of it. */
  void die(final Random random) {
    for (final Held request : held) {
      if (random.nextBoolean()) {
        carryOut(request);
      }
    }
    held.clear();
  }

  byte[] bytes(final long offset, final int length) {
    final byte[] copy = new byte[length];
    Mem.copyOut(data + offset, copy, 0, length);
    return copy;
  }

  void fill(final long offset, final int length, final byte value) {
    Mem.fill(data + offset, length, value);
  }

  @Override
  public long lengthBytes() {
    return lengthBytes;
  }

  void shrinkTo(final long newLengthBytes) {
    lengthBytes = newLengthBytes;
  }

  @Override
  public int blockBytes() {
    return blockBytes;
  }

  @Override
  public BdevDescription description() {
    return new BdevDescription(
        "test", BdevDescription.Kind.NULL, blockBytes, lengthBytes / blockBytes, "", false, "s");
  }

  @Override
  public boolean needsFence() {
    return !synchronous;
  }

  @Override
  public boolean tryFence() {
    return true;
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
