package io.virtnvme.ipc.sys;

/**
 * A system call failed; carries the error number. Control plane only: data-path calls return
 * negative error numbers.
 */
public final class SysException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int errno;

  public SysException(final String operation, final int errno) {
    super(operation + ": " + Errno.text(errno));
    this.errno = errno;
  }

  public int errno() {
    return errno;
  }
}
