package io.virtnvme.ipc.virtio;

/** Bit numbers of virtio's device-independent features (virtio 1.2, 6) and of vhost's own. */
public final class VirtioFeature {
  /** Vhost: log what is written to guest memory. */
  public static final int LOG_ALL = 26;

  public static final int ANY_LAYOUT = 27;
  public static final int RING_INDIRECT_DESC = 28;
  public static final int RING_EVENT_IDX = 29;

  /** Vhost-user: protocol features are negotiated; rings start disabled. */
  public static final int PROTOCOL_FEATURES = 30;

  public static final int VERSION_1 = 32;
  public static final int ACCESS_PLATFORM = 33;
  public static final int RING_PACKED = 34;
  public static final int IN_ORDER = 35;
  public static final int ORDER_PLATFORM = 36;
  public static final int RING_RESET = 40;

  private VirtioFeature() {}

  /** Whether a bit is set. */
  public static boolean has(final long features, final int bit) {
    return (features >>> bit & 1) != 0;
  }

  /** A word with the given bits set. */
  public static long of(final int... bits) {
    long features = 0;
    for (final int bit : bits) {
      features |= 1L << bit;
    }
    return features;
  }
}
