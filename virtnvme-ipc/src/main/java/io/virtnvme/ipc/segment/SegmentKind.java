package io.virtnvme.ipc.segment;

/** What a segment is. The code is stored in the header, so it never changes. */
public enum SegmentKind {
  SEAT(1, 1, 1),
  SESSION(2, 1, 1),
  MEM_DISK(3, 1, 0),
  /** A memfd, see {@link io.virtnvme.ipc.qpair.QpairSegment}. */
  QPAIR(4, 1, 0),
  DIRTY(5, 1, 0),
  /** See {@link io.virtnvme.ipc.nvme.queue.DeviceQueueSegment}. */
  NVME_QUEUE(6, 1, 1);

  private final int code;
  private final int majorVersion;
  private final int minorVersion;

  SegmentKind(final int code, final int majorVersion, final int minorVersion) {
    this.code = code;
    this.majorVersion = majorVersion;
    this.minorVersion = minorVersion;
  }

  public int code() {
    return code;
  }

  /** A reader refuses any other major version. */
  public int majorVersion() {
    return majorVersion;
  }

  /** Grows when fields are added behind the ones that older readers know. */
  public int minorVersion() {
    return minorVersion;
  }
}
