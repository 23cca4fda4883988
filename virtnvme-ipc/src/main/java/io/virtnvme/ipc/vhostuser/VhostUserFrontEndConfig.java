package io.virtnvme.ipc.vhostuser;

/**
 * What a {@link VhostUserFrontEnd} asks of a back-end. Each setter is checked by {@link #conclude},
 * which the front-end calls once.
 */
public final class VhostUserFrontEndConfig {
  private static final int QUEUE_COUNT_MAX = 64;
  private static final int QUEUE_SIZE_MAX = 32768;
  private static final int SEGMENT_MAX = 1024;
  private static final long PAGE_BYTES = 4096;
  private static final long HUGE_PAGE_BYTES = 2 * 1024 * 1024;

  private String socketPath;
  private int queueCount = 1;
  private int queueSize = 128;
  private int segmentMax = 4;
  private long memoryBytes = 16 * 1024 * 1024;
  private boolean hugePages;
  private boolean packed;
  private boolean indirect = true;
  private boolean eventIdx = true;
  private boolean inflight = true;
  private boolean replyAck = true;
  private boolean memorySlots;
  private long deviceFeatures;
  private int timeoutMs = 5000;

  /** Path of the back-end's listening socket. */
  public VhostUserFrontEndConfig socketPath(final String path) {
    socketPath = path;
    return this;
  }

  /** Request queues to set up, 1..64; default 1. */
  public VhostUserFrontEndConfig queueCount(final int count) {
    queueCount = count;
    return this;
  }

  /** Descriptors per queue, 2..32768, a power of two for split rings; default 128. */
  public VhostUserFrontEndConfig queueSize(final int descriptorCount) {
    queueSize = descriptorCount;
    return this;
  }

  /** Data segments that one request may have, 1..1024; default 4. */
  public VhostUserFrontEndConfig segmentMax(final int count) {
    segmentMax = count;
    return this;
  }

  /** Bytes of guest memory, rings included; rounded up to whole pages. Default 16 MiB. */
  public VhostUserFrontEndConfig memoryBytes(final long lengthBytes) {
    memoryBytes = lengthBytes;
    return this;
  }

  /**
   * Guest memory on 2 MiB pages of the host's hugetlb pool, which must hold enough; default off.
   */
  public VhostUserFrontEndConfig hugePages(final boolean enabled) {
    hugePages = enabled;
    return this;
  }

  /** Packed rings, an error when the back-end has none; default split. */
  public VhostUserFrontEndConfig packed(final boolean enabled) {
    packed = enabled;
    return this;
  }

  /** Indirect descriptors, if the back-end has them; default on. */
  public VhostUserFrontEndConfig indirect(final boolean enabled) {
    indirect = enabled;
    return this;
  }

  /** Event index, if the back-end has it; default on. */
  public VhostUserFrontEndConfig eventIdx(final boolean enabled) {
    eventIdx = enabled;
    return this;
  }

  /** Inflight region, if the back-end has it; default on. */
  public VhostUserFrontEndConfig inflight(final boolean enabled) {
    inflight = enabled;
    return this;
  }

  /** An acknowledgement of every message that has no reply, if the back-end can; default on. */
  public VhostUserFrontEndConfig replyAck(final boolean enabled) {
    replyAck = enabled;
    return this;
  }

  /** ADD_MEM_REG per region instead of SET_MEM_TABLE, if the back-end can; default off. */
  public VhostUserFrontEndConfig memorySlots(final boolean enabled) {
    memorySlots = enabled;
    return this;
  }

  /** Feature bits of the device type (bits 0..23) to take if they are offered; default none. */
  public VhostUserFrontEndConfig deviceFeatures(final long features) {
    deviceFeatures = features;
    return this;
  }

  /** Limit for each message that waits for an answer, 1..600000 ms; default 5000. */
  public VhostUserFrontEndConfig timeoutMs(final int limitMs) {
    timeoutMs = limitMs;
    return this;
  }

  /** Checks every value; throws {@link IllegalArgumentException} with the value and its range. */
  void conclude() {
    if (socketPath == null || socketPath.isEmpty()) {
      throw new IllegalArgumentException("no socket path given");
    }
    checkRange("queue count", queueCount, 1, QUEUE_COUNT_MAX);
    checkRange("queue size", queueSize, 2, QUEUE_SIZE_MAX);
    checkRange("segments per request", segmentMax, 1, SEGMENT_MAX);
    if (!packed && Integer.bitCount(queueSize) != 1) {
      throw new IllegalArgumentException(
          "queue size of a split ring must be a power of two: size=" + queueSize);
    }
    checkRange("timeout ms", timeoutMs, 1, 600_000);
    final long pageBytes = hugePages ? HUGE_PAGE_BYTES : PAGE_BYTES;
    checkRange("memory bytes", memoryBytes, 1, 1L << 40);
    memoryBytes = (memoryBytes + pageBytes - 1) / pageBytes * pageBytes;
  }

  private static void checkRange(
      final String what, final long value, final long least, final long most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          what + " out of range: value=" + value + " range=" + least + ".." + most);
    }
  }

  String socketPath() {
    return socketPath;
  }

  int queueCount() {
    return queueCount;
  }

  int queueSize() {
    return queueSize;
  }

  int segmentMax() {
    return segmentMax;
  }

  long memoryBytes() {
    return memoryBytes;
  }

  boolean hugePages() {
    return hugePages;
  }

  boolean packed() {
    return packed;
  }

  boolean indirect() {
    return indirect;
  }

  boolean eventIdx() {
    return eventIdx;
  }

  boolean inflight() {
    return inflight;
  }

  boolean replyAck() {
    return replyAck;
  }

  boolean memorySlots() {
    return memorySlots;
  }

  long deviceFeatures() {
    return deviceFeatures;
  }

  int timeoutMs() {
    return timeoutMs;
  }
}
