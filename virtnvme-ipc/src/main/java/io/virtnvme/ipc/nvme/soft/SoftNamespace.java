package io.virtnvme.ipc.nvme.soft;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.DsmRange;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.Status;
import java.util.Arrays;

/** The blocks of a namespace and the I/O commands on them. The device's thread. */
final class SoftNamespace {
  private final SoftDma dma;
  private final int blockBytes;
  private final int transferBytesMax;
  private final byte[] blocks;

  SoftNamespace(
      final SoftDma dma, final int blockBytes, final int blockCount, final int transferBytesMax) {
    this.dma = dma;
    this.blockBytes = blockBytes;
    this.transferBytesMax = transferBytesMax;
    this.blocks = new byte[blockBytes * blockCount];
  }

  byte[] blocks() {
    return blocks;
  }

  long blockCount() {
    return blocks.length / blockBytes;
  }

  /** Carries a command out; the status it ends with. */
  int execute(final SoftCommand command) {
    return switch (command.opcode()) {
      case NvmOpcode.FLUSH -> Status.SUCCESS;
      case NvmOpcode.READ, NvmOpcode.WRITE -> transfer(command);
      case NvmOpcode.WRITE_ZEROES -> writeZeroes(command);
      case NvmOpcode.DATASET_MANAGEMENT -> deallocate(command);
      default -> Status.INVALID_OPCODE | Status.DO_NOT_RETRY;
    };
  }

  private boolean isOutside(final long firstBlock, final long count) {
    return firstBlock < 0 || count > blockCount() || firstBlock > blockCount() - count;
  }

  private int transfer(final SoftCommand command) {
    final int count = IoCommand.blockCount(command.dword12());
    final int lengthBytes = count * blockBytes;
    if (lengthBytes > transferBytesMax) {
      return Status.INVALID_FIELD | Status.DO_NOT_RETRY;
    }
    if (isOutside(command.firstBlock(), count)) {
      return Status.LBA_OUT_OF_RANGE | Status.DO_NOT_RETRY;
    }
    final boolean isMoved =
        dma.transfer(
            command.prp1(),
            command.prp2(),
            blocks,
            (int) command.firstBlock() * blockBytes,
            lengthBytes,
            command.opcode() == NvmOpcode.READ);
    return isMoved ? Status.SUCCESS : Status.DATA_TRANSFER_ERROR;
  }

  private int writeZeroes(final SoftCommand command) {
    final int count = IoCommand.blockCount(command.dword12());
    if (isOutside(command.firstBlock(), count)) {
      return Status.LBA_OUT_OF_RANGE | Status.DO_NOT_RETRY;
    }
    clear(command.firstBlock(), count);
    return Status.SUCCESS;
  }

  private void clear(final long firstBlock, final long count) {
    final int start = (int) firstBlock * blockBytes;
    Arrays.fill(blocks, start, start + (int) count * blockBytes, (byte) 0);
  }

  private int deallocate(final SoftCommand command) {
    final int ranges = (command.dword10() & IoCommand.DSM_RANGES_MASK) + 1;
    final byte[] list = new byte[ranges * DsmRange.RANGE_LENGTH];
    if (!dma.transfer(command.prp1(), command.prp2(), list, 0, list.length, false)) {
      return Status.DATA_TRANSFER_ERROR;
    }
    if ((command.dword11() & IoCommand.DSM_DEALLOCATE) == 0) {
      return Status.SUCCESS;
    }
    for (int i = 0; i < ranges; i++) {
      final int range = i * DsmRange.RANGE_LENGTH;
      final long count = LittleEndian.getInt(list, range + DsmRange.BLOCKS_OFFSET) & 0xFFFF_FFFFL;
      final long first = LittleEndian.getLong(list, range + DsmRange.START_BLOCK_OFFSET);
      if (isOutside(first, count)) {
        return Status.LBA_OUT_OF_RANGE | Status.DO_NOT_RETRY;
      }
      clear(first, count);
    }
    return Status.SUCCESS;
  }
}
