package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/**
 * Eventfd: create, signal, drain. {@code signal} and {@code drain} are data-path calls: no
 * allocation, no exception. Each instance of this class belongs to one thread (it owns the 8-byte
 * scratch word).
 */
public final class EventFd {
  private static final int EFD_CLOEXEC = 0x80000;
  private static final int EFD_NONBLOCK = 0x800;

  private final long scratch = Mem.allocate(2 * Long.BYTES);

  public EventFd() {
    Mem.putLong(scratch, 1L);
  }

  public static int create() {
    return Sys.check(Libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  }

  /**
   * Adds 1; a peer's eventfd that is full or broken is the peer's loss: the result says whether it
   * was taken.
   */
  public boolean signal(final int fd) {
    return Libc.write(fd, scratch, Long.BYTES) == Long.BYTES;
  }

  /**
   * Resets the counter to 0 without blocking (the descriptor must be non-blocking, or known to be
   * readable).
   */
  public void drain(final int fd) {
    Libc.read(fd, scratch + Long.BYTES, Long.BYTES);
  }

  /** Frees the scratch word; the thread that owns this instance calls it last. */
  public void free() {
    Mem.free(scratch);
  }
}
