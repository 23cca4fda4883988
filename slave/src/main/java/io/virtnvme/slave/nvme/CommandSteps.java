package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.blk.IoCounters;

/**
 * Carries out what {@link NvmeIoHandler} prepared, one request of the channel after the other, and
 * says how the command ended. Nothing that it does has another effect when it is done again from
 * the beginning. One reactor thread; nothing allocates or throws.
 */
final class CommandSteps {
  private final NvmeIoHandler handler;
  private final CommandBuffers buffers;

  CommandSteps(final NvmeIoHandler handler, final CommandBuffers buffers) {
    this.handler = handler;
    this.buffers = buffers;
  }

  /** Gives the task's next step to the channel; its answer. */
  int submit(final NvmeCommandTask task, final long tag) {
    return switch (task.work) {
      case ONE -> {
        task.stepBytes = task.dataBytes;
        yield task.channel.submit(
            task.operation,
            task.iovecCount == 0 ? 0 : buffers.iovecs(task),
            task.iovecCount,
            task.offsetBytes,
            task.dataBytes,
            task.flags,
            tag);
      }
      case FLUSH_ALL -> {
        final BlockChannel channel = handler.flushChannel(task);
        task.stepBytes = 0;
        yield channel == null
            ? BlockChannel.DONE
            : channel.submit(BlockChannel.OP_FLUSH, 0, 0, 0, 0, 0, tag);
      }
      case DEALLOCATE -> {
        task.stepBytes = handler.rangeBytes(task);
        yield task.stepBytes == 0
            ? BlockChannel.DONE
            : task.channel.submit(
                BlockChannel.OP_UNMAP,
                0,
                0,
                handler.rangeOffsetBytes(task),
                task.stepBytes,
                0,
                tag);
      }
      case COMPARE, VERIFY -> readPart(task, tag);
    };
  }

  private int readPart(final NvmeCommandTask task, final long tag) {
    final long iovec = buffers.bounceIovec(task);
    task.stepBytes = Math.min(CommandBuffers.BOUNCE_BYTES, task.dataBytes - task.doneBytes);
    Mem.putLong(iovec, buffers.bounceAddress(task));
    Mem.putLong(iovec + IovecList.LENGTH_OFFSET, task.stepBytes);
    return task.channel.submit(
        BlockChannel.OP_READ, iovec, 1, task.offsetBytes + task.doneBytes, task.stepBytes, 0, tag);
  }

  /**
   * A step ended.
   *
   * @param result {@link BlockChannel#DONE} or a negative error number
   * @return true when there is another one; else the task's status says how the command ended
   */
  boolean onStepEnd(final NvmeCommandTask task, final int result) {
    task.result = 0;
    if (result != BlockChannel.DONE) {
      task.status = statusOf(task, result);
      return false;
    }
    task.status = Status.SUCCESS;
    switch (task.work) {
      case ONE -> {
        return false;
      }
      case FLUSH_ALL -> {
        task.step = handler.nextToFlush(task);
        return task.step != 0;
      }
      case DEALLOCATE -> {
        task.step++;
        return task.step < task.stepCount;
      }
      case COMPARE -> {
        if (!isEqual(task)) {
          task.status = Status.COMPARE_FAILURE;
          return false;
        }
      }
      case VERIFY -> {}
    }
    task.doneBytes += task.stepBytes;
    return task.doneBytes < task.dataBytes;
  }

  private static int statusOf(final NvmeCommandTask task, final int error) {
    return switch (-error) {
      case Errno.EROFS -> Status.NAMESPACE_WRITE_PROTECTED;
      case Errno.ENOSPC -> Status.CAPACITY_EXCEEDED;
      // The disk became shorter since the command was checked.
      case Errno.EINVAL -> Status.LBA_OUT_OF_RANGE;
      case Errno.EOPNOTSUPP -> Status.INVALID_OPCODE;
      default ->
          task.operation == BlockChannel.OP_READ
              ? Status.UNRECOVERED_READ_ERROR
              : Status.WRITE_FAULT;
    };
  }

  /** Compares the part that was read with the guest's, wherever that lies in its pieces. */
  private boolean isEqual(final NvmeCommandTask task) {
    long iovec = buffers.iovecs(task);
    long skip = task.doneBytes;
    while (skip >= Mem.getLong(iovec + IovecList.LENGTH_OFFSET)) {
      skip -= Mem.getLong(iovec + IovecList.LENGTH_OFFSET);
      iovec += IovecList.ENTRY_LENGTH;
    }
    long expected = buffers.bounceAddress(task);
    long left = task.stepBytes;
    while (left > 0) {
      final long part = Math.min(left, Mem.getLong(iovec + IovecList.LENGTH_OFFSET) - skip);
      if (!isEqual(Mem.getLong(iovec) + skip, expected, part)) {
        return false;
      }
      expected += part;
      left -= part;
      skip = 0;
      iovec += IovecList.ENTRY_LENGTH;
    }
    return true;
  }

  private static boolean isEqual(final long guest, final long expected, final long bytes) {
    long offset = 0;
    for (; offset + Long.BYTES <= bytes; offset += Long.BYTES) {
      if (Mem.getLong(guest + offset) != Mem.getLong(expected + offset)) {
        return false;
      }
    }
    for (; offset < bytes; offset++) {
      if (Mem.getByte(guest + offset) != Mem.getByte(expected + offset)) {
        return false;
      }
    }
    return true;
  }

  /** Counts a command that ended, for its queue or for its namespace. */
  static void count(final NvmeCommandTask task, final IoCounters counters, final long nowNs) {
    // Blocks that were read well and differ are no error of the medium.
    if (task.status != Status.SUCCESS && task.status != Status.COMPARE_FAILURE) {
      counters.onError();
      return;
    }
    switch (task.opcode) {
      case NvmOpcode.READ, NvmOpcode.COMPARE, NvmOpcode.VERIFY ->
          counters.onRead(task.dataBytes, nowNs - task.startNs);
      case NvmOpcode.WRITE, NvmOpcode.WRITE_ZEROES ->
          counters.onWrite(task.dataBytes, nowNs - task.startNs);
      case NvmOpcode.FLUSH -> counters.onFlush();
      default -> counters.onUnmap(task.dataBytes);
    }
  }
}
