package io.virtnvme.tools.load;

import io.virtnvme.ipc.disk.DiskFrontEnd;
import io.virtnvme.ipc.disk.DiskQueue;
import io.virtnvme.ipc.sys.Threads;
import io.virtnvme.ipc.virtio.BlkRequest;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.Histogram;

/**
 * Keeps a disk busy and checks everything it answers. One thread polls; it allocates nothing while
 * the load runs, and tells what it sees through {@link LoadProgress}.
 */
final class LoadClient implements AutoCloseable {
  /** Shorter gaps between completions are no blackout of anything. */
  static final long GAP_LEAST_NS = 100_000;

  /** With pauses, gaps begin to count at so many of them. */
  private static final int GAP_PAUSES = 10;

  private static final int QUEUE_SIZE_LEAST = 128;
  private static final int FLUSH_ONE_IN = 256;
  private static final int PLACE_ATTEMPTS = 16;
  private static final int SECTORS_PER_BLOCK = BlockPattern.BLOCK_BYTES / BlkRequest.SECTOR_BYTES;
  private static final long RECONNECT_CHECK_NS = 20_000_000;
  private static final long LATENCY_MAX_NS = 600_000_000_000L;
  private static final int REAP_LIMIT = 64;
  private static final int ATTENTIVE_PRIORITY = 10;

  private final LoadSettings settings;
  private final LoadProgress progress;
  private final DiskFrontEnd frontEnd;
  private final BlockChecker checker;
  private final Histogram latencies = new Histogram(1, LATENCY_MAX_NS, 3);
  private final TakeoverLatencies takeovers = new TakeoverLatencies(LATENCY_MAX_NS);
  private final int queueSize;
  private final long gapLeastNs;
  private final RequestTable[] tables;
  private final Trigger trigger = new Trigger();
  private final RequestErrors errors = new RequestErrors();

  private long randomState;
  private boolean readingBack;
  private boolean attending;
  private boolean touchingBroken;
  private boolean killing;
  private int nextReadBackBlock;
  private long readBackBlocks;
  private int outstanding;
  private long lastCompletionNs;
  private long lastAdvanceNs;
  private long lastBurstNs;
  private long nextReconnectCheckNs;
  private long reconnects;
  private long ios;
  private long bytes;

  LoadClient(final LoadSettings settings, final LoadProgress progress) {
    this.settings = settings;
    this.progress = progress;
    this.queueSize =
        Math.max(QUEUE_SIZE_LEAST, Integer.highestOneBit(settings.queueDepth() * 2 - 1));
    this.gapLeastNs = Math.max(GAP_LEAST_NS, GAP_PAUSES * settings.thinkNs());
    this.checker = new BlockChecker(settings.salt(), settings.blockCount());
    this.randomState = settings.seed() == 0 ? 1 : settings.seed();
    final int ioBytesMax = settings.ioBlocksMax() * BlockPattern.BLOCK_BYTES;
    final long areaBytes =
        Math.max(
            RequestTable.bufferBytes(queueSize, ioBytesMax),
            ((long) settings.memoryMegabytes() << 20) / settings.queueCount());
    this.frontEnd = FrontEnds.connect(settings, queueSize, settings.queueCount() * areaBytes);
    this.tables = new RequestTable[settings.queueCount()];
    for (int i = 0; i < tables.length; i++) {
      tables[i] =
          new RequestTable(
              queueSize,
              frontEnd.dataGuestAddress() + i * areaBytes,
              areaBytes,
              ioBytesMax,
              settings.ioBlocksMax());
    }
  }

  /** Throws when the disk is shorter than what the load wants to use. */
  void checkCapacity() {
    final long sectors = frontEnd.capacityBytes() / BlkRequest.SECTOR_BYTES;
    final long lastBlock =
        settings.brokenBlock() == 0
            ? settings.blockCount()
            : settings.brokenBlock() + (long) settings.blockCount();
    final long needed = lastBlock * SECTORS_PER_BLOCK;
    if (sectors < needed) {
      throw new LoadException("the disk is too short: sectors=" + sectors + " needed=" + needed);
    }
  }

  /** Runs until the watcher says that it is enough, then reads the whole disk back. */
  LoadResult run() {
    if (settings.core() >= 0) {
      Threads.pinTo(settings.core());
    }
    lastCompletionNs = System.nanoTime();
    lastAdvanceNs = lastCompletionNs;
    progress.start(lastCompletionNs);
    progress.state(LoadProgress.State.RUNNING);
    String message = "";
    try {
      while (progress.command() != LoadProgress.COMMAND_FINISH && errors.count() == 0) {
        if (progress.command() == LoadProgress.COMMAND_RECONNECT) {
          progress.command(LoadProgress.COMMAND_RUN);
          reconnect();
        }
        final long command = progress.command();
        attend(command);
        touchingBroken = command == LoadProgress.COMMAND_TOUCH_BROKEN && settings.brokenBlock() > 0;
        step(true);
      }
      drain();
      if (errors.count() == 0) {
        progress.state(LoadProgress.State.READING_BACK);
        readBack();
      }
    } catch (final LoadException e) {
      message = e.getMessage();
    }
    return result(message);
  }

  private void attend(final long command) {
    final boolean kill = command == LoadProgress.COMMAND_KILL;
    final boolean wanted = kill || command == LoadProgress.COMMAND_ATTEND;
    if (wanted && !attending) {
      // Where it is not permitted, the machine's pauses count as the disk's.
      Threads.raiseToFifo(ATTENTIVE_PRIORITY);
    } else if (!wanted && attending) {
      Threads.dropToNormal();
    }
    if (wanted && !attending && !kill) {
      takeovers.onKillAnnounced();
    }
    attending = wanted;
    if (kill && !killing) {
      trigger.arm(progress.victim());
    }
    killing = kill;
  }

  private void drain() {
    attend(LoadProgress.COMMAND_FINISH);
    while (outstanding > 0) {
      step(false);
    }
  }

  private void readBack() {
    readingBack = true;
    while (nextReadBackBlock < checker.blockCount()) {
      step(true);
    }
    drain();
  }

  private void step(final boolean submit) {
    int completed = 0;
    look();
    final long nowNs = System.nanoTime();
    for (int i = 0; i < tables.length; i++) {
      completed += reap(frontEnd.queue(i), tables[i], nowNs);
    }
    if (completed > 0) {
      onCompletions(nowNs, completed);
    } else if (outstanding > 0 && nowNs - lastCompletionNs > RECONNECT_CHECK_NS) {
      onStall(nowNs);
    }
    if (submit && nowNs - lastBurstNs >= settings.thinkNs()) {
      lastBurstNs = nowNs;
      for (int i = 0; i < tables.length; i++) {
        fill(i, nowNs);
      }
    }
    if (completed == 0) {
      if (settings.thinkNs() == 0) {
        Thread.onSpinWait();
      } else {
        LockSupport.parkNanos(settings.thinkNs());
      }
    }
  }

  private void onCompletions(final long nowNs, final int completed) {
    progress.onBatch(nowNs, completed, ios, bytes, errors.count(), checker.verifiedBlocks());
    lastCompletionNs = nowNs;
  }

  /**
   * Notes when the device finished something, and how long it had not. Called often, because
   * checking and filling take longer than many a pause.
   */
  private void look() {
    if (trigger.isArmed()) {
      final long nowNs = System.nanoTime();
      if (trigger.isDue(nowNs)) {
        trigger.fire();
        takeovers.onKill();
        progress.killedNs(nowNs);
      }
    }
    boolean advanced = false;
    for (int i = 0; i < tables.length; i++) {
      advanced |= frontEnd.queue(i).hasAdvanced();
    }
    if (advanced) {
      final long nowNs = System.nanoTime();
      if (nowNs - lastAdvanceNs >= gapLeastNs) {
        progress.onGap(lastAdvanceNs, nowNs, outstanding);
        takeovers.onGapEnd(nowNs);
      }
      lastAdvanceNs = nowNs;
    }
  }

  /** Time in which the device has nothing to do is no pause of it. */
  private void beforePublish() {
    for (int i = 0; i < tables.length; i++) {
      if (!frontEnd.queue(i).isDeviceIdle()) {
        return;
      }
    }
    look();
    lastAdvanceNs = System.nanoTime();
  }

  private int reap(final DiskQueue queue, final RequestTable table, final long nowNs) {
    int completed = 0;
    while (completed < REAP_LIMIT) {
      final int token = queue.poll();
      if (token == DiskQueue.NONE) {
        break;
      }
      onCompletion(queue, table, token, nowNs);
      queue.reclaim(token);
      completed++;
      look();
    }
    outstanding -= completed;
    return completed;
  }

  private void onCompletion(
      final DiskQueue queue, final RequestTable table, final int token, final long nowNs) {
    final int status = queue.status(token);
    final int block = table.block(token);
    final int count = table.count(token);
    ios++;
    bytes += (long) count * BlockPattern.BLOCK_BYTES;
    final long submittedNs = table.submittedNs(token);
    final long latencyNs = Math.max(1, Math.min(LATENCY_MAX_NS, nowNs - submittedNs));
    latencies.recordValue(latencyNs);
    takeovers.onCompletion(submittedNs, latencyNs);
    if (isBroken(block)) {
      onDeviceError(status, table.type(token), block);
      return;
    }
    if (status != DiskQueue.STATUS_OK) {
      onError(status, table.type(token), block, count);
      return;
    }
    switch (table.type(token)) {
      case DiskQueue.WRITE -> checker.endWrite(block, count);
      case DiskQueue.READ -> {
        final long address = frontEnd.toHost(table.bufferGuestAddress(token));
        final int wrong = checker.endRead(block, count, address, table.low(token));
        errors.onWrongBlocks(wrong);
        if (readingBack) {
          readBackBlocks += count - wrong;
        }
      }
      default -> {
        // A flush has nothing to check while the host lives.
      }
    }
  }

  /** The device fails every request there, so any other answer was made up on the way. */
  private void onDeviceError(final int status, final int type, final int block) {
    if (status == BlkRequest.STATUS_IOERR) {
      progress.deviceErrors(errors.onDeviceError());
    } else {
      onError(status, type, block, 0);
    }
  }

  private boolean isBroken(final int block) {
    return settings.brokenBlock() > 0 && block >= settings.brokenBlock();
  }

  private void onError(final int status, final int type, final int block, final int count) {
    errors.onError(status, type, block);
    if (type == DiskQueue.WRITE) {
      checker.failWrite(block, count);
    }
  }

  private void fill(final int index, final long nowNs) {
    final DiskQueue queue = frontEnd.queue(index);
    if (queue.inFlightCount() > settings.queueDepth() / 2) {
      // In bursts, so that the slave has work in hand most of the time although checking takes us
      // longer than it takes the slave to copy: a kill then finds requests in flight.
      return;
    }
    final RequestTable table = tables[index];
    boolean added = false;
    while (queue.inFlightCount() < settings.queueDepth()) {
      if (!(readingBack ? addReadBack(queue, table, nowNs) : addRandom(queue, table, nowNs))) {
        break;
      }
      outstanding++;
      added = true;
      look();
    }
    if (added) {
      beforePublish();
      if (queue.publish()) {
        frontEnd.kick(index);
      }
      if (trigger.isArmed()) {
        trigger.onWork(System.nanoTime(), nextRandom());
      }
    }
  }

  private boolean addReadBack(final DiskQueue queue, final RequestTable table, final long nowNs) {
    final int left = checker.blockCount() - nextReadBackBlock;
    final int count = Math.min(left, settings.ioBlocksMax());
    if (count == 0 || !add(queue, table, DiskQueue.READ, nextReadBackBlock, count, nowNs)) {
      return false;
    }
    nextReadBackBlock += count;
    return true;
  }

  private boolean addRandom(final DiskQueue queue, final RequestTable table, final long nowNs) {
    final long random = nextRandom();
    if (random % FLUSH_ONE_IN == 0) {
      return add(queue, table, DiskQueue.FLUSH, 0, 0, nowNs);
    }
    final int count = randomCount();
    if (touchingBroken && (random >>> 8) % 2 == 0) {
      final int type = (random >>> 16) % 2 == 0 ? DiskQueue.READ : DiskQueue.WRITE;
      return add(queue, table, type, settings.brokenBlock() + randomBlock(count), count, nowNs);
    }
    if ((random >>> 16) % 100 < settings.readPercent()) {
      return add(queue, table, DiskQueue.READ, randomBlock(count), count, nowNs);
    }
    for (int i = 0; i < PLACE_ATTEMPTS; i++) {
      final int block = randomBlock(count);
      // As a file system would: no two writes of one block at the same time.
      if (!checker.isBusy(block, count)) {
        return add(queue, table, DiskQueue.WRITE, block, count, nowNs);
      }
    }
    return false;
  }

  private boolean add(
      final DiskQueue queue,
      final RequestTable table,
      final int type,
      final int block,
      final int count,
      final long nowNs) {
    final int token = queue.begin(type, (long) block * SECTORS_PER_BLOCK);
    if (token == DiskQueue.NONE) {
      return false;
    }
    final long guestAddress = table.nextBuffer(token);
    if (count > 0) {
      addData(queue, guestAddress, count, type == DiskQueue.READ);
    }
    if (!queue.add()) {
      return false;
    }
    table.set(token, type, block, count, nowNs);
    if (isBroken(block)) {
      return true;
    }
    if (type == DiskQueue.WRITE) {
      checker.beginWrite(block, count, frontEnd.toHost(guestAddress));
    } else if (type == DiskQueue.READ) {
      checker.beginRead(block, count, table.low(token));
    }
    return true;
  }

  /** One segment, or two that meet at some sector. */
  private void addData(
      final DiskQueue queue, final long guestAddress, final int count, final boolean read) {
    final int lengthBytes = count * BlockPattern.BLOCK_BYTES;
    final long random = nextRandom();
    final int cut =
        random % 4 != 0
            ? 0
            : (int) ((random >>> 8) % (lengthBytes / BlkRequest.SECTOR_BYTES))
                * BlkRequest.SECTOR_BYTES;
    if (cut > 0) {
      queue.data(guestAddress, cut, read);
    }
    queue.data(guestAddress + cut, lengthBytes - cut, read);
  }

  /** Half of the requests have one block, the others a power of two up to the longest. */
  private int randomCount() {
    final long random = nextRandom();
    if ((random & 1) == 0) {
      return 1;
    }
    final int sizes = Integer.numberOfTrailingZeros(Integer.highestOneBit(settings.ioBlocksMax()));
    return 1 << ((random >>> 8) % (sizes + 1));
  }

  private int randomBlock(final int count) {
    return (int) (nextRandom() % (checker.blockCount() - count + 1));
  }

  /** Never negative. */
  private long nextRandom() {
    long x = randomState;
    x ^= x << 13;
    x ^= x >>> 7;
    x ^= x << 17;
    randomState = x;
    return x >>> 1;
  }

  private void onStall(final long nowNs) {
    if (nowNs - lastCompletionNs > settings.stallLimitMs() * 1_000_000L) {
      throw new LoadException(
          "no completion for "
              + settings.stallLimitMs()
              + " ms with "
              + outstanding
              + " requests in flight");
    }
    if (nowNs - nextReconnectCheckNs < 0) {
      return;
    }
    nextReconnectCheckNs = nowNs + RECONNECT_CHECK_NS;
    if (!frontEnd.isConnected()) {
      reconnect();
    }
  }

  /** One attempt; when nobody is there, the next stall leads to the next one. */
  private void reconnect() {
    try {
      reconnects += frontEnd.tryReconnect() ? 1 : 0;
    } catch (final IllegalStateException e) {
      throw new LoadException(e.getMessage());
    }
  }

  private LoadResult result(final String failure) {
    long faults = 0;
    for (int i = 0; i < tables.length; i++) {
      faults += frontEnd.queue(i).faultCount();
    }
    return new LoadResult(
        ios,
        bytes,
        errors.count() + faults,
        errors.deviceErrorCount(),
        checker.verifiedBlocks(),
        checker.overlappedBlocks(),
        readBackBlocks,
        checker.blockCount(),
        latencies.getValueAtPercentile(50),
        latencies.getValueAtPercentile(99),
        latencies.getMaxValue(),
        reconnects,
        takeovers.toJson(),
        failure.isEmpty() ? describeErrors(faults) : failure);
  }

  private String describeErrors(final long faults) {
    if (!errors.first().isEmpty()) {
      return errors.first();
    }
    if (faults > 0) {
      return faults + " completions of requests that were not in flight";
    }
    return checker.describeWrong();
  }

  @Override
  public void close() {
    trigger.close();
    frontEnd.close();
  }
}
