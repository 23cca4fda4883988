package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.DsmRange;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.sys.Errno;

/**
 * A request to a device and how far it got: one command at a time, always with the same id. Made
 * once per slot and used again by its reactor thread.
 *
 * <p>Data go straight between guest memory and device as far as PRPs can say it: the device sees
 * the memory, and pages follow one another without a gap. What they cannot say goes through the
 * slot's bounce buffer, 16 KiB at a time: unaligned buffers are rare, and refusing them would be an
 * error that no other disk returns.
 */
final class NvmeRequest {
  enum State {
    FREE,
    /** Somebody waits for its end. */
    ACTIVE,
    /** The device holds it for a predecessor's request that nobody has asked for yet. */
    UNCLAIMED
  }

  /**
   * Times that a command is submitted again after an error of transport or controller, unless the
   * master says so.
   */
  static final int RETRIES_MAX = 4;

  private static final int ZEROES_BLOCKS_MAX = IoCommand.BLOCKS_MASK + 1;
  private static final long UNMAP_BLOCKS_MAX = 1L << 31;

  private final DeviceQueueGeometry geometry;
  private final NvmePrps prps;
  private final long slotAddress;
  private final long list;
  private final int slot;
  private final int blockShift;

  State state = State.FREE;
  private int operation;
  private int flags;
  private long tag;
  private long iovecs;
  private int iovecCount;
  private int iovecIndex;
  private long iovecUsedBytes;
  private long offsetBytes;
  private long remainingBytes;
  private long pieceBytes;
  private boolean isBounced;
  private int retryCount;

  NvmeRequest(
      final DeviceQueueGeometry geometry, final NvmePrps prps, final long segment, final int slot) {
    this.geometry = geometry;
    this.prps = prps;
    this.slot = slot;
    this.slotAddress = segment + DeviceQueueSegment.slotOffset(slot);
    this.list = segment + DeviceQueueSegment.listOffset(geometry, slot);
    this.blockShift = Integer.numberOfTrailingZeros(geometry.blockBytes());
  }

  int slot() {
    return slot;
  }

  long tag() {
    return tag;
  }

  boolean isBounced() {
    return isBounced;
  }

  /** Becomes the request; the slot's owner is noted. */
  void begin(
      final int newOperation,
      final long newIovecs,
      final int newIovecCount,
      final long newOffsetBytes,
      final long lengthBytes,
      final int newFlags,
      final long newTag) {
    state = State.ACTIVE;
    operation = newOperation;
    flags = newFlags;
    tag = newTag;
    iovecs = newIovecs;
    iovecCount = newIovecCount;
    iovecIndex = 0;
    iovecUsedBytes = 0;
    offsetBytes = newOffsetBytes;
    remainingBytes = newOperation == BlockChannel.OP_FLUSH ? 0 : lengthBytes;
    retryCount = 0;
  }

  /** Notes whom the slot's commands are for; while it is free. */
  void owner(final long sessionId, final int queue) {
    Mem.putLong(slotAddress + DeviceQueueSegment.SESSION_OFFSET, sessionId);
    Mem.putInt(slotAddress + DeviceQueueSegment.OWNER_QUEUE_OFFSET, queue);
    Mem.putInt(slotAddress + DeviceQueueSegment.OWNER_SLOT_OFFSET, (int) tag);
  }

  /** Whether the command that the device holds is a part of this request of a predecessor. */
  boolean isPartOf(
      final long sessionId,
      final int queue,
      final int ownerSlot,
      final int ownerOperation,
      final long ownerOffsetBytes,
      final long ownerLengthBytes) {
    final long offset = Mem.getLong(slotAddress + DeviceQueueSegment.DISK_OFFSET_OFFSET);
    final long length = Mem.getLong(slotAddress + DeviceQueueSegment.DISK_LENGTH_OFFSET);
    return Mem.getLong(slotAddress + DeviceQueueSegment.SESSION_OFFSET) == sessionId
        && Mem.getInt(slotAddress + DeviceQueueSegment.OWNER_QUEUE_OFFSET) == queue
        && Mem.getInt(slotAddress + DeviceQueueSegment.OWNER_SLOT_OFFSET) == ownerSlot
        && Mem.getInt(slotAddress + DeviceQueueSegment.OPERATION_OFFSET) == ownerOperation
        && (ownerOperation == BlockChannel.OP_FLUSH
            || (offset >= ownerOffsetBytes
                && length > 0
                && length <= ownerLengthBytes
                && offset - ownerOffsetBytes <= ownerLengthBytes - length));
  }

  /** After {@link #begin}: goes on from the command that the device holds. */
  void adopt() {
    isBounced = Mem.getInt(slotAddress + DeviceQueueSegment.BOUNCED_OFFSET) != 0;
    pieceBytes = 0;
    if (operation != BlockChannel.OP_FLUSH) {
      final long offset = Mem.getLong(slotAddress + DeviceQueueSegment.DISK_OFFSET_OFFSET);
      pieceBytes = Mem.getLong(slotAddress + DeviceQueueSegment.DISK_LENGTH_OFFSET);
      skip(offset - offsetBytes);
    }
  }

  /** Writes the next command of the request to {@code entry}, and what it points to. */
  void prepare(final long entry) {
    for (int at = 0; at < SubmissionEntry.ENTRY_LENGTH; at += Long.BYTES) {
      Mem.putLong(entry + at, 0);
    }
    isBounced = false;
    switch (operation) {
      case BlockChannel.OP_READ, BlockChannel.OP_WRITE -> prepareTransfer(entry);
      case BlockChannel.OP_WRITE_ZEROES -> prepareZeroes(entry);
      case BlockChannel.OP_UNMAP -> prepareUnmap(entry);
      default -> pieceBytes = 0;
    }
    Mem.putInt(entry, SubmissionEntry.dword0(opcode(), slot));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, geometry.namespaceId());
    Mem.putLong(slotAddress + DeviceQueueSegment.DISK_OFFSET_OFFSET, offsetBytes);
    Mem.putLong(slotAddress + DeviceQueueSegment.DISK_LENGTH_OFFSET, pieceBytes);
    Mem.putInt(slotAddress + DeviceQueueSegment.OPERATION_OFFSET, operation);
    Mem.putInt(slotAddress + DeviceQueueSegment.BOUNCED_OFFSET, isBounced ? 1 : 0);
  }

  /** The opcode of its commands. */
  int opcode() {
    return switch (operation) {
      case BlockChannel.OP_READ -> NvmOpcode.READ;
      case BlockChannel.OP_WRITE -> NvmOpcode.WRITE;
      case BlockChannel.OP_WRITE_ZEROES ->
          geometry.has(DeviceQueueGeometry.FEATURE_WRITE_ZEROES)
              ? NvmOpcode.WRITE_ZEROES
              : NvmOpcode.WRITE;
      case BlockChannel.OP_UNMAP -> NvmOpcode.DATASET_MANAGEMENT;
      default -> NvmOpcode.FLUSH;
    };
  }

  private void prepareTransfer(final long entry) {
    final long wanted = Math.min(remainingBytes, geometry.transferBytesMax());
    pieceBytes = prps.direct(slot, iovecs, iovecCount, iovecIndex, iovecUsedBytes, wanted);
    if (pieceBytes == 0) {
      isBounced = true;
      pieceBytes = Math.min(wanted, DeviceQueueSegment.BOUNCE_BYTES);
      prps.bounce(slot, pieceBytes);
      if (operation == BlockChannel.OP_WRITE) {
        copy(true);
      }
    }
    putBlocks(entry, isDurableWrite());
    prps.put(entry);
  }

  private boolean isDurableWrite() {
    return operation != BlockChannel.OP_READ && (flags & BlockChannel.FLAG_DURABLE) != 0;
  }

  private void putBlocks(final long entry, final boolean isDurable) {
    Mem.putLong(entry + IoCommand.START_BLOCK_OFFSET, firstBlock());
    Mem.putInt(
        entry + IoCommand.BLOCKS_OFFSET,
        ((int) (pieceBytes >>> blockShift) - 1) | (isDurable ? IoCommand.FORCE_UNIT_ACCESS : 0));
  }

  private long firstBlock() {
    return geometry.firstBlock() + (offsetBytes >>> blockShift);
  }

  private void prepareZeroes(final long entry) {
    if (!geometry.has(DeviceQueueGeometry.FEATURE_WRITE_ZEROES)) {
      pieceBytes = Math.min(remainingBytes, geometry.transferBytesMax());
      pieceBytes = prps.zeroes(slot, pieceBytes);
      putBlocks(entry, isDurableWrite());
      prps.put(entry);
      return;
    }
    pieceBytes = Math.min(remainingBytes, (long) ZEROES_BLOCKS_MAX << blockShift);
    putBlocks(entry, isDurableWrite());
    if ((flags & BlockChannel.FLAG_UNMAP) != 0) {
      final long dword12 = entry + IoCommand.BLOCKS_OFFSET;
      Mem.putInt(dword12, Mem.getInt(dword12) | IoCommand.DEALLOCATE);
    }
  }

  private void prepareUnmap(final long entry) {
    pieceBytes = Math.min(remainingBytes, UNMAP_BLOCKS_MAX << blockShift);
    Mem.putInt(list + DsmRange.ATTRIBUTES_OFFSET, 0);
    Mem.putInt(list + DsmRange.BLOCKS_OFFSET, (int) (pieceBytes >>> blockShift));
    Mem.putLong(list + DsmRange.START_BLOCK_OFFSET, firstBlock());
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, prps.listIova(slot));
    Mem.putInt(entry + SubmissionEntry.DWORD11_OFFSET, IoCommand.DSM_DEALLOCATE);
  }

  /**
   * Takes the end of its command. {@link BlockChannel#PENDING} when there is another one to
   * prepare, else how the request ended.
   *
   * @param end as {@link NvmeEnd#of} has it
   * @param retriesMax how often the same command may be submitted again
   */
  int onEnd(final int end, final int retriesMax) {
    if (end == NvmeEnd.AGAIN) {
      retryCount++;
      return retryCount <= retriesMax ? BlockChannel.PENDING : -Errno.EIO;
    }
    if (end != BlockChannel.DONE) {
      return end;
    }
    if (isBounced && operation == BlockChannel.OP_READ) {
      copy(false);
    }
    skip(pieceBytes);
    retryCount = 0;
    return remainingBytes == 0 ? BlockChannel.DONE : BlockChannel.PENDING;
  }

  /** The place moves on, on the disk and in the iovecs. */
  private void skip(final long lengthBytes) {
    offsetBytes += lengthBytes;
    remainingBytes -= lengthBytes;
    long left = lengthBytes;
    while (left > 0 && iovecIndex < iovecCount) {
      final long available = Iovecs.length(Iovecs.at(iovecs, iovecIndex)) - iovecUsedBytes;
      if (left < available) {
        iovecUsedBytes += left;
        return;
      }
      left -= available;
      iovecIndex++;
      iovecUsedBytes = 0;
    }
  }

  /** Between the iovecs, from the present place on, and the bounce buffer. */
  private void copy(final boolean gather) {
    final long buffer = list + NvmePrps.BOUNCE_OFFSET;
    Iovecs.copy(iovecs, iovecCount, iovecIndex, iovecUsedBytes, buffer, pieceBytes, gather);
  }
}
