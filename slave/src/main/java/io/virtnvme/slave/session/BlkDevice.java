package io.virtnvme.slave.session;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.vhostuser.ConfigSpace;
import io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature;
import io.virtnvme.ipc.virtio.BlkConfig;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.blk.BlkLimits;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The virtio-blk device that a session offers: its feature bits and its configuration space.
 * Control thread.
 */
final class BlkDevice {
  private static final int SERIAL_LENGTH_MAX = 20;
  private static final long COMMON_FEATURES =
      VirtioFeature.of(
          VirtioFeature.VERSION_1,
          VirtioFeature.RING_INDIRECT_DESC,
          VirtioFeature.RING_EVENT_IDX,
          VirtioFeature.LOG_ALL,
          VirtioFeature.PROTOCOL_FEATURES,
          BlkFeature.SIZE_MAX,
          BlkFeature.SEG_MAX,
          BlkFeature.BLK_SIZE,
          BlkFeature.TOPOLOGY,
          BlkFeature.FLUSH,
          BlkFeature.CONFIG_WCE,
          BlkFeature.MQ);
  private static final long PROTOCOL_FEATURES =
      VhostUserProtocolFeature.maskOf(
          VhostUserProtocolFeature.MQ,
          VhostUserProtocolFeature.LOG_SHMFD,
          VhostUserProtocolFeature.REPLY_ACK,
          VhostUserProtocolFeature.BACKEND_REQ,
          VhostUserProtocolFeature.CONFIG,
          VhostUserProtocolFeature.INFLIGHT_SHMFD,
          VhostUserProtocolFeature.RESET_DEVICE,
          VhostUserProtocolFeature.CONFIGURE_MEM_SLOTS,
          VhostUserProtocolFeature.STATUS);

  private final Bdev bdev;
  private final int queueCount;
  private final boolean readOnly;
  private final boolean packed;
  private final byte[] serial;
  private long blockCount;

  BlkDevice(final SessionDescription description, final Bdev bdev) {
    final BdevDescription disk = bdev.description();
    final byte[] fullSerial = disk.serial().getBytes(StandardCharsets.US_ASCII);
    this.bdev = bdev;
    this.queueCount = description.queueCountMax();
    this.readOnly = description.readOnly() || disk.readOnly();
    this.packed = description.packed();
    this.serial = Arrays.copyOf(fullSerial, Math.min(fullSerial.length, SERIAL_LENGTH_MAX));
    this.blockCount = disk.blockCount();
  }

  Bdev bdev() {
    return bdev;
  }

  boolean readOnly() {
    return readOnly;
  }

  byte[] serial() {
    return serial;
  }

  int queueCount() {
    return queueCount;
  }

  /** Takes over a new length of the disk. */
  void blockCount(final long newBlockCount) {
    blockCount = newBlockCount;
  }

  /** What GET_FEATURES answers. */
  long features() {
    return COMMON_FEATURES
        | (packed ? VirtioFeature.of(VirtioFeature.RING_PACKED) : 0)
        | (readOnly
            ? VirtioFeature.of(BlkFeature.RO)
            : VirtioFeature.of(BlkFeature.DISCARD, BlkFeature.WRITE_ZEROES));
  }

  /** What GET_PROTOCOL_FEATURES answers. */
  long protocolFeatures() {
    return PROTOCOL_FEATURES;
  }

  /** The whole configuration space, zeros behind virtio-blk's fields: a front-end may know more. */
  byte[] config(final boolean writeback) {
    final byte[] bytes = new byte[ConfigSpace.SIZE_MAX];
    final ByteBuffer out = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    final int blockBytes = bdev.description().blockBytes();
    final int blockSectors = blockBytes >> BlkRequest.SECTOR_SHIFT;
    out.putLong(BlkConfig.CAPACITY_OFFSET, blockCount * blockSectors);
    out.putInt(BlkConfig.SIZE_MAX_OFFSET, BlkLimits.SIZE_MAX_BYTES);
    out.putInt(BlkConfig.SEG_MAX_OFFSET, BlkLimits.SEG_MAX);
    out.putInt(BlkConfig.BLK_SIZE_OFFSET, blockBytes);
    out.putShort(BlkConfig.MIN_IO_SIZE_OFFSET, (short) 1);
    out.put(BlkConfig.WRITEBACK_OFFSET, (byte) (writeback ? 1 : 0));
    out.putShort(BlkConfig.NUM_QUEUES_OFFSET, (short) queueCount);
    if (!readOnly) {
      out.putInt(BlkConfig.MAX_DISCARD_SECTORS_OFFSET, BlkLimits.DISCARD_SECTORS_MAX);
      out.putInt(BlkConfig.MAX_DISCARD_SEG_OFFSET, BlkLimits.DISCARD_SEG_MAX);
      out.putInt(BlkConfig.DISCARD_SECTOR_ALIGNMENT_OFFSET, blockSectors);
      out.putInt(BlkConfig.MAX_WRITE_ZEROES_SECTORS_OFFSET, BlkLimits.WRITE_ZEROES_SECTORS_MAX);
      out.putInt(BlkConfig.MAX_WRITE_ZEROES_SEG_OFFSET, BlkLimits.WRITE_ZEROES_SEG_MAX);
      out.put(BlkConfig.WRITE_ZEROES_MAY_UNMAP_OFFSET, (byte) 1);
    }
    return bytes;
  }
}
