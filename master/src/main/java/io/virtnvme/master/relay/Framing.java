package io.virtnvme.master.relay;

import io.virtnvme.ipc.relay.SessionDescription.Protocol;

/**
 * Where the messages of a front-end's protocol end: all that the master knows of it.
 *
 * <p>vhost-user: a header of 12 bytes, 32 bits at 8 say how long the payload is. vfio-user: a
 * header of 16 bytes, 32 bits at 4 say how long the message is, header included; VirtNvme: the
 * same, and no descriptors.
 */
enum Framing {
  VHOST_USER(12, 8, false, 32),
  VFIO_USER(16, 4, true, 32),
  VIRTNVME(16, 4, true, 0);

  /** More than any message of either specification, and what a slave's message has room for. */
  static final int MESSAGE_LENGTH_MAX = 64 * 1024;

  private final int headerLength;
  private final int sizeOffset;
  private final boolean sizeCountsHeader;
  private final int fdCountMax;

  Framing(
      final int headerLength,
      final int sizeOffset,
      final boolean sizeCountsHeader,
      final int fdCountMax) {
    this.headerLength = headerLength;
    this.sizeOffset = sizeOffset;
    this.sizeCountsHeader = sizeCountsHeader;
    this.fdCountMax = fdCountMax;
  }

  static Framing of(final Protocol protocol) {
    return switch (protocol) {
      case VHOST_USER_BLK -> VHOST_USER;
      case VFIO_USER_NVME -> VFIO_USER;
      case VIRTNVME -> VIRTNVME;
    };
  }

  int headerLength() {
    return headerLength;
  }

  int sizeOffset() {
    return sizeOffset;
  }

  int fdCountMax() {
    return fdCountMax;
  }

  /**
   * Length of a message, header included.
   *
   * @param size what its header says
   * @throws FrontEndException when no message has that length
   */
  int messageLength(final int size) throws FrontEndException {
    final long length = Integer.toUnsignedLong(size) + (sizeCountsHeader ? 0 : headerLength);
    if (length < headerLength || length > MESSAGE_LENGTH_MAX) {
      throw FrontEndException.brokeTheRules(
          "message length out of range: bytes="
              + length
              + ", allowed "
              + headerLength
              + ".."
              + MESSAGE_LENGTH_MAX);
    }
    return (int) length;
  }
}
