package io.virtnvme.chaos;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairRequest;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;

/**
 * A secondary that writes blocks which carry their number and version, reads them back, and judges
 * what it finds and how often each request ends. One thread; {@link #main} is one in a process of
 * its own, to be killed.
 */
final class QpairLoad {
  static final int BLOCK_BYTES = 4096;
  static final int DEPTH = 32;
  static final long POOL_LENGTH = (long) DEPTH * BLOCK_BYTES;
  static final long LIMIT_NS = TimeUnit.SECONDS.toNanos(20);

  /** What {@link #main} says when requests complete. */
  static final String RUNNING = "running";

  private static final int WARM_UP_COUNT = 1000;

  private final SplittableRandom random = new SplittableRandom(1);
  private final QpairClient client;
  private final int firstBlock;
  private final long[] versions;
  private final boolean[] locked;
  private final int[] blocks = new int[DEPTH];
  private final boolean[] writes = new boolean[DEPTH];
  private final boolean[] busy = new boolean[DEPTH];
  private long endedCount;
  private int faultCount;

  /**
   * A load on blocks that hold zeroes and are nobody else's.
   *
   * @param client with {@link #DEPTH} requests and a pool of {@link #POOL_LENGTH}
   */
  QpairLoad(final QpairClient client, final int firstBlock, final int blockCount) {
    this.client = client;
    this.firstBlock = firstBlock;
    this.versions = new long[blockCount];
    this.locked = new boolean[blockCount];
  }

  /** Attaches with the lengths that a load needs. */
  static QpairClient attach(final Path socket, final boolean writeAccess) {
    return QpairClient.attach(socket, DEPTH + 1, POOL_LENGTH, writeAccess);
  }

  /** Runs for ever: {@code SOCKET FIRST_BLOCK BLOCK_COUNT}. */
  public static void main(final String[] arguments) {
    try (QpairClient client = attach(Path.of(arguments[0]), true)) {
      final QpairLoad load =
          new QpairLoad(client, Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
      load.run(WARM_UP_COUNT);
      System.out.println(RUNNING);
      System.out.flush();
      while (load.faultCount == 0) {
        load.run(WARM_UP_COUNT);
      }
    }
  }

  /** Faults found: a request that failed or ended twice, a word that was not written so. */
  int faultCount() {
    return faultCount;
  }

  /** Runs until so many more requests have ended. */
  void run(final int count) {
    final long end = endedCount + count;
    while (endedCount < end) {
      fill();
      take();
    }
  }

  /** Submits as many requests as may be in flight. */
  void fill() {
    for (int slot = 0; slot < DEPTH; slot++) {
      if (!busy[slot]) {
        submit(slot);
      }
    }
  }

  /** Waits for what is in flight, then reads every block. */
  void finish() {
    while (client.inFlightCount() > 0) {
      take();
    }
    for (int block = 0; block < versions.length; block++) {
      client.run(QpairRequest.READ, 0, (long) firstBlock + block, 1, 0, LIMIT_NS);
      judge(block, client.poolAddress());
    }
  }

  private void take() {
    if (!client.await(LIMIT_NS)) {
      throw new AssertionError("no completion: in flight=" + client.inFlightCount());
    }
    client.poll(this::onEnd, DEPTH);
  }

  private long buffer(final int slot) {
    return client.poolAddress() + (long) slot * BLOCK_BYTES;
  }

  private void submit(final int slot) {
    final int block = random.nextInt(versions.length);
    if (locked[block]) {
      return;
    }
    locked[block] = true;
    busy[slot] = true;
    blocks[slot] = block;
    writes[slot] = random.nextBoolean();
    for (int offset = 0; offset < BLOCK_BYTES; offset += Long.BYTES) {
      Mem.putLong(
          buffer(slot) + offset, writes[slot] ? stamp(block, versions[block] + 1, offset) : -1);
    }
    final int opcode = writes[slot] ? QpairRequest.WRITE : QpairRequest.READ;
    if (!client.submit(opcode, 0, slot, (long) firstBlock + block, 1, (long) slot * BLOCK_BYTES)) {
      throw new AssertionError("no room: in flight=" + client.inFlightCount());
    }
  }

  private long stamp(final int block, final long version, final int offset) {
    return version == 0 ? 0 : ((long) (firstBlock + block) << 40) ^ (version << 12) ^ offset;
  }

  private void onEnd(final int slot, final int errno) {
    if (errno != 0 || !busy[slot]) {
      faultCount++;
      return;
    }
    final int block = blocks[slot];
    if (writes[slot]) {
      versions[block]++;
    } else {
      judge(block, buffer(slot));
    }
    busy[slot] = false;
    locked[block] = false;
    endedCount++;
  }

  private void judge(final int block, final long address) {
    for (int offset = 0; offset < BLOCK_BYTES; offset += Long.BYTES) {
      faultCount += Mem.getLong(address + offset) == stamp(block, versions[block], offset) ? 0 : 1;
    }
  }
}
