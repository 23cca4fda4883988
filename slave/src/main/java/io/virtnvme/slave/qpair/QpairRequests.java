package io.virtnvme.slave.qpair;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.blk.BlkCounters;
import io.virtnvme.slave.blk.BlkLimits;

/**
 * Checks requests, gives them to the disk, and counts how they ended. What a client wrote is read
 * from the journal's copy, which it cannot change. One reactor thread; the data path's calls do not
 * allocate.
 */
final class QpairRequests {
  private static final int IOVEC_LENGTH = 2 * Long.BYTES;
  private static final int ACCEPTED = 0;
  private static final long UNMAP_BYTES_MAX =
      (long) BlkLimits.DISCARD_SECTORS_MAX << BlkRequest.SECTOR_SHIFT;
  private static final long ZERO_BYTES_MAX =
      (long) BlkLimits.WRITE_ZEROES_SECTORS_MAX << BlkRequest.SECTOR_SHIFT;

  private final BlockChannel channel;
  private final BlkCounters counters;
  private final boolean readOnly;
  private final long poolAddress;
  private final long poolLength;
  private final long tagBase;
  private final long iovecs;

  QpairRequests(
      final QpairSetup setup,
      final BlockChannel channel,
      final BlkCounters counters,
      final long poolAddress,
      final int ringSlot) {
    this.channel = channel;
    this.counters = counters;
    this.readOnly = setup.readOnly();
    this.poolAddress = poolAddress;
    this.poolLength = setup.poolLength();
    this.tagBase = (long) ringSlot << Integer.SIZE;
    this.iovecs = Mem.allocate((long) setup.entryCount() * IOVEC_LENGTH);
  }

  /**
   * Checks a request and begins it.
   *
   * @param request the journal's copy
   * @return {@link BlockChannel#PENDING}, {@link BlockChannel#RETRY}, or {@link BlockChannel#DONE}
   *     when it has ended: its task has the status
   */
  int begin(final QpairTask task, final long request, final long nowNs) {
    task.startNs = nowNs;
    task.status = prepare(task, request);
    if (task.status != ACCEPTED) {
      return BlockChannel.DONE;
    }
    // Before the channel has it: an error inside the call must not let it run twice.
    task.state = QpairTask.State.HELD;
    final int result =
        channel.submit(
            task.operation,
            iovec(task),
            isData(task.operation) ? 1 : 0,
            task.offsetBytes,
            task.lengthBytes,
            task.flags,
            tagBase | task.slot);
    if (result == BlockChannel.PENDING) {
      return result;
    }
    task.state = QpairTask.State.FETCHED;
    if (result == BlockChannel.RETRY) {
      return result;
    }
    task.status = -result;
    return BlockChannel.DONE;
  }

  private long iovec(final QpairTask task) {
    return iovecs + (long) task.slot * IOVEC_LENGTH;
  }

  private static boolean isData(final int operation) {
    return operation == BlockChannel.OP_READ || operation == BlockChannel.OP_WRITE;
  }

  /** {@link #ACCEPTED}, or the errno that the request ends with. */
  private int prepare(final QpairTask task, final long request) {
    task.operation = operation(Mem.getByte(request + QpairRequest.OPCODE_OFFSET));
    task.flags = 0;
    task.offsetBytes = 0;
    task.lengthBytes = 0;
    if (task.operation < 0) {
      return Errno.EOPNOTSUPP;
    }
    if (task.operation == BlockChannel.OP_FLUSH) {
      return ACCEPTED;
    }
    if (readOnly && task.operation != BlockChannel.OP_READ) {
      return Errno.EROFS;
    }
    final int blockBytes = channel.blockBytes();
    final long diskBlocks = channel.lengthBytes() / blockBytes;
    final long first = Mem.getLong(request + QpairRequest.FIRST_BLOCK_OFFSET);
    final long count = Mem.getInt(request + QpairRequest.BLOCK_COUNT_OFFSET);
    if (count <= 0
        || first < 0
        || count > diskBlocks - first
        || count > bytesMax(task.operation) / blockBytes) {
      return Errno.EINVAL;
    }
    task.offsetBytes = first * blockBytes;
    task.lengthBytes = count * blockBytes;
    if (!isData(task.operation)) {
      return ACCEPTED;
    }
    final long buffer = Mem.getLong(request + QpairRequest.BUFFER_OFFSET);
    if (buffer < 0 || buffer % blockBytes != 0 || task.lengthBytes > poolLength - buffer) {
      return Errno.EFAULT;
    }
    final int flags = Mem.getByte(request + QpairRequest.FLAGS_OFFSET);
    if (task.operation == BlockChannel.OP_WRITE && (flags & QpairRequest.FLAG_DURABLE) != 0) {
      task.flags = BlockChannel.FLAG_DURABLE;
    }
    Mem.putLong(iovec(task), poolAddress + buffer);
    Mem.putLong(iovec(task) + Long.BYTES, task.lengthBytes);
    return ACCEPTED;
  }

  private static int operation(final int opcode) {
    return switch (opcode) {
      case QpairRequest.READ -> BlockChannel.OP_READ;
      case QpairRequest.WRITE -> BlockChannel.OP_WRITE;
      case QpairRequest.FLUSH -> BlockChannel.OP_FLUSH;
      case QpairRequest.WRITE_ZEROES -> BlockChannel.OP_WRITE_ZEROES;
      case QpairRequest.UNMAP -> BlockChannel.OP_UNMAP;
      default -> -1;
    };
  }

  private static long bytesMax(final int operation) {
    return switch (operation) {
      case BlockChannel.OP_UNMAP -> UNMAP_BYTES_MAX;
      case BlockChannel.OP_WRITE_ZEROES -> ZERO_BYTES_MAX;
      default -> QpairRequest.DATA_BYTES_MAX;
    };
  }

  /** Counts a request that ended. */
  void count(final QpairTask task, final long nowNs) {
    final long ns = nowNs - task.startNs;
    if (task.status != 0) {
      counters.onError();
      return;
    }
    switch (task.operation) {
      case BlockChannel.OP_READ -> counters.onRead(task.lengthBytes, ns);
      case BlockChannel.OP_WRITE, BlockChannel.OP_WRITE_ZEROES ->
          counters.onWrite(task.lengthBytes, ns);
      case BlockChannel.OP_FLUSH -> counters.onFlush();
      default -> counters.onUnmap(task.lengthBytes);
    }
  }

  void free() {
    Mem.free(iovecs);
  }
}
