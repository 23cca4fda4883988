package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/**
 * Level-triggered epoll with a 64-bit token per descriptor. One thread waits; any thread may add or
 * remove.
 */
public final class Epoll implements AutoCloseable {
  public static final int IN = 0x1;
  public static final int OUT = 0x4;
  public static final int ERR = 0x8;
  public static final int HUP = 0x10;
  public static final int RDHUP = 0x2000;

  private static final int EPOLL_CLOEXEC = 0x80000;
  private static final long EPOLL_PWAIT2 = 441;
  private static final int SIGNAL_SET_BYTES = 8;
  private static final long NS_PER_SECOND = 1_000_000_000L;
  private static final long NS_PER_MS = 1_000_000L;
  private static final int CTL_ADD = 1;
  private static final int CTL_DEL = 2;
  private static final int CTL_MOD = 3;
  // struct epoll_event is packed on x86-64 only.
  private static final int EVENT_BYTES = System.getProperty("os.arch").equals("amd64") ? 12 : 16;
  private static final int DATA_OFFSET = EVENT_BYTES - Long.BYTES;

  private final int fd = Sys.check(Libc.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  private final int eventCountMax;
  private final long events;
  private final long timespec = Mem.allocate(2 * Long.BYTES);

  public Epoll(final int eventCountMax) {
    this.eventCountMax = eventCountMax;
    this.events = Mem.allocate((long) EVENT_BYTES * eventCountMax);
  }

  public void add(final int watchedFd, final int interest, final long token) {
    Sys.check(control(CTL_ADD, watchedFd, interest, token), "epoll add of fd " + watchedFd);
  }

  public void modify(final int watchedFd, final int interest, final long token) {
    Sys.check(control(CTL_MOD, watchedFd, interest, token), "epoll modify of fd " + watchedFd);
  }

  /** Stops watching; a descriptor that is not watched is no error. */
  public void remove(final int watchedFd) {
    control(CTL_DEL, watchedFd, 0, 0);
  }

  private int control(
      final int operation, final int watchedFd, final int interest, final long token) {
    final long event = Mem.allocate(16);
    Mem.putInt(event, interest);
    Mem.putLong(event + DATA_OFFSET, token);
    final int result = Libc.epoll_ctl(fd, operation, watchedFd, event);
    Mem.free(event);
    return result;
  }

  /**
   * Waits; the number of ready descriptors, 0 after {@code timeoutMs} (-1 = no limit) or an
   * interrupted call. No allocation.
   */
  public int await(final int timeoutMs) {
    return Math.max(0, Libc.epoll_wait(fd, events, eventCountMax, timeoutMs));
  }

  /**
   * As {@link #await}, with a limit in nanoseconds, at least 0. A kernel before 5.11 rounds it up
   * to milliseconds.
   */
  public int awaitNs(final long timeoutNs) {
    Mem.putLong(timespec, timeoutNs / NS_PER_SECOND);
    Mem.putLong(timespec + Long.BYTES, timeoutNs % NS_PER_SECOND);
    final long readyCount =
        Libc.syscall(EPOLL_PWAIT2, fd, events, eventCountMax, timespec, 0, SIGNAL_SET_BYTES);
    return readyCount >= 0
        ? (int) readyCount
        : await((int) ((timeoutNs + NS_PER_MS - 1) / NS_PER_MS));
  }

  public long token(final int index) {
    return Mem.getLong(events + (long) index * EVENT_BYTES + DATA_OFFSET);
  }

  public int readiness(final int index) {
    return Mem.getInt(events + (long) index * EVENT_BYTES);
  }

  @Override
  public void close() {
    Fds.close(fd);
    Mem.free(events);
    Mem.free(timespec);
  }
}
