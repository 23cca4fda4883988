package io.virtnvme.tools.bench;

import io.virtnvme.ipc.disk.DiskQueue;
import io.virtnvme.ipc.virtio.BlkRequest;
import org.HdrHistogram.Histogram;

/**
 * Loads one queue and measures. Without a rate it keeps the queue at its depth: each request that
 * completes is followed by another one. With a rate requests become due at fixed times, and the
 * depth is how many of them may be in flight. One polling thread; nothing allocates while it runs,
 * and no byte of data is looked at.
 *
 * <p>A latency runs from the time stamp before a request is built to the one after its completion
 * was seen, one stamp per batch: what the client itself needs is in it. With a rate it begins when
 * the request was due, so one that waits because others stall counts that time as well.
 */
final class LoadLoop {
  /** Wakes the back-end. */
  interface Kick {
    void kick();
  }

  /** Tells whether waiting still makes sense; throws {@link BenchException} if not. */
  interface StallCheck {
    void check(long stalledNs, int inFlightCount);
  }

  /** Completions taken before the requests that follow them are published. */
  private static final int BATCH_MAX = 32;

  private static final long LATENCY_MAX_NS = 60_000_000_000L;

  /** Empty polls between two looks at the clock. */
  private static final int IDLE_TURNS = 4096;

  private final DiskQueue queue;
  private final Kick kick;
  private final StallCheck stallCheck;
  private final int queueDepth;
  private final double intervalNs;
  private final int ioBytes;
  private final int readPercent;
  private final boolean sequential;
  private final long buffersGuestAddress;
  private final long placeCount;
  private final int sectorsPerPlace;
  private final int[] tokens = new int[BATCH_MAX];
  private final long[] sinceNsOf;
  private final Histogram latencies = new Histogram(1, LATENCY_MAX_NS, 3);
  private long random;
  private long nextPlace;
  private long lastCompletionNs;
  private long startNs;
  private long dueCount;
  private long errors;
  private int firstErrorStatus;

  /**
   * Makes a loop at rest.
   *
   * @param ratePerSecond requests due per second; 0 = as many as complete
   * @param buffersGuestAddress {@code queueDepth} buffers of the work's request length
   * @param placeCount disk places of that length to use, 1..2^31-1
   */
  LoadLoop(
      final DiskQueue queue,
      final Kick kick,
      final StallCheck stallCheck,
      final Work work,
      final int queueDepth,
      final int ratePerSecond,
      final long buffersGuestAddress,
      final long placeCount,
      final long seed) {
    this.queue = queue;
    this.kick = kick;
    this.stallCheck = stallCheck;
    this.queueDepth = queueDepth;
    this.intervalNs = ratePerSecond == 0 ? 0 : 1e9 / ratePerSecond;
    this.ioBytes = work.ioBytes();
    this.readPercent = work.readPercent();
    this.sequential = work.sequential();
    this.buffersGuestAddress = buffersGuestAddress;
    this.placeCount = placeCount;
    this.sectorsPerPlace = ioBytes / BlkRequest.SECTOR_BYTES;
    this.sinceNsOf = new long[queue.queueSize()];
    this.random = seed == 0 ? 1 : seed;
  }

  private boolean hasRate() {
    return intervalNs > 0;
  }

  /** Fills the queue, or begins to count what is due; {@link #run} goes on from there. */
  void start() {
    final long nowNs = System.nanoTime();
    lastCompletionNs = nowNs;
    startNs = nowNs;
    if (hasRate()) {
      return;
    }
    for (int i = 0; i < queueDepth; i++) {
      submit(nowNs);
    }
    publish();
  }

  /** Runs until a moment; forgets the latencies of earlier calls. Returns when it really ended. */
  long run(final long endNs) {
    latencies.reset();
    return hasRate() ? turnAtRate(endNs) : turn(endNs, true);
  }

  /** Waits for what is in flight; sends nothing more. */
  void drain() {
    while (queue.inFlightCount() > 0) {
      turn(System.nanoTime(), false);
    }
  }

  private long turn(final long endNs, final boolean follow) {
    int idleTurns = 0;
    while (true) {
      final int count = reap();
      if (count == 0) {
        idleTurns++;
        if (idleTurns == IDLE_TURNS) {
          idleTurns = 0;
          final long nowNs = System.nanoTime();
          stallCheck.check(nowNs - lastCompletionNs, queue.inFlightCount());
          if (nowNs - endNs >= 0 && (follow || queue.inFlightCount() == 0)) {
            return nowNs;
          }
        }
        Thread.onSpinWait();
      } else {
        final long nowNs = System.nanoTime();
        onBatch(count, nowNs, follow);
        if (nowNs - endNs >= 0) {
          return nowNs;
        }
      }
    }
  }

  private long turnAtRate(final long endNs) {
    while (true) {
      final int count = reap();
      final long nowNs = System.nanoTime();
      if (count > 0) {
        onBatch(count, nowNs, false);
      } else if (queue.inFlightCount() == 0) {
        lastCompletionNs = nowNs;
      } else {
        stallCheck.check(nowNs - lastCompletionNs, queue.inFlightCount());
      }
      submitDue(nowNs);
      if (nowNs - endNs >= 0) {
        return nowNs;
      }
      Thread.onSpinWait();
    }
  }

  private void submitDue(final long nowNs) {
    boolean any = false;
    long dueNs = startNs + (long) (dueCount * intervalNs);
    while (dueNs - nowNs <= 0 && queue.inFlightCount() < queueDepth) {
      submit(dueNs);
      dueCount++;
      dueNs = startNs + (long) (dueCount * intervalNs);
      any = true;
    }
    if (any) {
      publish();
    }
  }

  private int reap() {
    int count = 0;
    while (count < BATCH_MAX) {
      final int token = queue.poll();
      if (token == DiskQueue.NONE) {
        break;
      }
      tokens[count] = token;
      count++;
    }
    return count;
  }

  private void onBatch(final int count, final long nowNs, final boolean follow) {
    lastCompletionNs = nowNs;
    for (int i = 0; i < count; i++) {
      final int token = tokens[i];
      final int status = queue.status(token);
      if (status != DiskQueue.STATUS_OK && errors++ == 0) {
        firstErrorStatus = status;
      }
      latencies.recordValue(Math.min(LATENCY_MAX_NS, nowNs - sinceNsOf[token]));
      queue.reclaim(token);
      if (follow) {
        submit(nowNs);
      }
    }
    if (follow) {
      publish();
    }
  }

  private void publish() {
    if (queue.publish()) {
      kick.kick();
    }
  }

  private void submit(final long sinceNs) {
    long x = random;
    x ^= x << 13;
    x ^= x >>> 7;
    x ^= x << 17;
    random = x;
    final boolean read = (((x & 0xFFFF) * 100) >>> 16) < readPercent;
    final long sector = place(x >>> 33) * sectorsPerPlace;
    // Tokens are handed out last in, first out: at most as many are ever used as are in flight.
    final int token = queue.begin(read ? DiskQueue.READ : DiskQueue.WRITE, sector);
    queue.data(buffersGuestAddress + (long) token * ioBytes, ioBytes, read);
    if (!queue.add()) {
      throw new IllegalStateException(
          "ring too small: queueSize=" + queue.queueSize() + " queueDepth=" + queueDepth);
    }
    sinceNsOf[token] = sinceNs;
  }

  /** {@code bits} has 31 random bits. */
  private long place(final long bits) {
    if (!sequential) {
      return (bits * placeCount) >>> 31;
    }
    final long place = nextPlace;
    nextPlace = place + 1 == placeCount ? 0 : place + 1;
    return place;
  }

  /** Of the last {@link #run}. */
  Histogram latencies() {
    return latencies;
  }

  /** Throws when a request failed or a completion belonged to none. */
  void checkSound() {
    if (errors > 0) {
      throw new BenchException(
          errors + " requests failed, the first one with status " + firstErrorStatus);
    }
    if (queue.faultCount() > 0) {
      throw new BenchException(
          queue.faultCount() + " completions belonged to no request: the back-end is broken");
    }
  }
}
