package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/**
 * A process-shared robust POSIX mutex in a segment. When the thread that holds it dies, the kernel
 * hands it to a waiter with EOWNERDEAD after that thread's last store: the successor may then touch
 * what the mutex guards.
 *
 * <p>The mutex belongs to the thread that locked it. The segment must stay mapped in the owner for
 * as long as it holds it, since the kernel walks the dead thread's list of robust mutexes in the
 * owner's address space.
 */
public final class RobustMutex {
  /** Room for {@code pthread_mutex_t} (40 bytes on x86-64, 48 on AArch64), one cache line. */
  public static final int LENGTH = 64;

  /** How a lock was obtained. */
  public enum Outcome {
    /** The mutex was free: its last owner let go of it in good order. */
    ACQUIRED,
    /** The last owner died with it; the state it guards needs recovery. */
    OWNER_DIED,
    /** Somebody holds it. */
    BUSY
  }

  private static final int PTHREAD_PROCESS_SHARED = 1;
  private static final int PTHREAD_MUTEX_ROBUST = 1;
  private static final int PTHREAD_MUTEX_ERRORCHECK = 2;
  private static final int CLOCK_MONOTONIC = 1;
  private static final long NANOS_PER_SECOND = 1_000_000_000L;

  private final long address;

  /** Wraps a mutex at an address aligned to 8 bytes. */
  public RobustMutex(final long address) {
    this.address = address;
  }

  /** Writes a free mutex; only before any other process can see the segment. */
  public void initialise() {
    final long attribute = Mem.allocate(Long.BYTES);
    try {
      checkReturn(Libc.pthread_mutexattr_init(attribute), "pthread_mutexattr_init");
      checkReturn(
          Libc.pthread_mutexattr_setpshared(attribute, PTHREAD_PROCESS_SHARED), "setpshared");
      checkReturn(Libc.pthread_mutexattr_setrobust(attribute, PTHREAD_MUTEX_ROBUST), "setrobust");
      checkReturn(Libc.pthread_mutexattr_settype(attribute, PTHREAD_MUTEX_ERRORCHECK), "settype");
      checkReturn(Libc.pthread_mutex_init(address, attribute), "pthread_mutex_init");
    } finally {
      Mem.free(attribute);
    }
  }

  public Outcome tryLock() {
    return outcome(Libc.pthread_mutex_trylock(address), "pthread_mutex_trylock");
  }

  /** Waits for at most {@code timeoutNs}; {@link Outcome#BUSY} when that time passed. */
  public Outcome lock(final long timeoutNs) {
    final long deadlineNs = System.nanoTime() + timeoutNs;
    final long timespec = Mem.allocate(2 * Long.BYTES);
    try {
      Mem.putLong(timespec, deadlineNs / NANOS_PER_SECOND);
      Mem.putLong(timespec + Long.BYTES, deadlineNs % NANOS_PER_SECOND);
      return outcome(
          Libc.pthread_mutex_clocklock(address, CLOCK_MONOTONIC, timespec),
          "pthread_mutex_clocklock");
    } finally {
      Mem.free(timespec);
    }
  }

  public void unlock() {
    checkReturn(Libc.pthread_mutex_unlock(address), "pthread_mutex_unlock");
  }

  private Outcome outcome(final int result, final String operation) {
    return switch (result) {
      case 0 -> Outcome.ACQUIRED;
      case Errno.EBUSY, Errno.ETIMEDOUT -> Outcome.BUSY;
      case Errno.EOWNERDEAD -> {
        checkReturn(Libc.pthread_mutex_consistent(address), "pthread_mutex_consistent");
        yield Outcome.OWNER_DIED;
      }
      default -> throw new SysException(operation, result);
    };
  }

  private static void checkReturn(final int result, final String operation) {
    if (result != 0) {
      throw new SysException(operation, result);
    }
  }
}
