package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.sys.EventFd;

/**
 * The call descriptor of a ring, by which the guest is signalled. One reactor thread; the data
 * path's calls do not allocate.
 */
final class CallLine {
  private final EventFd eventFd = new EventFd();
  private int fd;
  private boolean forced;

  /** With a descriptor, or -1 for none. */
  CallLine(final int fd) {
    this.fd = fd;
  }

  void update(final int newFd) {
    fd = newFd;
  }

  /** The next {@link #signal} is due, whatever the guest asked for. */
  void force() {
    forced = true;
  }

  /** True when the guest was signalled, because it wants to be or because that was forced. */
  boolean signal(final boolean wanted) {
    final boolean due = (wanted || forced) && fd >= 0;
    forced = false;
    if (due) {
      eventFd.signal(fd);
    }
    return due;
  }

  void free() {
    eventFd.free();
  }
}
