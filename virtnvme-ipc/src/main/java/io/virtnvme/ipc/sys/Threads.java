package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;
import java.io.File;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/**
 * Placement and priority of the calling thread, or of the whole process when called before other
 * threads start.
 */
public final class Threads {
  private static final int SCHED_OTHER = 0;
  private static final int SCHED_FIFO = 1;
  private static final int SCHED_BATCH = 3;
  private static final int PRIO_PROCESS = 0;
  private static final int MASK_BYTES = 128;

  /** Ids to ask for at most. */
  private static final int ASKED_MAX = 50_000;

  private static final File TASKS = new File("/proc/self/task");

  /** Threads that chose their core; there are few, and they stay. */
  private static final Set<Integer> PINNED = ConcurrentHashMap.newKeySet();

  private Threads() {}

  /** Pins the calling thread to one core; false (and no change) when the kernel refuses. */
  public static boolean pinTo(final int core) {
    if (core < 0 || core >= MASK_BYTES * Byte.SIZE) {
      throw new IllegalArgumentException(
          "core out of range: core=" + core + " max=" + (MASK_BYTES * Byte.SIZE - 1));
    }
    final long mask = Mem.allocate(MASK_BYTES);
    try {
      Mem.putByte(mask + core / Byte.SIZE, (byte) (1 << (core % Byte.SIZE)));
      if (Libc.sched_setaffinity(0, MASK_BYTES, mask) != 0) {
        return false;
      }
      PINNED.add(Libc.gettid());
      return true;
    } finally {
      Mem.free(mask);
    }
  }

  /**
   * Moves every thread of this process but those that {@linkplain #pinTo pinned themselves} to some
   * cores, its keeper too; threads made later inherit that from their maker. When such a process is
   * killed, all of it dies on these cores and takes no time from others.
   *
   * <p>All but the caller and the keeper never preempt another thread any more when they wake
   * (SCHED_BATCH): a signal that kills the process wakes each of them, and the pinned thread that a
   * successor waits for would die behind them, 0.2 ms later.
   *
   * @param cores core numbers; out of range ones are left out
   */
  public static void confineProcessTo(final int[] cores) {
    final int self = Libc.gettid();
    final long mask = Mem.allocate(MASK_BYTES);
    try {
      for (final int core : cores) {
        if (core >= 0 && core < MASK_BYTES * Byte.SIZE) {
          final long octet = mask + core / Byte.SIZE;
          Mem.putByte(octet, (byte) (Mem.getByte(octet) | 1 << (core % Byte.SIZE)));
        }
      }
      for (final int tid : threadIds()) {
        if (!PINNED.contains(tid)) {
          // A thread that ended meanwhile, or a core that is not there, changes nothing.
          Libc.sched_setaffinity(tid, MASK_BYTES, mask);
          if (tid != self) {
            setScheduler(tid, SCHED_BATCH, 0);
          }
        }
      }
      if (AddressSpaceKeeper.pid() != 0) {
        Libc.sched_setaffinity(AddressSpaceKeeper.pid(), MASK_BYTES, mask);
      }
    } finally {
      Mem.free(mask);
    }
  }

  /**
   * The threads of this process. Asks for each id instead of reading a directory: what the kernel
   * caches of {@code /proc/PID/task} delays whoever buries the process, by some ms of spinning.
   */
  private static int[] threadIds() {
    final int first = Processes.currentPid();
    final int last = freshThreadId();
    if (last < first || last - first > ASKED_MAX) {
      return listThreadIds();
    }
    return IntStream.rangeClosed(first, last)
        .filter(tid -> Libc.tgkill(first, tid, 0) == 0)
        .toArray();
  }

  /** Thread ids are given out in rising order, until they start again at the bottom. */
  private static int freshThreadId() {
    final CompletableFuture<Integer> tid = new CompletableFuture<>();
    new Thread(() -> tid.complete(Libc.gettid()), "fresh-id").start();
    return tid.join();
  }

  private static int[] listThreadIds() {
    final String[] names = TASKS.list();
    return names == null ? new int[0] : Arrays.stream(names).mapToInt(Integer::parseInt).toArray();
  }

  /**
   * Real-time priority for a thread that waits; it must drop it soon after it wakes. False when not
   * permitted.
   */
  public static boolean raiseToFifo(final int priority) {
    return setScheduler(0, SCHED_FIFO, priority);
  }

  /**
   * Sets the calling thread's nice value for the time that it has normal priority.
   *
   * @param nice -20 (goes first) to 19; false when a negative one is not permitted
   */
  public static boolean nice(final int nice) {
    return Libc.setpriority(PRIO_PROCESS, 0, nice) == 0;
  }

  public static boolean dropToNormal() {
    return setScheduler(0, SCHED_OTHER, 0);
  }

  private static boolean setScheduler(final int tid, final int policy, final int priority) {
    final long parameter = Mem.allocate(Long.BYTES);
    try {
      Mem.putInt(parameter, priority);
      return Libc.sched_setscheduler(tid, policy, parameter) == 0;
    } finally {
      Mem.free(parameter);
    }
  }
}
