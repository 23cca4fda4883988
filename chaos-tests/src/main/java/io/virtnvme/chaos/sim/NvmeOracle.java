package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.DsmRange;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.slave.bdev.BlockChannel;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Judges a run with an NVMe controller by what a driver may expect and what a disk may see. It
 * knows commands and bytes, and nothing of queues, journals or slaves.
 *
 * <p>Commands in flight may touch the same sectors: a read gives the last acknowledged write of
 * each word, or one that was in flight at the same time. A command that was taken back (its queue
 * was deleted, its controller reset) has happened or has not, in any part, and never will.
 */
final class NvmeOracle {
  /** A command of the driver. */
  static final class Command {
    final long number;
    final int opcode;
    final int sector;
    final int count;

    /** For each sector that it looks at, what it may find there. */
    private final List<Set<Long>> allowed = new ArrayList<>();

    private long postedAt;
    private int submittedBy;

    /** The disk has told a slave that it failed. */
    private boolean mayFail;

    Command(final long number, final int opcode, final int sector, final int count) {
      this.number = number;
      this.opcode = opcode;
      this.sector = sector;
      this.count = count;
    }

    boolean isRead() {
      return opcode == NvmOpcode.READ;
    }

    private boolean looksAtDisk() {
      return opcode == NvmOpcode.READ || opcode == NvmOpcode.COMPARE;
    }

    /** Whether the guest has a buffer for it. */
    boolean hasData() {
      return looksAtDisk() || opcode == NvmOpcode.WRITE || opcode == NvmOpcode.DATASET_MANAGEMENT;
    }

    /** Bytes in that buffer. */
    int dataBytes() {
      return opcode == NvmOpcode.DATASET_MANAGEMENT
          ? DsmRange.RANGE_LENGTH
          : count * SimDisk.SECTOR_BYTES;
    }

    boolean changesDisk() {
      return opcode == NvmOpcode.WRITE
          || opcode == NvmOpcode.WRITE_ZEROES
          || opcode == NvmOpcode.DATASET_MANAGEMENT;
    }

    /** What each word of a sector is after it. */
    long value(final int changedSector) {
      return opcode == NvmOpcode.WRITE
          ? (number * SimDisk.SECTOR_COUNT + changedSector) * MULTIPLIER
          : 0;
    }

    private boolean touches(final int other) {
      return other >= sector && other < sector + count;
    }

    private int operation() {
      return operationOf(opcode);
    }

    private static int operationOf(final int opcode) {
      return switch (opcode) {
        case NvmOpcode.READ, NvmOpcode.COMPARE, NvmOpcode.VERIFY -> BlockChannel.OP_READ;
        case NvmOpcode.WRITE -> BlockChannel.OP_WRITE;
        case NvmOpcode.WRITE_ZEROES -> BlockChannel.OP_WRITE_ZEROES;
        case NvmOpcode.DATASET_MANAGEMENT -> BlockChannel.OP_UNMAP;
        default -> BlockChannel.OP_FLUSH;
      };
    }

    @Override
    public String toString() {
      return "command " + number + " opcode=" + opcode + " sectors=" + sector + "+" + count;
    }
  }

  /** What a sector may hold, and when that was acknowledged or taken back. */
  private record Value(long word, long endedAt) {}

  private static final long MULTIPLIER = 0x9E3779B97F4A7C15L;

  private final SimDisk disk;
  private final List<List<Value>> values = new ArrayList<>();
  private final List<Command> inFlight = new ArrayList<>();
  private long now;
  private long postedCount;
  private long completedCount;
  private long droppedCount;

  NvmeOracle(final SimDisk disk) {
    this.disk = disk;
    for (int sector = 0; sector < SimDisk.SECTOR_COUNT; sector++) {
      values.add(new ArrayList<>(List.of(new Value(0, 0))));
    }
  }

  /** The driver rings for a new command. */
  Command post(final int opcode, final int sector, final int count) {
    postedCount++;
    final Command command = new Command(postedCount, opcode, sector, count);
    now++;
    command.postedAt = now;
    for (int i = sector; i < sector + count; i++) {
      if (command.looksAtDisk()) {
        command.allowed.add(possible(i));
      } else if (command.changesDisk()) {
        for (final Command other : inFlight) {
          if (other.looksAtDisk() && other.touches(i)) {
            other.allowed.get(i - other.sector).add(command.value(i));
          }
        }
      }
    }
    inFlight.add(command);
    return command;
  }

  /** Whether a command that looks the same to the disk is in flight. */
  boolean hasTwin(final int opcode, final int sector, final int count) {
    final int operation = Command.operationOf(opcode);
    for (final Command command : inFlight) {
      if (command.operation() == operation && command.sector == sector && command.count == count) {
        return true;
      }
    }
    return false;
  }

  /** What a sector may hold now. */
  private Set<Long> possible(final int sector) {
    final Set<Long> words = new HashSet<>();
    for (final Value value : values.get(sector)) {
      words.add(value.word);
    }
    for (final Command command : inFlight) {
      if (command.changesDisk() && command.touches(sector)) {
        words.add(command.value(sector));
      }
    }
    return words;
  }

  /** A slave asks the disk for something. */
  void onSubmit(final int slave, final int operation, final long offset, final long lengthBytes) {
    if (operation == BlockChannel.OP_FLUSH) {
      return;
    }
    final int sector = (int) (offset / SimDisk.SECTOR_BYTES);
    boolean found = false;
    for (final Command command : inFlight) {
      if (command.operation() == operation
          && command.sector == sector
          && (long) command.count * SimDisk.SECTOR_BYTES == lengthBytes) {
        found = true;
        if (command.submittedBy != slave) {
          command.submittedBy = slave;
          return;
        }
      }
    }
    throw new Violation(
        (found
                ? "the disk is asked twice for the same by one slave: operation="
                : "the disk is asked for what no guest wants now: operation=")
            + operation
            + " sector="
            + sector
            + " bytes="
            + lengthBytes);
  }

  /** One of what a sector may hold: what was acknowledged or taken back last. */
  long newestValue(final int sector) {
    final List<Value> held = values.get(sector);
    return held.get(held.size() - 1).word;
  }

  /** The disk tells a slave that a request failed. */
  void onIoError(final int operation, final long offset, final long lengthBytes) {
    final int sector = (int) (offset / SimDisk.SECTOR_BYTES);
    for (final Command command : inFlight) {
      final boolean isThere =
          command.sector == sector && (long) command.count * SimDisk.SECTOR_BYTES == lengthBytes;
      if (command.operation() == operation && (isThere || operation == BlockChannel.OP_FLUSH)) {
        command.mayFail = true;
      }
    }
  }

  /** The driver found the completion of a command that succeeded. */
  void onCompleted(final Command command) {
    inFlight.remove(command);
    completedCount++;
    now++;
    if (command.changesDisk()) {
      for (int i = command.sector; i < command.sector + command.count; i++) {
        // What ended before this began is overwritten; what ran beside it may have come after it.
        values.get(i).removeIf(value -> value.endedAt < command.postedAt);
        values.get(i).add(new Value(command.value(i), now));
        checkSector(i, command.toString());
      }
    }
  }

  /** A read succeeded: what it gave must be right. */
  void checkRead(final Command command, final long host) {
    for (int i = 0; i < command.count * SimDisk.SECTOR_BYTES; i += Long.BYTES) {
      final Set<Long> allowed = command.allowed.get(i / SimDisk.SECTOR_BYTES);
      if (!allowed.contains(Mem.getLong(host + i))) {
        throw new Violation(
            command
                + " read "
                + Long.toHexString(Mem.getLong(host + i))
                + " at byte "
                + i
                + ", right is "
                + text(allowed));
      }
    }
  }

  /** Compare found no difference. */
  void checkEqual(final Command command, final long host) {
    for (int i = 0; i < command.dataBytes(); i += Long.BYTES) {
      final Set<Long> allowed = command.allowed.get(i / SimDisk.SECTOR_BYTES);
      if (!allowed.contains(Mem.getLong(host + i))) {
        throw new Violation(
            command + " took byte " + i + " for equal, on the disk is " + text(allowed));
      }
    }
  }

  /** Compare found a difference: there must be one that it can have seen. */
  void checkDifferent(final Command command, final long host) {
    for (int i = 0; i < command.dataBytes(); i += Long.BYTES) {
      final Set<Long> allowed = command.allowed.get(i / SimDisk.SECTOR_BYTES);
      if (allowed.size() > 1 || !allowed.contains(Mem.getLong(host + i))) {
        return;
      }
    }
    throw new Violation(command + " found a difference where there is none");
  }

  /** The driver found the completion of a command that failed: in any part, or not at all. */
  void onFailed(final Command command, final int status) {
    final int right =
        command.operation() == BlockChannel.OP_READ
            ? Status.UNRECOVERED_READ_ERROR
            : Status.WRITE_FAULT;
    if (!command.mayFail || status != right) {
      throw new Violation(
          command
              + " ended with status 0x"
              + Integer.toHexString(status)
              + (command.mayFail ? ", right is 0x" + Integer.toHexString(right) : ""));
    }
    onDropped(command);
  }

  /**
   * The controller says that it stands still, or that the command's queue is gone: then the command
   * must not be under way any more, and not run from now on.
   */
  void onTakenBack(final Command command) {
    final int operation = command.operation();
    if (operation != BlockChannel.OP_FLUSH
        && disk.holds(
            operation,
            (long) command.sector * SimDisk.SECTOR_BYTES,
            (long) command.count * SimDisk.SECTOR_BYTES)) {
      throw new Violation("taken back while the disk works on it: " + command);
    }
    onDropped(command);
  }

  /** Nobody waits for the command any more, and it must not run from now on. */
  void onDropped(final Command command) {
    inFlight.remove(command);
    droppedCount++;
    now++;
    if (command.changesDisk()) {
      for (int i = command.sector; i < command.sector + command.count; i++) {
        values.get(i).add(new Value(command.value(i), now));
      }
    }
  }

  private void checkSector(final int sector, final String after) {
    final Set<Long> possible = possible(sector);
    final long address = disk.sector(sector);
    for (int i = 0; i < SimDisk.SECTOR_BYTES; i += Long.BYTES) {
      if (!possible.contains(Mem.getLong(address + i))) {
        throw new Violation(
            "after "
                + after
                + " sector "
                + sector
                + " holds "
                + Long.toHexString(Mem.getLong(address + i))
                + " at byte "
                + i
                + ", right is "
                + text(possible));
      }
    }
  }

  private static String text(final Set<Long> words) {
    return words.stream().map(Long::toHexString).sorted().toList().toString();
  }

  /** After everything has ended: all that was acknowledged is on the disk, and nothing else. */
  void checkEnd() {
    if (completedCount + droppedCount != postedCount || !inFlight.isEmpty()) {
      throw new Violation(
          "commands lost: sent="
              + postedCount
              + " completed="
              + completedCount
              + " taken back="
              + droppedCount);
    }
    for (int sector = 0; sector < SimDisk.SECTOR_COUNT; sector++) {
      checkSector(sector, "all");
    }
  }

  long postedCount() {
    return postedCount;
  }

  long completedCount() {
    return completedCount;
  }
}
