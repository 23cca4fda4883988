package io.virtnvme.tools.load;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import java.nio.file.Path;

/**
 * A small mapped file through which a load client is watched without disturbing it. The client
 * writes everything but command and victim; all times are CLOCK_MONOTONIC nanoseconds ({@link
 * System#nanoTime}), comparable between processes.
 *
 * <pre>
 *  0      +-------------------------------+
 *         | magic                         |  written last by the creator
 *  8      | state                         |  code of {@link State}
 *  16     | command                       |  watcher: {@link #COMMAND_RUN}, ...
 *  24     | victim                        |  watcher: process to be killed by {@link #COMMAND_KILL}
 *  32     | time of the kill              |  client: when it sent the signal; 0 before that
 *  64     +-------------------------------+
 *         | ios                           |
 *  72     | bytes                         |
 *  80     | errors                        |
 *  88     | verified blocks               |
 *  96     | time of the last completion   |
 *  104    | gap position                  |  gaps ever recorded; the newest is at (position - 1) mod 1024
 *  112    | start time                    |  millisecond 0 of the ring of counts
 *  120    | device errors                 |  requests to the broken part that ended with an error
 *  4096   +-------------------------------+
 *         | gap: start, end, outstanding, |  32 bytes each; written before the position
 *  36864  +-------------------------------+
 *         | ios per millisecond           |  32768 words of 4 bytes, a ring
 *  167936 +-------------------------------+
 * </pre>
 */
public final class LoadProgress implements AutoCloseable {
  /** What the client does. The code is on file. */
  public enum State {
    CONNECTING(0),
    RUNNING(1),
    READING_BACK(2),
    DONE(3),
    FAILED(4);

    private final long code;

    State(final long code) {
      this.code = code;
    }

    private static State of(final long code) {
      for (final State state : STATES) {
        if (state.code == code) {
          return state;
        }
      }
      return FAILED;
    }
  }

  /** Go on; also ends the commands that change how. */
  public static final long COMMAND_RUN = 0;

  /** End the load, read everything back, print the result. */
  public static final long COMMAND_FINISH = 1;

  /**
   * Hang up and connect again with what is in flight; the client goes back to running by itself.
   */
  public static final long COMMAND_RECONNECT = 2;

  /** Kill the victim at a random moment and go on, as attentive as by the next command. */
  public static final long COMMAND_KILL = 3;

  /**
   * Go on with a real-time priority, so that what else the machine does on the client's core does
   * not look like a pause of the disk: not for longer than some 0.2 s.
   */
  public static final long COMMAND_ATTEND = 4;

  /** Go on, and send half of the requests to the broken part of the disk. */
  public static final long COMMAND_TOUCH_BROKEN = 5;

  public static final long MAGIC = 0x5353455247525056L;
  static final int MAGIC_OFFSET = 0;
  static final int STATE_OFFSET = MAGIC_OFFSET + Long.BYTES;
  static final int COMMAND_OFFSET = STATE_OFFSET + Long.BYTES;
  static final int VICTIM_OFFSET = COMMAND_OFFSET + Long.BYTES;
  static final int KILLED_OFFSET = VICTIM_OFFSET + Long.BYTES;
  static final int IOS_OFFSET = 64;
  static final int BYTES_OFFSET = IOS_OFFSET + Long.BYTES;
  static final int ERRORS_OFFSET = BYTES_OFFSET + Long.BYTES;
  static final int VERIFIED_OFFSET = ERRORS_OFFSET + Long.BYTES;
  static final int LAST_COMPLETION_OFFSET = VERIFIED_OFFSET + Long.BYTES;
  static final int GAP_POSITION_OFFSET = LAST_COMPLETION_OFFSET + Long.BYTES;
  static final int START_OFFSET = GAP_POSITION_OFFSET + Long.BYTES;
  static final int DEVICE_ERRORS_OFFSET = START_OFFSET + Long.BYTES;
  static final int GAPS_OFFSET = 4096;
  static final int GAP_LENGTH = 32;
  static final int GAP_COUNT = 1024;
  static final int MILLIS_OFFSET = GAPS_OFFSET + GAP_COUNT * GAP_LENGTH;

  /** Milliseconds that the ring of counts covers. */
  public static final int MILLIS_COUNT = 32768;

  static final int LENGTH = MILLIS_OFFSET + MILLIS_COUNT * Integer.BYTES;

  private static final int OWNER_ONLY = 0600;
  private static final State[] STATES = State.values();

  private final Mapping mapping;
  private final long address;

  private LoadProgress(final Mapping mapping) {
    this.mapping = mapping;
    this.address = mapping.address();
  }

  /** By the watcher, before it starts the client. */
  public static LoadProgress create(final Path path) {
    final int fd = Fds.open(path.toString(), Fds.O_RDWR | Fds.O_CREAT | Fds.O_EXCL, OWNER_ONLY);
    try {
      Fds.allocate(fd, LENGTH);
      final Mapping mapping = Mapping.mapPopulated(fd, 0, LENGTH);
      Mem.putLongRelease(mapping.address() + MAGIC_OFFSET, MAGIC);
      return new LoadProgress(mapping);
    } finally {
      Fds.close(fd);
    }
  }

  /** By the client. */
  public static LoadProgress open(final Path path) {
    final int fd = Fds.open(path.toString(), Fds.O_RDWR, 0);
    try {
      final long length = Fds.length(fd);
      if (length != LENGTH) {
        throw new IllegalArgumentException(
            path + " is no progress file: bytes=" + length + " expected=" + LENGTH);
      }
      final Mapping mapping = Mapping.mapPopulated(fd, 0, LENGTH);
      if (Mem.getLongAcquire(mapping.address() + MAGIC_OFFSET) != MAGIC) {
        mapping.close();
        throw new IllegalArgumentException(path + " is no progress file: wrong magic");
      }
      return new LoadProgress(mapping);
    } finally {
      Fds.close(fd);
    }
  }

  public State state() {
    return State.of(Mem.getLongAcquire(address + STATE_OFFSET));
  }

  void state(final State state) {
    Mem.putLongRelease(address + STATE_OFFSET, state.code);
  }

  long command() {
    return Mem.getLongAcquire(address + COMMAND_OFFSET);
  }

  public void command(final long command) {
    Mem.putLongRelease(address + COMMAND_OFFSET, command);
  }

  /** Lets the client kill a process; {@link #killedNs} tells when it did. */
  public void kill(final int pid) {
    Mem.putLongRelease(address + KILLED_OFFSET, 0);
    Mem.putLongRelease(address + VICTIM_OFFSET, pid);
    command(COMMAND_KILL);
  }

  int victim() {
    return (int) Mem.getLongAcquire(address + VICTIM_OFFSET);
  }

  /** When the victim was killed; 0 before that. */
  public long killedNs() {
    return Mem.getLongAcquire(address + KILLED_OFFSET);
  }

  void killedNs(final long timeNs) {
    Mem.putLongRelease(address + KILLED_OFFSET, timeNs);
  }

  public long ios() {
    return Mem.getLongAcquire(address + IOS_OFFSET);
  }

  public long bytes() {
    return Mem.getLongAcquire(address + BYTES_OFFSET);
  }

  public long errors() {
    return Mem.getLongAcquire(address + ERRORS_OFFSET);
  }

  /** Requests to the broken part of the disk that ended with an error, as they must. */
  public long deviceErrors() {
    return Mem.getLongAcquire(address + DEVICE_ERRORS_OFFSET);
  }

  void deviceErrors(final long count) {
    Mem.putLongRelease(address + DEVICE_ERRORS_OFFSET, count);
  }

  public long verifiedBlocks() {
    return Mem.getLongAcquire(address + VERIFIED_OFFSET);
  }

  public long lastCompletionNs() {
    return Mem.getLongAcquire(address + LAST_COMPLETION_OFFSET);
  }

  void start(final long nowNs) {
    Mem.putLongRelease(address + START_OFFSET, nowNs);
    Mem.putLongRelease(address + LAST_COMPLETION_OFFSET, nowNs);
  }

  /** By the client after each batch of completions: totals so far. */
  void onBatch(
      final long nowNs,
      final int count,
      final long ios,
      final long bytes,
      final long errors,
      final long verifiedBlocks) {
    Mem.putLongRelease(address + IOS_OFFSET, ios);
    Mem.putLongRelease(address + BYTES_OFFSET, bytes);
    Mem.putLongRelease(address + ERRORS_OFFSET, errors);
    Mem.putLongRelease(address + VERIFIED_OFFSET, verifiedBlocks);
    final long milli = (nowNs - Mem.getLong(address + START_OFFSET)) / 1_000_000;
    final long lastMilli =
        (Mem.getLong(address + LAST_COMPLETION_OFFSET) - Mem.getLong(address + START_OFFSET))
            / 1_000_000;
    // The ring's old counts go as time passes over them.
    for (long i = Math.max(lastMilli + 1, milli - MILLIS_COUNT + 1); i <= milli; i++) {
      Mem.putIntRelease(milliAddress(i), 0);
    }
    Mem.putIntRelease(milliAddress(milli), Mem.getInt(milliAddress(milli)) + count);
    Mem.putLongRelease(address + LAST_COMPLETION_OFFSET, nowNs);
  }

  private long milliAddress(final long milli) {
    return address + MILLIS_OFFSET + (milli % MILLIS_COUNT) * Integer.BYTES;
  }

  /** By the client: nothing completed between these times although requests were outstanding. */
  void onGap(final long startNs, final long endNs, final int outstanding) {
    final long position = Mem.getLong(address + GAP_POSITION_OFFSET);
    final long gap = gapAddress(position);
    Mem.putLongRelease(gap, startNs);
    Mem.putLongRelease(gap + 8, endNs);
    Mem.putLongRelease(gap + 16, outstanding);
    Mem.putLongRelease(address + GAP_POSITION_OFFSET, position + 1);
  }

  private long gapAddress(final long position) {
    return address + GAPS_OFFSET + (position % GAP_COUNT) * GAP_LENGTH;
  }

  /** Gaps recorded so far. */
  public long gapPosition() {
    return Mem.getLongAcquire(address + GAP_POSITION_OFFSET);
  }

  /**
   * The longest pause between two completions that covers a moment or begins soon after it; what
   * lies before the moment is not counted.
   *
   * @param toleranceNs pauses that began later than this after the moment do not count
   * @return nanoseconds; 0 when no pause was long enough to be recorded
   */
  public long blackoutNs(final long momentNs, final long toleranceNs) {
    final long position = gapPosition();
    long longest = 0;
    for (long i = Math.max(0, position - GAP_COUNT + 1); i < position; i++) {
      final long startNs = Mem.getLongAcquire(gapAddress(i));
      final long endNs = Mem.getLongAcquire(gapAddress(i) + 8);
      if (endNs > momentNs && startNs - momentNs < toleranceNs) {
        longest = Math.max(longest, endNs - Math.max(startNs, momentNs));
      }
    }
    return longest;
  }

  /** The longest pause that begins within a time; nanoseconds, 0 for none, as above. */
  public long longestPauseNs(final long fromNs, final long toNs) {
    final long position = gapPosition();
    long longest = 0;
    for (long i = Math.max(0, position - GAP_COUNT + 1); i < position; i++) {
      final long startNs = Mem.getLongAcquire(gapAddress(i));
      if (startNs - fromNs >= 0 && startNs - toNs < 0) {
        longest = Math.max(longest, Mem.getLongAcquire(gapAddress(i) + 8) - startNs);
      }
    }
    return longest;
  }

  /**
   * Requests completed in each of the milliseconds around a moment.
   *
   * @param beforeMs milliseconds before the moment; together less than {@link #MILLIS_COUNT}
   */
  public int[] iosPerMilli(final long momentNs, final int beforeMs, final int afterMs) {
    final long startNs = Mem.getLongAcquire(address + START_OFFSET);
    final long last = (lastCompletionNs() - startNs) / 1_000_000;
    final long first = (momentNs - startNs) / 1_000_000 - beforeMs;
    final int[] counts = new int[beforeMs + afterMs];
    for (int i = 0; i < counts.length; i++) {
      final long milli = first + i;
      counts[i] =
          milli < 0 || milli > last || milli <= last - MILLIS_COUNT
              ? 0
              : Mem.getIntAcquire(milliAddress(milli));
    }
    return counts;
  }

  @Override
  public void close() {
    mapping.close();
  }
}
