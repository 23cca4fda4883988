package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.DsmRange;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.SglDescriptor;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.util.SplittableRandom;

/**
 * The driver's I/O commands: any kind, at random, with PRPs or SGLs, each judged at its end by
 * {@link NvmeOracle}.
 */
final class SimNvmeLoad {
  private static final int SECTORS_MAX = 4;
  private static final int STATUS_MASK = 0x7FF;

  /** Where in its buffer a command has its SGL segments: behind any data. */
  private static final int SGL_OFFSET = SimNvmeMemory.PAGE + SimNvmeMemory.PAGE / 2;

  private static final int SECOND_SEGMENT = 4 * SglDescriptor.DESCRIPTOR_LENGTH;

  private final Trace trace;
  private final NvmeOracle oracle;
  private final SimNvmeMemory memory;
  private final SplittableRandom random;
  private final boolean hasAllKinds;
  private long requestMax;

  SimNvmeLoad(
      final World world,
      final NvmeOracle oracle,
      final SimNvmeMemory memory,
      final SplittableRandom random) {
    this.trace = world.trace();
    this.oracle = oracle;
    this.memory = memory;
    this.random = random;
    this.hasAllKinds = world.plan().nvme().allKinds();
    this.requestMax = world.plan().requestMax();
  }

  /** So many more, and no others. */
  void last(final int count) {
    requestMax = oracle.postedCount() + count;
  }

  boolean isOver() {
    return oracle.postedCount() >= requestMax;
  }

  /** Puts a command into a queue; false when there is no room, or it would be one too many. */
  boolean post(final SimNvmeQueues.Submission queue) {
    final int tag = queue.freeTag();
    if (tag < 0 || isOver()) {
      return false;
    }
    final int opcode = randomOpcode();
    final int count = opcode == NvmOpcode.FLUSH ? 0 : 1 + random.nextInt(SECTORS_MAX);
    final int sector = random.nextInt(SimDisk.SECTOR_COUNT - count);
    if (opcode != NvmOpcode.FLUSH && oracle.hasTwin(opcode, sector, count)) {
      return false;
    }
    final NvmeOracle.Command command = oracle.post(opcode, sector, count);
    // At the begin of a page, or so that data goes over its end.
    final int offset = random.nextBoolean() ? 0 : SimNvmeMemory.PAGE - SimDisk.SECTOR_BYTES;
    final boolean isExtra = memory.mayUseExtra && random.nextBoolean();
    final long buffer = SimNvmeMemory.buffer(queue.id, tag, isExtra) + offset;
    fillBuffer(command, memory.host(buffer));
    final long entry =
        queue.begin(
            opcode,
            tag,
            new SimNvmeQueues.Outstanding(
                (status, result) -> onEnd(command, buffer, status), command, buffer));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, 1);
    if (opcode == NvmOpcode.DATASET_MANAGEMENT) {
      Mem.putInt(entry + SubmissionEntry.DWORD11_OFFSET, IoCommand.DSM_DEALLOCATE);
    } else if (opcode != NvmOpcode.FLUSH) {
      Mem.putLong(entry + IoCommand.START_BLOCK_OFFSET, sector);
      Mem.putInt(entry + IoCommand.BLOCKS_OFFSET, count - 1);
    }
    if (command.hasData()) {
      putDataPointer(entry, buffer, offset, command.dataBytes());
    }
    trace.note("post", command.number, opcode, sector);
    return true;
  }

  private int randomOpcode() {
    final int opcode =
        switch (random.nextInt(20)) {
          case 0 -> NvmOpcode.FLUSH;
          case 1 -> NvmOpcode.DATASET_MANAGEMENT;
          case 2 -> NvmOpcode.WRITE_ZEROES;
          case 3, 4, 5, 6, 7, 8, 9 -> NvmOpcode.READ;
          default -> NvmOpcode.WRITE;
        };
    if (!hasAllKinds || opcode != NvmOpcode.READ) {
      return opcode;
    }
    return switch (random.nextInt(5)) {
      case 0 -> NvmOpcode.VERIFY;
      case 1, 2 -> NvmOpcode.COMPARE;
      default -> NvmOpcode.READ;
    };
  }

  private void fillBuffer(final NvmeOracle.Command command, final long host) {
    switch (command.opcode) {
      case NvmOpcode.READ -> SimNvmeMemory.poison(host, command.dataBytes());
      case NvmOpcode.WRITE -> {
        for (int i = 0; i < command.dataBytes(); i += Long.BYTES) {
          Mem.putLong(host + i, command.value(command.sector + i / SimDisk.SECTOR_BYTES));
        }
      }
      case NvmOpcode.COMPARE -> {
        final int different = random.nextBoolean() ? -1 : random.nextInt(command.count);
        for (int i = 0; i < command.dataBytes(); i += Long.BYTES) {
          final int index = i / SimDisk.SECTOR_BYTES;
          Mem.putLong(
              host + i,
              index == different
                  ? SimNvmeMemory.poison()
                  : oracle.newestValue(command.sector + index));
        }
      }
      case NvmOpcode.DATASET_MANAGEMENT -> {
        Mem.putInt(host + DsmRange.ATTRIBUTES_OFFSET, 0);
        Mem.putInt(host + DsmRange.BLOCKS_OFFSET, command.count);
        Mem.putLong(host + DsmRange.START_BLOCK_OFFSET, command.sector);
      }
      default -> {}
    }
  }

  private void putDataPointer(
      final long entry, final long buffer, final int offset, final int dataBytes) {
    if (hasAllKinds && random.nextBoolean()) {
      final int dword0 = Mem.getInt(entry);
      Mem.putInt(
          entry,
          SubmissionEntry.dword0(
              SubmissionEntry.opcode(dword0),
              SubmissionEntry.PSDT_SGL,
              SubmissionEntry.commandId(dword0)));
      putSgl(entry + SubmissionEntry.SGL_OFFSET, buffer, buffer - offset + SGL_OFFSET, dataBytes);
      return;
    }
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, buffer);
    Mem.putLong(
        entry + SubmissionEntry.PRP2_OFFSET,
        offset + dataBytes > SimNvmeMemory.PAGE ? buffer - offset + SimNvmeMemory.PAGE : 0);
  }

  /** One block, one segment, or two; the pieces lie one behind the other in the buffer. */
  private void putSgl(
      final long descriptor, final long buffer, final long segment, final int dataBytes) {
    final int kind = random.nextInt(3);
    if (kind == 0) {
      putDescriptor(descriptor, buffer, dataBytes, SglDescriptor.TYPE_DATA_BLOCK);
      return;
    }
    final int first = random.nextInt(dataBytes);
    final int second = random.nextInt(dataBytes - first);
    final int third = dataBytes - first - second;
    final int length = SglDescriptor.DESCRIPTOR_LENGTH;
    final long host = memory.host(segment);
    putDescriptor(host, buffer, first, SglDescriptor.TYPE_DATA_BLOCK);
    final long rest;
    if (kind == 1) {
      putDescriptor(descriptor, segment, 4 * length, SglDescriptor.TYPE_LAST_SEGMENT);
      rest = host + length;
    } else {
      putDescriptor(descriptor, segment, 2 * length, SglDescriptor.TYPE_SEGMENT);
      putDescriptor(
          host + length, segment + SECOND_SEGMENT, 3 * length, SglDescriptor.TYPE_LAST_SEGMENT);
      rest = host + SECOND_SEGMENT;
    }
    putDescriptor(rest, buffer + first, second, SglDescriptor.TYPE_DATA_BLOCK);
    putDescriptor(rest + length, buffer + first + second, third, SglDescriptor.TYPE_DATA_BLOCK);
    // Longer than the data, as SGLS allows.
    putDescriptor(rest + 2 * length, 0, SimDisk.SECTOR_BYTES, SglDescriptor.TYPE_BIT_BUCKET);
  }

  private static void putDescriptor(
      final long host, final long address, final int lengthBytes, final int type) {
    Mem.putLong(host + SglDescriptor.ADDRESS_OFFSET, address);
    Mem.putLong(host + SglDescriptor.WORD_OFFSET, SglDescriptor.word(lengthBytes, type));
  }

  private void onEnd(final NvmeOracle.Command command, final long buffer, final int status) {
    switch (status & STATUS_MASK) {
      case Status.SUCCESS -> {
        oracle.onCompleted(command);
        if (command.isRead()) {
          oracle.checkRead(command, memory.host(buffer));
        } else if (command.opcode == NvmOpcode.COMPARE) {
          oracle.checkEqual(command, memory.host(buffer));
        }
      }
      case Status.COMPARE_FAILURE -> {
        oracle.onCompleted(command);
        oracle.checkDifferent(command, memory.host(buffer));
      }
      default -> oracle.onFailed(command, status & STATUS_MASK);
    }
    trace.note("done", command.number);
  }
}
