package io.virtnvme.slave.bdev;

/**
 * A block device cannot be opened or resized. The text says which one, why, and what to do; control
 * plane only.
 */
public final class BdevException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int errno;

  BdevException(final String bdevName, final String problem, final int errno) {
    super("bdev " + bdevName + ": " + problem);
    this.errno = errno;
  }

  /** A positive error number that fits, for an RPC error. */
  public int errno() {
    return errno;
  }
}
