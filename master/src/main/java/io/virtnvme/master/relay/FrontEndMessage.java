package io.virtnvme.master.relay;

import io.virtnvme.ipc.sys.Fds;

/** A message that lies in its socket still, as it was peeked. */
final class FrontEndMessage {
  private final byte[] bytes;
  private final int[] pieceLengths;
  private int[] fds;

  FrontEndMessage(final byte[] bytes, final int[] fds, final int[] pieceLengths) {
    this.bytes = bytes;
    this.fds = fds;
    this.pieceLengths = pieceLengths;
  }

  /** Header and payload. */
  byte[] bytes() {
    return bytes;
  }

  /** Duplicates of its descriptors. */
  int[] fds() {
    return fds;
  }

  /**
   * How the bytes must be taken out of the socket: a receive ends behind the bytes that descriptors
   * came with.
   */
  int[] pieceLengths() {
    return pieceLengths;
  }

  /** The descriptors have another owner now. */
  void forgetFds() {
    fds = new int[0];
  }

  void closeFds() {
    for (final int fd : fds) {
      Fds.close(fd);
    }
    forgetFds();
  }
}
