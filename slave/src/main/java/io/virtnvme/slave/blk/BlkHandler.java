package io.virtnvme.slave.blk;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRange;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.slave.bdev.BlockChannel;

/**
 * Decodes the requests of one queue, checks them against the disk, hands them to the channel and
 * writes their status (virtio 1.2, 5.2.6). The queue's reactor thread only; nothing allocates or
 * throws.
 *
 * <p>Header and range are copied to private words before they are looked at: the guest can change
 * them at any time.
 */
public final class BlkHandler {
  /** Answer of {@link #prepare}: the request is to be submitted. */
  public static final int PREPARED = -1;

  static final int OP_NONE = -1;
  static final int OP_GET_ID = -2;

  private static final int SCRATCH_LENGTH = 32;

  private final BlockChannel channel;
  private final BlkCounters counters;
  private final boolean readOnly;
  private final boolean discardOffered;
  private final boolean writeZeroesOffered;
  private final int blockMask;
  private final long serial;
  private final long scratch;
  private boolean writeback;

  /**
   * Makes the handler of a queue; {@link #free} ends it.
   *
   * @param channel the disk, as this reactor drives it
   * @param features negotiated feature bits
   * @param readOnly refuse what changes the disk
   * @param serialBytes what GET_ID answers, cut to 20 bytes
   * @param counters where requests are counted
   */
  public BlkHandler(
      final BlockChannel channel,
      final long features,
      final boolean readOnly,
      final byte[] serialBytes,
      final BlkCounters counters) {
    this.channel = channel;
    this.counters = counters;
    this.readOnly = readOnly;
    this.discardOffered = VirtioFeature.has(features, BlkFeature.DISCARD);
    this.writeZeroesOffered = VirtioFeature.has(features, BlkFeature.WRITE_ZEROES);
    this.blockMask = channel.blockBytes() - 1;
    this.serial = Mem.allocate(SCRATCH_LENGTH);
    this.scratch = Mem.allocate(SCRATCH_LENGTH);
    Mem.copyIn(serialBytes, 0, serial, Math.min(serialBytes.length, BlkRequest.ID_LENGTH));
  }

  /** Sets the cache mode: false, as at first, makes each write durable before it completes. */
  public void writeback(final boolean on) {
    writeback = on;
  }

  /**
   * Decodes and checks a request whose status byte is known; answers GET_ID at once.
   *
   * @return {@link #PREPARED}, or the status it ends with
   */
  public int prepare(final BlkTask task) {
    if (task.readableBytes() < BlkRequest.HEADER_LENGTH) {
      counters.onGuestFault();
      return BlkRequest.STATUS_IOERR;
    }
    takeFront(task.iovecs(), BlkRequest.HEADER_LENGTH, task);
    final int type = Mem.getInt(scratch + BlkRequest.TYPE_OFFSET);
    final long sector = Mem.getLong(scratch + BlkRequest.SECTOR_OFFSET);
    return switch (type) {
      case BlkRequest.TYPE_IN -> prepareRead(task, sector);
      case BlkRequest.TYPE_OUT -> readOnly ? BlkRequest.STATUS_IOERR : prepareWrite(task, sector);
      case BlkRequest.TYPE_FLUSH -> prepareFlush(task);
      case BlkRequest.TYPE_GET_ID -> answerId(task);
      case BlkRequest.TYPE_DISCARD ->
          discardOffered ? prepareRange(task, type) : BlkRequest.STATUS_UNSUPP;
      case BlkRequest.TYPE_WRITE_ZEROES ->
          writeZeroesOffered ? prepareRange(task, type) : BlkRequest.STATUS_UNSUPP;
      default -> BlkRequest.STATUS_UNSUPP;
    };
  }

  private int prepareRead(final BlkTask task, final long sector) {
    task.dataIovecs = task.writableIovecs();
    task.dataIovecCount = task.writableCount();
    task.flags = 0;
    return prepareTransfer(task, BlockChannel.OP_READ, sector, task.writableBytes());
  }

  private int prepareWrite(final BlkTask task, final long sector) {
    task.flags = writeback ? 0 : BlockChannel.FLAG_DURABLE;
    return prepareTransfer(
        task, BlockChannel.OP_WRITE, sector, task.readableBytes() - BlkRequest.HEADER_LENGTH);
  }

  private static int prepareFlush(final BlkTask task) {
    task.operation = BlockChannel.OP_FLUSH;
    task.dataIovecCount = 0;
    task.offsetBytes = 0;
    task.flags = 0;
    return PREPARED;
  }

  private int prepareTransfer(
      final BlkTask task, final int operation, final long sector, final long bytes) {
    if (bytes <= 0) {
      counters.onGuestFault();
      return BlkRequest.STATUS_IOERR;
    }
    return bytes > BlkLimits.REQUEST_BYTES_MAX
        ? BlkRequest.STATUS_IOERR
        : place(task, operation, sector, bytes);
  }

  /** Checks a range against the disk without overflow, whatever the guest asked for. */
  private int place(final BlkTask task, final int operation, final long sector, final long bytes) {
    final long capacity = channel.lengthBytes();
    if (sector < 0 || sector > capacity >>> BlkRequest.SECTOR_SHIFT) {
      return BlkRequest.STATUS_IOERR;
    }
    final long offset = sector << BlkRequest.SECTOR_SHIFT;
    if (bytes > capacity - offset || ((offset | bytes) & blockMask) != 0) {
      return BlkRequest.STATUS_IOERR;
    }
    task.operation = operation;
    task.offsetBytes = offset;
    task.dataBytes = bytes;
    return PREPARED;
  }

  private int prepareRange(final BlkTask task, final int type) {
    if (readOnly) {
      return BlkRequest.STATUS_IOERR;
    }
    if (task.readableBytes() != BlkRequest.HEADER_LENGTH + BlkRange.LENGTH) {
      counters.onGuestFault();
      return BlkRequest.STATUS_IOERR;
    }
    takeFront(task.dataIovecs, BlkRange.LENGTH, task);
    final long sector = Mem.getLong(scratch + BlkRange.SECTOR_OFFSET);
    final int sectors = Mem.getInt(scratch + BlkRange.NUM_SECTORS_OFFSET);
    final int rangeFlags = Mem.getInt(scratch + BlkRange.FLAGS_OFFSET);
    final boolean zeroes = type == BlkRequest.TYPE_WRITE_ZEROES;
    // 5.2.6.2: unknown flags, and unmap with DISCARD, are unsupported.
    if ((rangeFlags & ~(zeroes ? BlkRange.FLAG_UNMAP : 0)) != 0) {
      return BlkRequest.STATUS_UNSUPP;
    }
    final int sectorsMax =
        zeroes ? BlkLimits.WRITE_ZEROES_SECTORS_MAX : BlkLimits.DISCARD_SECTORS_MAX;
    if (sectors <= 0 || sectors > sectorsMax) {
      return BlkRequest.STATUS_IOERR;
    }
    task.dataIovecCount = 0;
    task.flags =
        (rangeFlags != 0 ? BlockChannel.FLAG_UNMAP : 0)
            | (zeroes && !writeback ? BlockChannel.FLAG_DURABLE : 0);
    return place(
        task,
        zeroes ? BlockChannel.OP_WRITE_ZEROES : BlockChannel.OP_UNMAP,
        sector,
        (long) sectors << BlkRequest.SECTOR_SHIFT);
  }

  /**
   * Copies the first bytes of a list of iovecs to the scratch words, and makes the rest of the
   * device-readable ones the task's data. The caller has checked that there are as many bytes.
   */
  private void takeFront(final long iovecs, final int bytes, final BlkTask task) {
    long iovec = iovecs;
    int left = bytes;
    while (left > 0) {
      final long base = Mem.getLong(iovec);
      final long length = Mem.getLong(iovec + BlkTask.IOVEC_LENGTH_OFFSET);
      final int part = (int) Math.min(length, left);
      if (part == BlkRequest.HEADER_LENGTH) {
        Mem.putLong(scratch, Mem.getLong(base));
        Mem.putLong(scratch + Long.BYTES, Mem.getLong(base + Long.BYTES));
      } else {
        Mem.copy(base, scratch + bytes - left, part);
      }
      left -= part;
      if (part == length) {
        iovec += BlkTask.IOVEC_LENGTH;
      } else {
        Mem.putLong(iovec, base + part);
        Mem.putLong(iovec + BlkTask.IOVEC_LENGTH_OFFSET, length - part);
      }
    }
    task.dataIovecs = iovec;
    task.dataIovecCount =
        task.readableCount() - (int) ((iovec - task.iovecs()) / BlkTask.IOVEC_LENGTH);
  }

  private int answerId(final BlkTask task) {
    task.operation = OP_GET_ID;
    long iovec = task.writableIovecs();
    int done = 0;
    for (int i = 0; i < task.writableCount() && done < BlkRequest.ID_LENGTH; i++) {
      final long length = Mem.getLong(iovec + BlkTask.IOVEC_LENGTH_OFFSET);
      final int part = (int) Math.min(length, BlkRequest.ID_LENGTH - done);
      Mem.copy(serial + done, Mem.getLong(iovec), part);
      done += part;
      iovec += BlkTask.IOVEC_LENGTH;
    }
    task.dataBytes = done;
    return BlkRequest.STATUS_OK;
  }

  /** Gives a prepared request to the channel; its answer. */
  public int submit(final BlkTask task, final long tag) {
    return channel.submit(
        task.operation,
        task.dataIovecs,
        task.dataIovecCount,
        task.offsetBytes,
        task.dataBytes,
        task.channelFlags(),
        tag);
  }

  /** Writes the status byte of an ended request and counts it. */
  public void complete(final BlkTask task, final long nowNs) {
    final int status = task.status();
    Mem.putByte(task.statusAddress(), (byte) status);
    if (status != BlkRequest.STATUS_OK) {
      task.usedBytes(BlkRequest.STATUS_LENGTH);
      counters.onError();
      return;
    }
    final long bytes = task.dataBytes;
    task.usedBytes(BlkRequest.STATUS_LENGTH + (task.bringsData() ? (int) bytes : 0));
    switch (task.operation) {
      case BlockChannel.OP_READ -> counters.onRead(bytes, nowNs - task.startNs());
      case BlockChannel.OP_WRITE, BlockChannel.OP_WRITE_ZEROES ->
          counters.onWrite(bytes, nowNs - task.startNs());
      case BlockChannel.OP_FLUSH -> counters.onFlush();
      case BlockChannel.OP_UNMAP -> counters.onUnmap(bytes);
      default -> {}
    }
  }

  /** Frees private memory; the last call. */
  public void free() {
    Mem.free(serial);
    Mem.free(scratch);
  }
}
