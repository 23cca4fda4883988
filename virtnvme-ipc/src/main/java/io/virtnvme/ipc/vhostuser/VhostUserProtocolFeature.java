package io.virtnvme.ipc.vhostuser;

/**
 * Protocol features of vhost-user, and the feature bits that vhost adds to virtio's ("Protocol
 * features"). Any thread.
 */
public enum VhostUserProtocolFeature {
  MQ(0),
  LOG_SHMFD(1),
  RARP(2),
  REPLY_ACK(3),
  MTU(4),
  BACKEND_REQ(5),
  CROSS_ENDIAN(6),
  CRYPTO_SESSION(7),
  PAGEFAULT(8),
  CONFIG(9),
  BACKEND_SEND_FD(10),
  HOST_NOTIFIER(11),
  INFLIGHT_SHMFD(12),
  RESET_DEVICE(13),
  INBAND_NOTIFICATIONS(14),
  CONFIGURE_MEM_SLOTS(15),
  STATUS(16),
  XEN_MMAP(17),
  SHARED_OBJECT(18),
  DEVICE_STATE(19);

  /** Virtio feature bit 26: every write to guest memory is marked in the dirty log. */
  public static final long VHOST_F_LOG_ALL = 1L << 26;

  /** Virtio feature bit 30: the peer knows protocol features. */
  public static final long VHOST_USER_F_PROTOCOL_FEATURES = 1L << 30;

  private final int bit;

  VhostUserProtocolFeature(final int bit) {
    this.bit = bit;
  }

  public int bit() {
    return bit;
  }

  /** The feature's bit set, as in GET_PROTOCOL_FEATURES. */
  public long mask() {
    return 1L << bit;
  }

  public boolean isIn(final long protocolFeatures) {
    return (protocolFeatures & mask()) != 0;
  }

  /** The masks of several features together. */
  public static long maskOf(final VhostUserProtocolFeature... features) {
    long mask = 0;
    for (final VhostUserProtocolFeature feature : features) {
      mask |= feature.mask();
    }
    return mask;
  }
}
