package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.qpair.QpairSegment;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.qpair.QpairJournal;
import io.virtnvme.slave.qpair.QpairSetup;
import io.virtnvme.slave.ring.RingSetup;

/**
 * The secondary of a {@link WarmUp}: one queue pair in private memory, and requests of every kind.
 * Without it, the first client that attaches to a slave would have the reactor's code thrown away
 * under the guests beside it. One thread.
 */
final class QpairWarmUpGuest implements RehearsalGuest {
  private static final int ENTRIES = 128;
  private static final int PAGE = 4096;
  private static final int LARGE_BYTES = 128 * 1024;
  private static final int NO_OPCODE = 0x7F;
  private static final int NAPS = 1_000;
  private static final int RARE_PERIOD = 64;
  private static final int BURST = WarmUpGuest.DEPTH;
  private static final int BURST_PERIOD = 32 * BURST;

  private final Bdev bdev;
  private final boolean readOnly;
  private final long block;
  private final long segment;
  private final long journal;
  private final long counters;
  private final int kickFd = EventFd.create();
  private final int callFd = EventFd.create();
  private final EventFd eventFd = new EventFd();
  private final boolean[] mustFail = new boolean[ENTRIES];
  private int tail;
  private int head;
  private int phase = 1;
  private int number;
  private int inFlightCount;

  /**
   * A client of a disk of {@link WarmUp#DISK_BYTES}.
   *
   * @param variant 1 = it wants to be woken up for each completion, 2 = it may only read
   */
  QpairWarmUpGuest(final Bdev bdev, final int variant) {
    this.bdev = bdev;
    readOnly = variant == 2;
    final long segmentBytes = QpairSegment.length(ENTRIES, LARGE_BYTES);
    final long journalBytes = (QpairJournal.length(ENTRIES) + PAGE - 1) & -PAGE;
    final long wholeBytes = segmentBytes + journalBytes + SessionSegment.QUEUE_LENGTH;
    block = Mem.allocate(wholeBytes + PAGE);
    segment = (block + PAGE - 1) & -PAGE;
    journal = segment + segmentBytes;
    counters = journal + journalBytes;
    Mem.fill(segment, wholeBytes, (byte) 0);
    Mem.putInt(segment + QpairSegment.CLIENT_SLEEPS_OFFSET, variant == 1 ? 1 : 0);
  }

  @Override
  public Bdev bdev() {
    return bdev;
  }

  @Override
  public int napCount() {
    return NAPS;
  }

  @Override
  public RingSetup setup(final Bdev disk) {
    return new QpairSetup(
        1, ENTRIES, LARGE_BYTES, segment, journal, kickFd, callFd, counters, disk, readOnly);
  }

  @Override
  public int inFlightCount() {
    return inFlightCount;
  }

  @Override
  public void send(final int count) {
    for (int i = 0; i < count; i++) {
      submit();
    }
    Mem.putIntRelease(segment + QpairSegment.SQ_TAIL_OFFSET, tail);
  }

  @Override
  public void kick() {
    eventFd.signal(kickFd);
  }

  private void submit() {
    switch (number % RARE_PERIOD) {
      case 1 -> put(QpairRequest.FLUSH, 0, 0, 0, false);
      case 2 -> put(QpairRequest.WRITE_ZEROES, 0, 0, 1, readOnly);
      case 3 -> put(QpairRequest.UNMAP, 0, 0, 1, readOnly);
      case 4 -> put(QpairRequest.WRITE, QpairRequest.FLAG_DURABLE, 0, 1, readOnly);
      case 5 -> put(QpairRequest.READ, 0, Long.MAX_VALUE, 1, true);
      case 6 -> put(NO_OPCODE, 0, 0, 1, true);
      default -> {
        final boolean large = number % BURST_PERIOD < BURST;
        final boolean write = (number & 1) == 0 && !readOnly;
        put(
            write ? QpairRequest.WRITE : QpairRequest.READ,
            0,
            number % (WarmUp.DISK_BYTES / WarmUp.BLOCK_BYTES / 2),
            large ? LARGE_BYTES / WarmUp.BLOCK_BYTES : 1,
            false);
      }
    }
    tail = tail + 1 == ENTRIES ? 0 : tail + 1;
    number++;
    inFlightCount++;
  }

  private void put(
      final int opcode,
      final int flags,
      final long firstBlock,
      final int blockCount,
      final boolean fails) {
    mustFail[tail] = fails;
    final long entry = segment + QpairSegment.REQUESTS_OFFSET + (long) tail * QpairRequest.LENGTH;
    QpairRequest.put(entry, opcode, flags, tail, firstBlock, blockCount, 0);
  }

  @Override
  public int reap() {
    int count = 0;
    while (true) {
      final long entry =
          segment
              + QpairSegment.completionsOffset(ENTRIES)
              + (long) head * CompletionEntry.ENTRY_LENGTH;
      final int dword3 = Mem.getIntAcquire(entry + CompletionEntry.DWORD3_OFFSET);
      if (CompletionEntry.phase(dword3) != (phase == 1)) {
        break;
      }
      if ((CompletionEntry.status(dword3) == 0) == mustFail[CompletionEntry.commandId(dword3)]) {
        throw new IllegalStateException(
            "self-check failed: errno=" + CompletionEntry.status(dword3) + " " + this);
      }
      head++;
      if (head == ENTRIES) {
        head = 0;
        phase ^= 1;
      }
      count++;
    }
    if (count > 0) {
      Mem.putIntRelease(segment + QpairSegment.CQ_HEAD_OFFSET, head);
      inFlightCount -= count;
    }
    return count;
  }

  @Override
  public String toString() {
    return "disk="
        + bdev.description()
        + " queue pair, requests="
        + number
        + " inFlight="
        + inFlightCount;
  }

  @Override
  public void close() {
    eventFd.free();
    Fds.close(kickFd);
    Fds.close(callFd);
    Mem.free(block);
  }
}
