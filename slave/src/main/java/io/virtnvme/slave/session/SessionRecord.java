package io.virtnvme.slave.session;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A session's state as bytes, little endian: made by the slave that serves it, kept by the master,
 * read by standbys. Descriptors are not in it: the state says which slots hold one.
 *
 * <pre>
 *  0      +-------------------------------+-------------------------------+
 *         |            magic              |            version            |
 *  8      +-------------------------------+-------------------------------+
 *         |           length              |            flags              |
 *  16     +-------------------------------+-------------------------------+
 *         |                          features                             |
 *  24     +---------------------------------------------------------------+
 *         |                      protocol features                        |
 *  32     +-------------------------------+-------------------------------+
 *         |           status              |         region count          |
 *  40     +-------------------------------+-------------------------------+
 *         |         ring count            |     inflight queue count      |
 *  48     +-------------------------------+-------------------------------+
 *         |     inflight queue size       |           reserved            |
 *  56     +-------------------------------+-------------------------------+
 *         |                       inflight length                         |
 *  64     +---------------------------------------------------------------+
 *         |                       inflight offset                         |
 *  72     +---------------------------------------------------------------+
 *         |                         log length                            |
 *  80     +---------------------------------------------------------------+
 *         |                         log offset                            |
 *  88     +---------------------------------------------------------------+ region count times
 *         |            slot               |           reserved            |
 *  +8     +-------------------------------+-------------------------------+
 *         |  guest address, user address, length, file offset (8 each)    |
 *  +40    +---------------------------------------------------------------+ then ring count times
 *         |            size               |            flags              |
 *  +8     +-------------------------------+-------------------------------+
 *         |            base               |           reserved            |
 *  +16    +-------------------------------+-------------------------------+
 *         |  descriptor, used, available, log (8 each)                    |
 *  +48    +---------------------------------------------------------------+
 * </pre>
 *
 * <p>There is one encoding for a state: what decodes encodes to the same bytes again.
 */
public final class SessionRecord {
  /** Grows with every change; a reader refuses any other. */
  public static final int VERSION = 1;

  static final int MAGIC = 0x52535556; // "VUSR"
  static final int HEADER_LENGTH = 88;
  static final int REGION_LENGTH = 40;
  static final int RING_LENGTH = 48;

  private static final int FLAG_WRITEBACK = 1;
  private static final int FLAG_INFLIGHT = 2;
  private static final int FLAG_INFLIGHT_OWN = 4;
  private static final int FLAG_LOG = 8;
  private static final int FLAG_BACKEND_REQUEST = 16;
  private static final int FLAG_LOG_NOTIFY = 32;
  private static final int FLAGS_KNOWN = 63;

  private static final int RING_ENABLED = 1;
  private static final int RING_CALL = 2;
  private static final int RING_ERROR = 4;
  private static final int RING_ADDRESSES = 8;
  private static final int RING_LOGGED = 16;
  private static final int RING_KICK_SHIFT = 8;
  private static final int RING_FLAGS_KNOWN = 31 | 0xFF << RING_KICK_SHIFT;

  private SessionRecord() {}

  static byte[] encode(final SessionState state) {
    final int regionCount = (int) state.regions().stream().filter(region -> region != null).count();
    final int length =
        HEADER_LENGTH + regionCount * REGION_LENGTH + state.rings().size() * RING_LENGTH;
    final ByteBuffer out = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    final InflightState inflight = state.inflight();
    final AreaState log = state.log();
    out.putInt(MAGIC).putInt(VERSION).putInt(length).putInt(flagsOf(state));
    out.putLong(state.features()).putLong(state.protocolFeatures());
    out.putInt(state.status()).putInt(regionCount).putInt(state.rings().size());
    out.putInt(inflight == null ? 0 : inflight.queueCount());
    out.putInt(inflight == null ? 0 : inflight.queueSize()).putInt(0);
    out.putLong(inflight == null ? 0 : inflight.lengthBytes());
    out.putLong(inflight == null ? 0 : inflight.fileOffsetBytes());
    out.putLong(log == null ? 0 : log.lengthBytes());
    out.putLong(log == null ? 0 : log.fileOffsetBytes());
    for (int slot = 0; slot < state.regions().size(); slot++) {
      final RegionState region = state.regions().get(slot);
      if (region != null) {
        out.putInt(slot).putInt(0).putLong(region.guestAddress()).putLong(region.userAddress());
        out.putLong(region.lengthBytes()).putLong(region.fileOffsetBytes());
      }
    }
    state.rings().forEach(ring -> encodeRing(out, ring));
    return out.array();
  }

  private static int flagsOf(final SessionState state) {
    return (state.writeback() ? FLAG_WRITEBACK : 0)
        | (state.inflight() != null ? FLAG_INFLIGHT : 0)
        | (state.inflight() != null && state.inflight().own() ? FLAG_INFLIGHT_OWN : 0)
        | (state.log() != null ? FLAG_LOG : 0)
        | (state.hasBackendRequest() ? FLAG_BACKEND_REQUEST : 0)
        | (state.hasLogNotify() ? FLAG_LOG_NOTIFY : 0);
  }

  private static void encodeRing(final ByteBuffer out, final RingState ring) {
    final RingState.Addresses at = ring.addresses();
    out.putInt(ring.size());
    out.putInt(
        (ring.enabled() ? RING_ENABLED : 0)
            | (ring.hasCall() ? RING_CALL : 0)
            | (ring.hasError() ? RING_ERROR : 0)
            | (at != null ? RING_ADDRESSES : 0)
            | (at != null && at.logged() ? RING_LOGGED : 0)
            | ring.kick().code() << RING_KICK_SHIFT);
    out.putInt(ring.base()).putInt(0);
    out.putLong(at == null ? 0 : at.descriptor()).putLong(at == null ? 0 : at.used());
    out.putLong(at == null ? 0 : at.available()).putLong(at == null ? 0 : at.log());
  }

  /**
   * Reads a record; every number in the result is still to be checked by {@link SessionRules}.
   * Throws {@link SessionException} for bytes that no build of this version writes.
   */
  static SessionState decode(final byte[] record) {
    require(
        record.length >= HEADER_LENGTH,
        "too short: bytes=" + record.length + " header=" + HEADER_LENGTH);
    final ByteBuffer in = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
    final int magic = in.getInt();
    require(magic == MAGIC, "wrong magic: 0x" + Integer.toHexString(magic));
    final int version = in.getInt();
    require(
        version == VERSION,
        "written by another build: version=" + version + ", this one reads " + VERSION);
    final int length = in.getInt();
    require(length == record.length, "length=" + length + " but bytes=" + record.length);
    final int flags = in.getInt();
    require((flags & ~FLAGS_KNOWN) == 0, "unknown flags: flags=0x" + Integer.toHexString(flags));
    final long features = in.getLong();
    final long protocolFeatures = in.getLong();
    final int status = in.getInt();
    final int regionCount = in.getInt();
    final int ringCount = in.getInt();
    requireCount("regions", regionCount, FdSlots.REGION_COUNT_MAX);
    requireCount("rings", ringCount, FdSlots.QUEUE_COUNT_MAX);
    require(
        length == HEADER_LENGTH + regionCount * REGION_LENGTH + ringCount * RING_LENGTH,
        "length=" + length + " for regions=" + regionCount + " rings=" + ringCount);
    final InflightState inflight = decodeInflight(in, flags);
    final AreaState log = decodeLog(in, flags);
    return new SessionState(
        features,
        protocolFeatures,
        status,
        (flags & FLAG_WRITEBACK) != 0,
        decodeRegions(in, regionCount),
        decodeRings(in, ringCount),
        inflight,
        log,
        (flags & FLAG_BACKEND_REQUEST) != 0,
        (flags & FLAG_LOG_NOTIFY) != 0);
  }

  private static InflightState decodeInflight(final ByteBuffer in, final int flags) {
    final int queueCount = in.getInt();
    final int queueSize = in.getInt();
    requireZero(in.getInt());
    final long lengthBytes = in.getLong();
    final long fileOffsetBytes = in.getLong();
    final boolean own = (flags & FLAG_INFLIGHT_OWN) != 0;
    if ((flags & FLAG_INFLIGHT) == 0) {
      requireZero((own ? 1 : 0) | queueCount | queueSize | lengthBytes | fileOffsetBytes);
      return null;
    }
    return new InflightState(own, lengthBytes, fileOffsetBytes, queueCount, queueSize);
  }

  private static AreaState decodeLog(final ByteBuffer in, final int flags) {
    final long lengthBytes = in.getLong();
    final long fileOffsetBytes = in.getLong();
    if ((flags & FLAG_LOG) == 0) {
      requireZero(lengthBytes | fileOffsetBytes);
      return null;
    }
    return new AreaState(lengthBytes, fileOffsetBytes);
  }

  private static List<RegionState> decodeRegions(final ByteBuffer in, final int count) {
    final RegionState[] regions = new RegionState[FdSlots.REGION_COUNT_MAX];
    int before = -1;
    for (int i = 0; i < count; i++) {
      final int slot = in.getInt();
      require(
          slot > before && slot < FdSlots.REGION_COUNT_MAX,
          "region slots out of order: slot=" + slot + " after=" + before);
      before = slot;
      requireZero(in.getInt());
      regions[slot] = new RegionState(in.getLong(), in.getLong(), in.getLong(), in.getLong());
    }
    return Arrays.asList(regions);
  }

  private static List<RingState> decodeRings(final ByteBuffer in, final int count) {
    final List<RingState> rings = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      final int size = in.getInt();
      final int flags = in.getInt();
      require(
          (flags & ~RING_FLAGS_KNOWN) == 0,
          "unknown flags of ring " + i + ": flags=0x" + Integer.toHexString(flags));
      final int base = in.getInt();
      requireZero(in.getInt());
      final RingState.Addresses addresses = decodeAddresses(in, flags);
      rings.add(
          new RingState(
              size,
              (flags & RING_ENABLED) != 0,
              RingState.Kick.of(flags >>> RING_KICK_SHIFT),
              (flags & RING_CALL) != 0,
              (flags & RING_ERROR) != 0,
              base,
              addresses));
    }
    return List.copyOf(rings);
  }

  private static RingState.Addresses decodeAddresses(final ByteBuffer in, final int flags) {
    final boolean logged = (flags & RING_LOGGED) != 0;
    final long descriptor = in.getLong();
    final long used = in.getLong();
    final long available = in.getLong();
    final long log = in.getLong();
    if ((flags & RING_ADDRESSES) == 0) {
      requireZero((logged ? 1 : 0) | descriptor | used | available | log);
      return null;
    }
    return new RingState.Addresses(descriptor, used, available, logged, log);
  }

  private static void requireCount(final String what, final int count, final int max) {
    require(count >= 0 && count <= max, what + "=" + count + " max=" + max);
  }

  private static void requireZero(final long value) {
    require(value == 0, "a field that must be zero holds 0x" + Long.toHexString(value));
  }

  private static void require(final boolean holds, final String text) {
    if (!holds) {
      throw new SessionException("session record: " + text);
    }
  }
}
