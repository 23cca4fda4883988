package io.virtnvme.slave.vfio;

/** A message is answered with an errno, and the session goes on. The text stands alone in a log. */
final class RefusedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int errno;

  RefusedException(final int errno, final String text) {
    super(text, null, false, false);
    this.errno = errno;
  }

  int errno() {
    return errno;
  }
}
