package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.sys.EventFd;

/**
 * The call descriptor of a ring, by which the guest is signalled. One reactor thread; the data
 * path's calls do not allocate.
 */
public final class CallLine {
  private final EventFd eventFd = new EventFd();
  private int fd;
  private boolean forced;

  /** With a descriptor, or -1 for none. */
  public CallLine(final int fd) {
    this.fd = fd;
  }

  /** Takes over a new descriptor, or -1 for none. */
  public void update(final int newFd) {
    fd = newFd;
  }

  /** The next {@link #signal} is due, whatever the guest asked for. */
  public void force() {
    forced = true;
  }

  /** True when the guest was signalled, because it wants to be or because that was forced. */
  public boolean signal(final boolean wanted) {
    final boolean due = (wanted || forced) && fd >= 0;
    forced = false;
    if (due) {
      eventFd.signal(fd);
    }
    return due;
  }

  /** Frees private memory; the last call. */
  public void free() {
    eventFd.free();
  }
}
