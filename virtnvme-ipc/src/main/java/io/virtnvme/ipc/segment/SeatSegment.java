package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.RobustMutex;

/**
 * A seat: the place that one slave process takes. Each reactor of the seat has a robust mutex; the
 * thread that holds it is the only one that may store to the rings, journals and memory disks of
 * that reactor's queues. Holding the mutex of reactor 0 is owning the seat.
 *
 * <pre>
 *  0      +-------------------------------+
 *         | segment header                |
 *  64     +---------------+---------------+
 *         | reactor count | owner pid     |   owner pid: written by the owner after it took mutex 0
 *  72     +---------------+---------------+
 *         | epoch                         |   +1 by each new owner
 *  80     +-------------------------------+
 *         | spare                         |
 *  128    +-------------------------------+   how the seat was taken, by reactor 0:
 *         | takeover with an even epoch   |
 *  192    +-------------------------------+
 *         | takeover with an odd epoch    |
 *  256    +-------------------------------+ <- reactor 0
 *         | robust mutex (64 bytes)       |
 *  +64    +-------------------------------+   written by the reactor thread only:
 *         | heartbeat, CLOCK_MONOTONIC ns |
 *  +72    | duty cycles                   |
 *  +80    | activity: 0 none, 1 polling, 2 asleep |
 *  +88    | longest duty cycle, ns        |
 *  +96    | queue faults (memory cut short)|
 *  +256   +-------------------------------+ <- reactor 1 ...
 *
 *  a takeover:
 *  +0     +-------------------------------+
 *         | epoch                         |   written last; 0 = none
 *  +8     +---------------+---------------+
 *         | previous pid  | flags         |   1 = measured, 2 = owner died, 4 = warm
 *  +16    +---------------+---------------+
 *         | detect, ns                    |
 *  +24    | fence, ns                     |
 *  +32    | map, ns                       |
 *  +40    | replay, ns                    |
 *  +48    | first completion, ns          |
 *  +56    +---------------+---------------+
 *         | rings         | resubmitted   |
 *  +64    +---------------+---------------+
 * </pre>
 */
public final class SeatSegment implements AutoCloseable {
  public static final int REACTOR_COUNT_MAX = 64;

  /** What a reactor does at the moment. */
  public static final long ACTIVITY_NONE = 0;

  public static final long ACTIVITY_POLLING = 1;
  public static final long ACTIVITY_ASLEEP = 2;

  /** A reactor that sleeps wakes up at least so often, and gives a heartbeat. */
  public static final int SLEEP_MS_MAX = 100;

  public static final int REACTOR_COUNT_OFFSET = SegmentHeader.HEADER_LENGTH;
  public static final int OWNER_PID_OFFSET = REACTOR_COUNT_OFFSET + Integer.BYTES;
  public static final int EPOCH_OFFSET = OWNER_PID_OFFSET + Integer.BYTES;
  public static final int TAKEOVERS_OFFSET = 128;
  public static final int TAKEOVER_LENGTH = 64;
  public static final int REACTORS_OFFSET = TAKEOVERS_OFFSET + 2 * TAKEOVER_LENGTH;
  public static final int REACTOR_LENGTH = 256;
  public static final int MUTEX_OFFSET = 0;
  public static final int HEARTBEAT_NS_OFFSET = MUTEX_OFFSET + RobustMutex.LENGTH;
  public static final int DUTY_CYCLES_OFFSET = HEARTBEAT_NS_OFFSET + Long.BYTES;
  public static final int ACTIVITY_OFFSET = DUTY_CYCLES_OFFSET + Long.BYTES;
  public static final int LONGEST_CYCLE_NS_OFFSET = ACTIVITY_OFFSET + Long.BYTES;
  public static final int QUEUE_FAULTS_OFFSET = LONGEST_CYCLE_NS_OFFSET + Long.BYTES;

  private static final int PREVIOUS_PID_OFFSET = Long.BYTES;
  private static final int FLAGS_OFFSET = PREVIOUS_PID_OFFSET + Integer.BYTES;
  private static final int DETECT_NS_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  private static final int FENCE_NS_OFFSET = DETECT_NS_OFFSET + Long.BYTES;
  private static final int MAP_NS_OFFSET = FENCE_NS_OFFSET + Long.BYTES;
  private static final int REPLAY_NS_OFFSET = MAP_NS_OFFSET + Long.BYTES;
  private static final int FIRST_COMPLETION_NS_OFFSET = REPLAY_NS_OFFSET + Long.BYTES;
  private static final int RING_COUNT_OFFSET = FIRST_COMPLETION_NS_OFFSET + Long.BYTES;
  private static final int RESUBMITTED_COUNT_OFFSET = RING_COUNT_OFFSET + Integer.BYTES;

  private static final int FLAG_MEASURED = 1;
  private static final int FLAG_OWNER_DIED = 2;
  private static final int FLAG_WARM = 4;

  private final Segment segment;
  private final int reactorCount;

  private SeatSegment(final Segment segment) {
    this.segment = segment;
    this.reactorCount = Mem.getInt(segment.address() + REACTOR_COUNT_OFFSET);
    if (reactorCount < 1
        || reactorCount > REACTOR_COUNT_MAX
        || segment.lengthBytes() < lengthBytes(reactorCount)) {
      segment.close();
      throw new BadSegmentException(
          segment.path(),
          "reactor count out of range: count=" + reactorCount + " bytes=" + segment.lengthBytes());
    }
  }

  private static long lengthBytes(final int reactorCount) {
    return (REACTORS_OFFSET + (long) reactorCount * REACTOR_LENGTH + 4095) & ~4095L;
  }

  public static SeatSegment create(
      final SegmentDirectory directory, final int seatId, final int reactorCount) {
    return new SeatSegment(
        Segment.create(
            directory,
            directory.seat(seatId),
            SegmentKind.SEAT,
            lengthBytes(reactorCount),
            0,
            address -> {
              Mem.putInt(address + REACTOR_COUNT_OFFSET, reactorCount);
              for (int i = 0; i < reactorCount; i++) {
                new RobustMutex(
                        address + REACTORS_OFFSET + (long) i * REACTOR_LENGTH + MUTEX_OFFSET)
                    .initialise();
              }
            }));
  }

  public static SeatSegment open(final SegmentDirectory directory, final int seatId) {
    return new SeatSegment(Segment.open(directory, directory.seat(seatId), SegmentKind.SEAT));
  }

  public int reactorCount() {
    return reactorCount;
  }

  public RobustMutex mutex(final int reactor) {
    return new RobustMutex(reactorAddress(reactor) + MUTEX_OFFSET);
  }

  /** Address of a reactor's block, for the {@code ..._OFFSET} constants of this class. */
  public long reactorAddress(final int reactor) {
    if (reactor < 0 || reactor >= reactorCount) {
      throw new IllegalArgumentException(
          "no such reactor: index=" + reactor + " count=" + reactorCount);
    }
    return segment.address() + REACTORS_OFFSET + (long) reactor * REACTOR_LENGTH;
  }

  /** Process id of the present or last owner; 0 when the seat was never taken. */
  public int ownerPid() {
    return Mem.getIntAcquire(segment.address() + OWNER_PID_OFFSET);
  }

  public long epoch() {
    return Mem.getLongAcquire(segment.address() + EPOCH_OFFSET);
  }

  /**
   * By the thread that holds mutex 0: names the new owner. Returns the process id of the one
   * before.
   */
  public int takeOwnership(final int pid) {
    final int before = ownerPid();
    Mem.putLongRelease(segment.address() + EPOCH_OFFSET, epoch() + 1);
    Mem.putIntRelease(segment.address() + OWNER_PID_OFFSET, pid);
    return before;
  }

  /**
   * By the thread that holds mutex 0: how it took the seat. A second call completes the first; a
   * death in the middle of it leaves some figures of either.
   */
  public void putTakeover(final TakeoverReport report) {
    final long epoch = epoch();
    final long place = takeoverAddress(epoch);
    if (Mem.getLong(place) != epoch) {
      // A death before the epoch stands here again leaves no report, rather than a mixed one.
      Mem.putLong(place, 0);
      Mem.fullFence();
    }
    Mem.putInt(place + PREVIOUS_PID_OFFSET, report.previousPid());
    Mem.putInt(
        place + FLAGS_OFFSET,
        (report.measured() ? FLAG_MEASURED : 0)
            | (report.ownerDied() ? FLAG_OWNER_DIED : 0)
            | (report.warm() ? FLAG_WARM : 0));
    Mem.putLong(place + DETECT_NS_OFFSET, report.detectNs());
    Mem.putLong(place + FENCE_NS_OFFSET, report.fenceNs());
    Mem.putLong(place + MAP_NS_OFFSET, report.mapNs());
    Mem.putLong(place + REPLAY_NS_OFFSET, report.replayNs());
    Mem.putLong(place + FIRST_COMPLETION_NS_OFFSET, report.firstCompletionNs());
    Mem.putInt(place + RING_COUNT_OFFSET, report.ringCount());
    Mem.putInt(place + RESUBMITTED_COUNT_OFFSET, report.resubmittedCount());
    Mem.putLongRelease(place, epoch);
  }

  /** How the seat was taken; null when nothing says so (any more): the last two are kept. */
  public TakeoverReport takeover(final long epoch) {
    final long place = takeoverAddress(epoch);
    if (Mem.getLongAcquire(place) != epoch) {
      return null;
    }
    final int flags = Mem.getInt(place + FLAGS_OFFSET);
    final TakeoverReport report =
        new TakeoverReport(
            (flags & FLAG_MEASURED) != 0,
            Mem.getInt(place + PREVIOUS_PID_OFFSET),
            (flags & FLAG_OWNER_DIED) != 0,
            (flags & FLAG_WARM) != 0,
            Mem.getLong(place + DETECT_NS_OFFSET),
            Mem.getLong(place + FENCE_NS_OFFSET),
            Mem.getLong(place + MAP_NS_OFFSET),
            Mem.getLong(place + REPLAY_NS_OFFSET),
            Mem.getLong(place + FIRST_COMPLETION_NS_OFFSET),
            Mem.getInt(place + RING_COUNT_OFFSET),
            Mem.getInt(place + RESUBMITTED_COUNT_OFFSET));
    Mem.fullFence();
    return Mem.getLong(place) == epoch ? report : null;
  }

  private long takeoverAddress(final long epoch) {
    return segment.address() + TAKEOVERS_OFFSET + (epoch & 1) * TAKEOVER_LENGTH;
  }

  /**
   * CLOCK_MONOTONIC time of the reactor's last duty cycle; comparable with {@link System#nanoTime}
   * of any process.
   */
  public long heartbeatNs(final int reactor) {
    return Mem.getLongAcquire(reactorAddress(reactor) + HEARTBEAT_NS_OFFSET);
  }

  public long activity(final int reactor) {
    return Mem.getLongAcquire(reactorAddress(reactor) + ACTIVITY_OFFSET);
  }

  public long dutyCycles(final int reactor) {
    return Mem.getLongAcquire(reactorAddress(reactor) + DUTY_CYCLES_OFFSET);
  }

  @Override
  public void close() {
    segment.close();
  }
}
