package io.virtnvme.ipc.nvme.client;

/** What an {@link NvmeClient} asks of a controller. */
public final class NvmeClientConfig {
  private static final int QUEUE_COUNT_MAX = 64;
  private static final int QUEUE_SIZE_MAX = 4095;
  private static final long PAGE_BYTES = 4096;
  private static final long HUGE_PAGE_BYTES = 2 * 1024 * 1024;

  private String socketPath;
  private int queueCount = 1;
  private int queueSize = 128;
  private long memoryBytes = 16 * 1024 * 1024;
  private boolean hugePages;
  private boolean mapDoorbells = true;
  private int namespaceId = 1;
  private int timeoutMs = 10_000;

  /** Path of the controller's socket. */
  public NvmeClientConfig socketPath(final String path) {
    socketPath = path;
    return this;
  }

  /** Pairs of I/O queues, 1..64; default 1. */
  public NvmeClientConfig queueCount(final int count) {
    queueCount = count;
    return this;
  }

  /** Requests that each has room for, 1..4095; default 128. */
  public NvmeClientConfig queueSize(final int requestCount) {
    queueSize = requestCount;
    return this;
  }

  /** Bytes of guest memory, queues included; default 16 MiB. */
  public NvmeClientConfig memoryBytes(final long lengthBytes) {
    memoryBytes = lengthBytes;
    return this;
  }

  /** Guest memory on 2 MiB pages of the host's pool; default off. */
  public NvmeClientConfig hugePages(final boolean enabled) {
    hugePages = enabled;
    return this;
  }

  /** Store to the doorbells where the server lets us; default on. */
  public NvmeClientConfig mapDoorbells(final boolean enabled) {
    mapDoorbells = enabled;
    return this;
  }

  /** The namespace that the queues use; default 1. */
  public NvmeClientConfig namespaceId(final int id) {
    namespaceId = id;
    return this;
  }

  /** Limit of each wait for the controller; default 10 s. */
  public NvmeClientConfig timeoutMs(final int limitMs) {
    timeoutMs = limitMs;
    return this;
  }

  NvmeClientConfig conclude() {
    if (socketPath == null || socketPath.isEmpty()) {
      throw new IllegalArgumentException("no socket path");
    }
    requireRange("queue count", queueCount, 1, QUEUE_COUNT_MAX);
    requireRange("queue size", queueSize, 1, QUEUE_SIZE_MAX);
    requireRange("memory bytes", memoryBytes, PAGE_BYTES, 1L << 40);
    requireRange("timeout ms", timeoutMs, 1, 600_000);
    final long unit = hugePages ? HUGE_PAGE_BYTES : PAGE_BYTES;
    memoryBytes = (memoryBytes + unit - 1) / unit * unit;
    return this;
  }

  private static void requireRange(
      final String what, final long value, final long min, final long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(what + "=" + value + ", allowed " + min + ".." + max);
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

  long memoryBytes() {
    return memoryBytes;
  }

  boolean hugePages() {
    return hugePages;
  }

  boolean mapDoorbells() {
    return mapDoorbells;
  }

  int namespaceId() {
    return namespaceId;
  }

  int timeoutMs() {
    return timeoutMs;
  }
}
