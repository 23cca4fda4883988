package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.slave.bdev.BlockChannel;
import java.util.Arrays;

/**
 * Judges a run by what a guest may expect and what a disk may see. It knows requests and bytes, and
 * nothing of rings, journals or slaves: each request completes once, with the right bytes; the disk
 * is asked only for what a guest wants now, in the order of each ring.
 *
 * <p>Requests in flight never touch the same sectors, so each read has one right answer.
 */
final class Oracle {
  /** A request of the guest. */
  static final class Request {
    final long number;
    final int queue;
    final int type;
    final int sector;
    final int count;
    final long[] expected;

    Request(final long number, final int queue, final int type, final int sector, final int count) {
      this.number = number;
      this.queue = queue;
      this.type = type;
      this.sector = sector;
      this.count = count;
      this.expected = new long[count];
    }

    boolean changesDisk() {
      return type == BlkRequest.TYPE_OUT
          || type == BlkRequest.TYPE_DISCARD
          || type == BlkRequest.TYPE_WRITE_ZEROES;
    }

    private int operation() {
      return switch (type) {
        case BlkRequest.TYPE_IN -> BlockChannel.OP_READ;
        case BlkRequest.TYPE_OUT -> BlockChannel.OP_WRITE;
        case BlkRequest.TYPE_WRITE_ZEROES -> BlockChannel.OP_WRITE_ZEROES;
        case BlkRequest.TYPE_DISCARD -> BlockChannel.OP_UNMAP;
        default -> BlockChannel.OP_FLUSH;
      };
    }
  }

  private static final long MULTIPLIER = 0x9E3779B97F4A7C15L;

  private final SimDisk disk;
  private final long[] model = new long[SimDisk.SECTOR_COUNT];
  private final Request[] bySector = new Request[SimDisk.SECTOR_COUNT];
  private final long[] submittedLast;
  private int submittingSlave;
  private long postedCount;
  private long completedCount;
  private long droppedCount;

  Oracle(final SimDisk disk, final int queueCount) {
    this.disk = disk;
    this.submittedLast = new long[queueCount];
  }

  /** Whether no request in flight touches these sectors. */
  boolean isFree(final int sector, final int count) {
    for (int i = sector; i < sector + count; i++) {
      if (bySector[i] != null) {
        return false;
      }
    }
    return true;
  }

  /** Makes the next request, with what its sectors hold before (a read) or after (a write). */
  Request request(final int queue, final int type, final int sector, final int count) {
    final Request request = new Request(postedCount + 1, queue, type, sector, count);
    for (int i = 0; i < count; i++) {
      request.expected[i] =
          switch (type) {
            case BlkRequest.TYPE_IN -> model[sector + i];
            case BlkRequest.TYPE_OUT -> (request.number * SimDisk.SECTOR_COUNT + i) * MULTIPLIER;
            default -> 0;
          };
    }
    return request;
  }

  void onPosted(final Request request) {
    postedCount++;
    Arrays.fill(bySector, request.sector, request.sector + request.count, request);
  }

  /** A slave asks the disk for something. */
  void onSubmit(final int slave, final int operation, final long offset, final long lengthBytes) {
    if (operation == BlockChannel.OP_FLUSH) {
      return;
    }
    final int sector = (int) (offset / SimDisk.SECTOR_BYTES);
    final Request request = bySector[sector];
    if (request == null
        || request.sector != sector
        || (long) request.count * SimDisk.SECTOR_BYTES != lengthBytes
        || request.operation() != operation) {
      throw new Violation(
          "the disk is asked for what no guest wants now: operation="
              + operation
              + " sector="
              + sector
              + " bytes="
              + lengthBytes);
    }
    if (slave != submittingSlave) {
      submittingSlave = slave;
      Arrays.fill(submittedLast, 0);
    }
    if (request.number <= submittedLast[request.queue]) {
      throw new Violation(
          "requests run in another order than the guest sent them, or twice: ring="
              + request.queue
              + " request="
              + request.number
              + " after "
              + submittedLast[request.queue]);
    }
    submittedLast[request.queue] = request.number;
  }

  /** The guest found a completion. */
  void onCompleted(final Request request, final int status, final int usedBytes) {
    if (request == null) {
      throw new Violation("a request completed that nobody sent, or for the second time");
    }
    if (status != BlkRequest.STATUS_OK) {
      throw new Violation("request " + request.number + " ended with status " + status);
    }
    final int expectedBytes =
        1 + (request.type == BlkRequest.TYPE_IN ? request.count * SimDisk.SECTOR_BYTES : 0);
    if (usedBytes != expectedBytes) {
      throw new Violation("used bytes=" + usedBytes + " expected=" + expectedBytes);
    }
    for (int i = 0; i < request.count; i++) {
      if (request.changesDisk()) {
        checkSector(request.sector + i, request.expected[i]);
        model[request.sector + i] = request.expected[i];
      }
      bySector[request.sector + i] = null;
    }
    completedCount++;
  }

  /** The guest reset its device: what is in flight was never fetched and must never run. */
  void onDropped(final Request request) {
    Arrays.fill(bySector, request.sector, request.sector + request.count, null);
    droppedCount++;
  }

  private void checkSector(final int sector, final long expected) {
    final long address = disk.sector(sector);
    for (int i = 0; i < SimDisk.SECTOR_BYTES; i += Long.BYTES) {
      if (Mem.getLong(address + i) != expected) {
        throw new Violation(
            "sector "
                + sector
                + " holds "
                + Long.toHexString(Mem.getLong(address + i))
                + " at byte "
                + i
                + ", acknowledged was "
                + Long.toHexString(expected));
      }
    }
  }

  /** After everything has ended: all that was acknowledged is on the disk, and nothing else. */
  void checkEnd() {
    if (completedCount + droppedCount != postedCount) {
      throw new Violation(
          "requests lost: sent="
              + postedCount
              + " completed="
              + completedCount
              + " taken back="
              + droppedCount);
    }
    for (int sector = 0; sector < SimDisk.SECTOR_COUNT; sector++) {
      checkSector(sector, model[sector]);
    }
  }

  long postedCount() {
    return postedCount;
  }

  long completedCount() {
    return completedCount;
  }
}
