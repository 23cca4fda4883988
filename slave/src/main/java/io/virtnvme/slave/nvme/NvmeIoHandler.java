package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.DsmRange;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.slave.bdev.BlockChannel;

/**
 * Decodes the commands of I/O queues and checks them (NVM command set specification 1.0, 3.2). What
 * it leaves in the task is what {@link CommandSteps} carries out. Commands are read from the
 * journal's copy. One reactor thread; nothing allocates or throws.
 */
final class NvmeIoHandler {
  /** Answer of {@link #prepare}: the command is to be carried out. Not a status that NVMe has. */
  static final int PREPARED = -1;

  /** Answer of {@link #prepare}: there is no room now, ask again. Not a status that NVMe has. */
  static final int NO_ROOM = -2;

  /** The guest's mistake: the same command fails again. */
  private static final int DNR = Status.DO_NOT_RETRY;

  private final CommandBuffers buffers;
  private final DataPointer pointer;
  private final IovecList iovecs = new IovecList();
  private NamespaceChannels namespaces;
  private DmaMemory memory;
  private boolean writeCacheOn;

  NvmeIoHandler(final CommandBuffers buffers) {
    this.buffers = buffers;
    this.pointer = new DataPointer(buffers.trash(), CommandBuffers.BOUNCE_BYTES);
  }

  void namespaces(final NamespaceChannels newNamespaces) {
    namespaces = newNamespaces;
  }

  void memory(final DmaMemory newMemory) {
    memory = newMemory;
  }

  /** False makes each write durable before it completes. */
  void writeCache(final boolean on) {
    writeCacheOn = on;
  }

  /**
   * Decodes and checks a command.
   *
   * @param command address of its 64 bytes
   * @return {@link #PREPARED}, {@link #NO_ROOM}, or the status that it ends with
   */
  int prepare(final NvmeCommandTask task, final long command) {
    final int dword0 = Mem.getInt(command + SubmissionEntry.DWORD0_OFFSET);
    task.opcode = SubmissionEntry.opcode(dword0);
    task.namespaceId = Mem.getInt(command + SubmissionEntry.NAMESPACE_ID_OFFSET);
    task.work = NvmeCommandTask.Work.ONE;
    task.iovecCount = 0;
    task.flags = 0;
    task.offsetBytes = 0;
    task.dataBytes = 0;
    task.doneBytes = 0;
    task.step = 0;
    task.location = CommandError.NO_LOCATION;
    task.counters = null;
    if (SubmissionEntry.fused(dword0) != 0) {
      return refuse(task, Status.INVALID_FIELD, SubmissionEntry.FLAGS_OFFSET);
    }
    return switch (task.opcode) {
      case NvmOpcode.FLUSH -> flush(task);
      case NvmOpcode.READ -> transfer(task, command, BlockChannel.OP_READ);
      case NvmOpcode.WRITE -> transfer(task, command, BlockChannel.OP_WRITE);
      case NvmOpcode.WRITE_ZEROES -> writeZeroes(task, command);
      case NvmOpcode.DATASET_MANAGEMENT -> datasetManagement(task, command);
      case NvmOpcode.COMPARE -> compare(task, command);
      case NvmOpcode.VERIFY -> verify(task, command);
      default -> refuse(task, Status.INVALID_OPCODE, SubmissionEntry.OPCODE_OFFSET);
    };
  }

  private static int refuse(final NvmeCommandTask task, final int status, final int location) {
    task.location = location;
    return status | DNR;
  }

  /** Sets the task's channel; {@link #PREPARED}, or why there is none. */
  private int selectNamespace(final NvmeCommandTask task) {
    final int id = task.namespaceId;
    if (id == SubmissionEntry.NAMESPACE_ALL) {
      return refuse(task, Status.INVALID_FIELD, SubmissionEntry.NAMESPACE_ID_OFFSET);
    }
    if (!namespaces.isValid(id)) {
      return refuse(task, Status.INVALID_NAMESPACE_OR_FORMAT, SubmissionEntry.NAMESPACE_ID_OFFSET);
    }
    task.channel = namespaces.channel(id);
    task.blockShift = namespaces.blockShift(id);
    task.counters = namespaces.counters(id);
    // Base specification 2.0, 3.2.1.2: an inactive namespace.
    return task.channel == null
        ? refuse(task, Status.INVALID_FIELD, SubmissionEntry.NAMESPACE_ID_OFFSET)
        : PREPARED;
  }

  private int flush(final NvmeCommandTask task) {
    task.operation = BlockChannel.OP_FLUSH;
    if (task.namespaceId == SubmissionEntry.NAMESPACE_ALL) {
      task.work = NvmeCommandTask.Work.FLUSH_ALL;
      task.step = namespaces.nextActive(1);
      return task.step == 0 ? Status.SUCCESS : PREPARED;
    }
    return selectNamespace(task);
  }

  /** The id of the namespace that a flush of all of them turns to next, or 0. */
  int nextToFlush(final NvmeCommandTask task) {
    return namespaces.nextActive(task.step + 1);
  }

  /** The counters of the namespace that a flush of all of them is at. */
  DiskCounters flushCounters(final NvmeCommandTask task) {
    return namespaces.counters(task.step);
  }

  /** The disk that a flush of all namespaces is at, or null when it is gone by now. */
  BlockChannel flushChannel(final NvmeCommandTask task) {
    return namespaces.channel(task.step);
  }

  /**
   * Checks namespace and blocks without overflow, and sets where the command works.
   *
   * @param bytesMax the limit that the identify data announces for it: MDTS, VSL or WZSL
   */
  private int place(final NvmeCommandTask task, final long command, final int bytesMax) {
    final int answer = selectNamespace(task);
    if (answer != PREPARED) {
      return answer;
    }
    final int shift = task.blockShift;
    final long start = Mem.getLong(command + IoCommand.START_BLOCK_OFFSET);
    final int blocks = IoCommand.blockCount(Mem.getInt(command + IoCommand.BLOCKS_OFFSET));
    final long bytes = (long) blocks << shift;
    // Base specification 2.0, 5.17.2.1 (MDTS); NVM command set specification 1.0, 4.1.5.4 (VSL,
    // WZSL): what is longer is aborted with Invalid Field in Command.
    if (bytes > bytesMax) {
      return refuse(task, Status.INVALID_FIELD, IoCommand.BLOCKS_OFFSET);
    }
    if (!isInside(task.channel, shift, start, blocks)) {
      return refuse(task, Status.LBA_OUT_OF_RANGE, IoCommand.START_BLOCK_OFFSET);
    }
    task.offsetBytes = start << shift;
    task.dataBytes = bytes;
    return PREPARED;
  }

  private static boolean isInside(
      final BlockChannel channel, final int shift, final long start, final long blocks) {
    final long capacity = channel.lengthBytes() >>> shift;
    return start >= 0 && start <= capacity && blocks <= capacity - start;
  }

  private int transfer(final NvmeCommandTask task, final long command, final int operation) {
    final int answer = place(task, command, ControllerConfig.TRANSFER_BYTES_MAX);
    if (answer != PREPARED) {
      return answer;
    }
    final boolean isRead = operation == BlockChannel.OP_READ;
    if (!isRead && namespaces.isReadOnly(task.namespaceId)) {
      return refuse(task, Status.NAMESPACE_WRITE_PROTECTED, SubmissionEntry.NAMESPACE_ID_OFFSET);
    }
    task.operation = operation;
    task.flags = isRead ? 0 : durability(command);
    return mapData(task, command, isRead, task.dataBytes);
  }

  /** Force Unit Access, or no volatile write cache at all. */
  private int durability(final long command) {
    final int dword12 = Mem.getInt(command + IoCommand.BLOCKS_OFFSET);
    return (dword12 & IoCommand.FORCE_UNIT_ACCESS) != 0 || !writeCacheOn
        ? BlockChannel.FLAG_DURABLE
        : 0;
  }

  private int writeZeroes(final NvmeCommandTask task, final long command) {
    final int answer = place(task, command, ControllerConfig.WRITE_ZEROES_BYTES_MAX);
    if (answer != PREPARED) {
      return answer;
    }
    if (namespaces.isReadOnly(task.namespaceId)) {
      return refuse(task, Status.NAMESPACE_WRITE_PROTECTED, SubmissionEntry.NAMESPACE_ID_OFFSET);
    }
    final int dword12 = Mem.getInt(command + IoCommand.BLOCKS_OFFSET);
    task.operation = BlockChannel.OP_WRITE_ZEROES;
    task.flags =
        durability(command) | ((dword12 & IoCommand.DEALLOCATE) != 0 ? BlockChannel.FLAG_UNMAP : 0);
    return PREPARED;
  }

  private int compare(final NvmeCommandTask task, final long command) {
    final int answer = place(task, command, ControllerConfig.TRANSFER_BYTES_MAX);
    if (answer != PREPARED) {
      return answer;
    }
    task.work = NvmeCommandTask.Work.COMPARE;
    task.operation = BlockChannel.OP_READ;
    final int mapped = mapData(task, command, false, task.dataBytes);
    return mapped == PREPARED && !buffers.takeBounce(task) ? NO_ROOM : mapped;
  }

  private int verify(final NvmeCommandTask task, final long command) {
    final int answer = place(task, command, ControllerConfig.WRITE_ZEROES_BYTES_MAX);
    if (answer != PREPARED) {
      return answer;
    }
    task.work = NvmeCommandTask.Work.VERIFY;
    task.operation = BlockChannel.OP_READ;
    return buffers.takeBlock(task, 1) && buffers.takeBounce(task) ? PREPARED : NO_ROOM;
  }

  private int datasetManagement(final NvmeCommandTask task, final long command) {
    final int answer = selectNamespace(task);
    if (answer != PREPARED) {
      return answer;
    }
    if ((Mem.getInt(command + SubmissionEntry.DWORD11_OFFSET) & IoCommand.DSM_DEALLOCATE) == 0) {
      // Hints about how the blocks are used: nothing to do.
      return Status.SUCCESS;
    }
    if (namespaces.isReadOnly(task.namespaceId)) {
      return refuse(task, Status.NAMESPACE_WRITE_PROTECTED, SubmissionEntry.NAMESPACE_ID_OFFSET);
    }
    final int count =
        (Mem.getInt(command + SubmissionEntry.DWORD10_OFFSET) & IoCommand.DSM_RANGES_MASK) + 1;
    final int mapped = mapData(task, command, false, (long) count * DsmRange.RANGE_LENGTH);
    if (mapped != PREPARED) {
      return mapped;
    }
    if (!buffers.takeBounce(task)) {
      return NO_ROOM;
    }
    task.work = NvmeCommandTask.Work.DEALLOCATE;
    task.operation = BlockChannel.OP_UNMAP;
    task.stepCount = count;
    task.dataBytes = 0;
    // Once: from here on only the copy counts.
    copyIn(task, buffers.bounceAddress(task));
    return checkRanges(task);
  }

  private int checkRanges(final NvmeCommandTask task) {
    final int shift = task.blockShift;
    for (int i = 0; i < task.stepCount; i++) {
      final long range = buffers.bounceAddress(task) + (long) i * DsmRange.RANGE_LENGTH;
      final long blocks = Mem.getInt(range + DsmRange.BLOCKS_OFFSET) & 0xFFFF_FFFFL;
      final long start = Mem.getLong(range + DsmRange.START_BLOCK_OFFSET);
      if (!isInside(task.channel, shift, start, blocks)) {
        task.offsetBytes = start << shift;
        return refuse(task, Status.LBA_OUT_OF_RANGE, CommandError.NO_LOCATION);
      }
      task.dataBytes += blocks << shift;
    }
    return PREPARED;
  }

  /** First byte of a range that was checked, on the disk. */
  long rangeOffsetBytes(final NvmeCommandTask task) {
    final long range = buffers.bounceAddress(task) + (long) task.step * DsmRange.RANGE_LENGTH;
    return Mem.getLong(range + DsmRange.START_BLOCK_OFFSET) << task.blockShift;
  }

  /** Length of a range that was checked; may be 0. */
  long rangeBytes(final NvmeCommandTask task) {
    final long range = buffers.bounceAddress(task) + (long) task.step * DsmRange.RANGE_LENGTH;
    return (Mem.getInt(range + DsmRange.BLOCKS_OFFSET) & 0xFFFF_FFFFL) << task.blockShift;
  }

  /** Lends the task a block and fills it with what the data pointer says. */
  private int mapData(
      final NvmeCommandTask task, final long command, final boolean isToGuest, final long bytes) {
    // So many when data begins at the very end of a page.
    final int pieceCount = (int) ((bytes + PrpEntry.OFFSET_MASK) >>> PrpEntry.PAGE_SHIFT) + 1;
    if (!buffers.takeBlock(task, pieceCount)) {
      return NO_ROOM;
    }
    int status = read(task, command, isToGuest, bytes);
    if (status == IovecList.FULL && !buffers.isLarge(task)) {
      if (!buffers.exchangeForLarge(task)) {
        return NO_ROOM;
      }
      status = read(task, command, isToGuest, bytes);
    }
    if (status == Status.SUCCESS) {
      return PREPARED;
    }
    return refuse(
        task,
        status == IovecList.FULL ? Status.INVALID_SGL_COUNT : status,
        SubmissionEntry.PRP1_OFFSET);
  }

  private int read(
      final NvmeCommandTask task, final long command, final boolean isToGuest, final long bytes) {
    iovecs.begin(buffers.iovecs(task), buffers.capacity(task));
    final int status = pointer.read(command, memory, isToGuest, bytes, iovecs);
    task.iovecCount = iovecs.count();
    return status;
  }

  private void copyIn(final NvmeCommandTask task, final long destination) {
    long next = destination;
    for (int i = 0; i < task.iovecCount; i++) {
      final long iovec = buffers.iovecs(task) + (long) i * IovecList.ENTRY_LENGTH;
      final long bytes = Mem.getLong(iovec + IovecList.LENGTH_OFFSET);
      Mem.copy(Mem.getLong(iovec), next, bytes);
      next += bytes;
    }
  }
}
