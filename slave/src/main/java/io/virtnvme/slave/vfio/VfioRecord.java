package io.virtnvme.slave.vfio;

import io.virtnvme.slave.session.SessionException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.BitSet;
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
 *         |      data transfer size       |         region count          |
 *  24     +-------------------------------+-------------------------------+
 *         |  interrupt vectors with an eventfd, one bit each (24 bytes)    |
 *  48     +---------------------------------------------------------------+
 *         |  PCI configuration space (256 bytes)                           |
 *  304    +---------------------------------------------------------------+
 *         |  sequence of the last message that changed the state, 0 = none |
 *  312    +-------------------------------+-------------------------------+
 *         |        reply length           |           reserved            |
 *  320    +-------------------------------+-------------------------------+ region count times
 *         |            slot               |            flags              |
 *  +8     +-------------------------------+-------------------------------+
 *         |  address, length, file offset (8 each)                         |
 *  +32    +---------------------------------------------------------------+ then
 *         |  the reply to that message                                     |
 *         +---------------------------------------------------------------+
 * </pre>
 *
 * <p>There is one encoding for a state: what decodes encodes to the same bytes again.
 */
public final class VfioRecord {
  /** Grows with every change; a reader refuses any other. */
  public static final int VERSION = 1;

  static final int MAGIC = 0x52554656; // "VFUR"
  static final int VECTOR_BYTES = 24;
  static final int HEADER_LENGTH = 24 + VECTOR_BYTES + PciConfigSpace.LENGTH + 16;
  static final int REGION_LENGTH = 32;

  private static final int FLAG_NEGOTIATED = 1;
  private static final int FLAG_ERR = 2;
  private static final int FLAG_REQ = 4;
  private static final int FLAGS_KNOWN = 7;

  private static final int REGION_READABLE = 1;
  private static final int REGION_WRITABLE = 2;
  private static final int REGION_FLAGS_KNOWN = 3;

  private static final byte[] NO_REPLY = {};

  private VfioRecord() {}

  static byte[] encode(final VfioState state) {
    final byte[] reply = state.last() == null ? NO_REPLY : state.last().reply();
    final int length = HEADER_LENGTH + state.regions().size() * REGION_LENGTH + reply.length;
    final ByteBuffer out = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(MAGIC).putInt(VERSION).putInt(length);
    out.putInt(
        (state.negotiated() ? FLAG_NEGOTIATED : 0)
            | (state.hasErr() ? FLAG_ERR : 0)
            | (state.hasReq() ? FLAG_REQ : 0));
    out.putInt(state.maxDataXferSize()).putInt(state.regions().size());
    final byte[] vectors = state.vectors().toByteArray();
    out.put(vectors).put(new byte[VECTOR_BYTES - vectors.length]);
    out.put(state.config().bytes());
    out.putLong(state.last() == null ? 0 : state.last().sequence());
    out.putInt(reply.length).putInt(0);
    for (final DmaRegion region : state.regions()) {
      out.putInt(region.slot());
      out.putInt(
          (region.readable() ? REGION_READABLE : 0) | (region.writable() ? REGION_WRITABLE : 0));
      out.putLong(region.address()).putLong(region.lengthBytes()).putLong(region.fileOffsetBytes());
    }
    return out.put(reply).array();
  }

  /**
   * Reads a record. Throws {@link SessionException} for bytes that no build of this version writes
   * for a device with so many vectors.
   */
  static VfioState decode(final byte[] record, final int vectorCount) {
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
    final int maxDataXferSize = in.getInt();
    require(
        maxDataXferSize >= 0 && maxDataXferSize <= VfioMessages.DATA_XFER_SIZE_MAX,
        "data transfer size=" + maxDataXferSize + " max=" + VfioMessages.DATA_XFER_SIZE_MAX);
    final int regionCount = in.getInt();
    require(
        regionCount >= 0 && regionCount <= VfioMessages.REGION_COUNT_MAX,
        "regions=" + regionCount + " max=" + VfioMessages.REGION_COUNT_MAX);
    final byte[] vectorBytes = new byte[VECTOR_BYTES];
    in.get(vectorBytes);
    final BitSet vectors = BitSet.valueOf(vectorBytes);
    require(vectors.length() <= vectorCount, "vectors=" + vectors + " of " + vectorCount);
    final byte[] configBytes = new byte[PciConfigSpace.LENGTH];
    in.get(configBytes);
    final PciConfigSpace config = PciConfigSpace.of(configBytes, vectorCount);
    require(config != null, "the configuration space is another device's");
    final long sequence = in.getLong();
    final int replyLength = in.getInt();
    require(
        replyLength >= 0 && replyLength <= VfioState.Settled.REPLY_LENGTH_MAX,
        "reply length=" + replyLength + " max=" + VfioState.Settled.REPLY_LENGTH_MAX);
    require(in.getInt() == 0, "a field that must be zero is not");
    require(
        length == HEADER_LENGTH + regionCount * REGION_LENGTH + replyLength,
        "length=" + length + " for regions=" + regionCount + " reply=" + replyLength);
    final List<DmaRegion> regions = decodeRegions(in, regionCount);
    final byte[] reply = new byte[replyLength];
    in.get(reply);
    require((sequence > 0) == (replyLength > 0), "sequence=" + sequence + " reply=" + replyLength);
    return new VfioState(
        (flags & FLAG_NEGOTIATED) != 0,
        maxDataXferSize,
        regions,
        vectors,
        (flags & FLAG_ERR) != 0,
        (flags & FLAG_REQ) != 0,
        config,
        sequence == 0 ? null : new VfioState.Settled(sequence, reply));
  }

  private static List<DmaRegion> decodeRegions(final ByteBuffer in, final int count) {
    final List<DmaRegion> regions = new ArrayList<>(count);
    final BitSet slots = new BitSet();
    long end = 0;
    for (int i = 0; i < count; i++) {
      final int slot = in.getInt();
      require(
          slot == DmaRegion.NO_SLOT || (slot >= 0 && slot < VfioSlots.REGION_COUNT_MAX),
          "region slot=" + slot + " max=" + (VfioSlots.REGION_COUNT_MAX - 1));
      require(slot < 0 || !slots.get(slot), "two regions in slot " + slot);
      if (slot >= 0) {
        slots.set(slot);
      }
      final int flags = in.getInt();
      require(
          (flags & ~REGION_FLAGS_KNOWN) == 0 && flags != 0,
          "flags of region " + i + ": flags=0x" + Integer.toHexString(flags));
      final long address = in.getLong();
      final long lengthBytes = in.getLong();
      final long fileOffsetBytes = in.getLong();
      require(
          lengthBytes > 0 && Long.compareUnsigned(address + lengthBytes - 1, address) >= 0,
          "region out of range: address=0x"
              + Long.toHexString(address)
              + " length="
              + Long.toUnsignedString(lengthBytes));
      require(
          i == 0 || (end != 0 && Long.compareUnsigned(address, end) >= 0),
          "regions overlap or are out of order at address=0x" + Long.toHexString(address));
      end = address + lengthBytes;
      require(
          fileOffsetBytes >= 0 && fileOffsetBytes <= Long.MAX_VALUE - lengthBytes,
          "file offset of region " + i + ": " + fileOffsetBytes);
      regions.add(
          new DmaRegion(
              address,
              lengthBytes,
              fileOffsetBytes,
              slot,
              (flags & REGION_READABLE) != 0,
              (flags & REGION_WRITABLE) != 0));
    }
    return regions;
  }

  private static void require(final boolean holds, final String text) {
    if (!holds) {
      throw new SessionException("session record: " + text);
    }
  }
}
