package io.virtnvme.slave.qpair;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.qpair.QpairSegment;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateLimits;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The agent, stepped by hand, with a disk that does what the test says. */
class QpairAgentTest {
  private static final int ENTRY_COUNT = 8;
  private static final long POOL_LENGTH = 1 << 16;
  private static final int BLOCK_BYTES = 512;
  private static final long BLOCK_COUNT = 1000;
  private static final int MANY = 100_000;

  /** Takes requests on; remembers them when the test wants to see them. */
  private final class Disk implements BlockChannel {
    private final List<String> seen = new ArrayList<>();
    private final List<Long> tags = new ArrayList<>();
    private int result = PENDING;
    private boolean isRemembering = true;

    @Override
    public int submit(
        final int operation,
        final long iovecs,
        final int iovecCount,
        final long offsetBytes,
        final long lengthBytes,
        final int flags,
        final long tag) {
      assertTrue(offsetBytes >= 0 && offsetBytes + lengthBytes <= lengthBytes());
      if (iovecCount == 1) {
        final long buffer = Mem.getLong(iovecs) - pool;
        assertTrue(buffer >= 0 && buffer + Mem.getLong(iovecs + Long.BYTES) <= POOL_LENGTH);
      }
      if (isRemembering && result != RETRY) {
        seen.add(operation + "@" + offsetBytes / BLOCK_BYTES + "+" + lengthBytes / BLOCK_BYTES);
        tags.add(tag);
      }
      return result;
    }

    @Override
    public long lengthBytes() {
      return BLOCK_COUNT * BLOCK_BYTES;
    }

    @Override
    public int blockBytes() {
      return BLOCK_BYTES;
    }
  }

  private final Disk disk = new Disk();
  private final RateLimits limits = new RateLimits();
  private long memory;
  private long segment;
  private long journal;
  private long counters;
  private long pool;
  private int tail;
  private int head;
  private int phase = 1;
  private QpairAgent agent;

  @BeforeEach
  void setUp() {
    final long segmentLength = QpairSegment.length(ENTRY_COUNT, POOL_LENGTH);
    memory = Mem.allocate(segmentLength + 8192 + SessionSegment.QUEUE_LENGTH + 64);
    segment = (memory + 63) & -64L;
    journal = segment + segmentLength;
    counters = journal + 8192;
    pool = segment + QpairSegment.poolOffset(ENTRY_COUNT);
    agent = started(false);
  }

  @AfterEach
  void tearDown() {
    agent.free();
    Mem.free(memory);
  }

  private QpairAgent started(final boolean readOnly) {
    final QpairAgent made =
        new QpairAgent(
            new QpairSetup(
                5, ENTRY_COUNT, POOL_LENGTH, segment, journal, -1, -1, counters, null, readOnly),
            disk,
            limits.gate(this),
            0);
    made.start(0);
    return made;
  }

  private void die() {
    agent.free();
    agent = started(false);
  }

  private void put(final int opcode, final int id, final long block, final int count) {
    put(opcode, id, block, count, 0);
  }

  private void put(
      final int opcode, final int id, final long block, final int count, final long buffer) {
    final long entry = segment + QpairSegment.REQUESTS_OFFSET + (long) tail * QpairRequest.LENGTH;
    Mem.putInt(entry, opcode | (id << 16));
    Mem.putInt(entry + QpairRequest.BLOCK_COUNT_OFFSET, count);
    Mem.putLong(entry + QpairRequest.FIRST_BLOCK_OFFSET, block);
    Mem.putLong(entry + QpairRequest.BUFFER_OFFSET, buffer);
    tail = (tail + 1) % ENTRY_COUNT;
    Mem.putInt(segment + QpairSegment.SQ_TAIL_OFFSET, tail);
  }

  private void step() {
    agent.poll(1, 32);
    agent.flush();
  }

  /** Id and status of the next completion, or -1. */
  private int take() {
    final int dword3 =
        Mem.getInt(
            segment
                + QpairSegment.completionsOffset(ENTRY_COUNT)
                + (long) head * CompletionEntry.ENTRY_LENGTH
                + CompletionEntry.DWORD3_OFFSET);
    if (CompletionEntry.phase(dword3) != (phase != 0)) {
      return -1;
    }
    head = (head + 1) % ENTRY_COUNT;
    phase ^= head == 0 ? 1 : 0;
    Mem.putInt(segment + QpairSegment.CQ_HEAD_OFFSET, head);
    return CompletionEntry.commandId(dword3) * 1000 + CompletionEntry.status(dword3);
  }

  @Test
  void shouldCompleteEachRequestWithItsIdAndStatus() {
    put(QpairRequest.READ, 7, 10, 2);
    put(QpairRequest.WRITE, 8, 20, 1);
    step();
    assertEquals(List.of("0@10+2", "1@20+1"), disk.seen);
    assertEquals(-1, take());
    agent.onIoEnd(disk.tags.get(1).intValue(), -Errno.EIO);
    agent.onIoEnd(disk.tags.get(0).intValue(), 0);
    agent.flush();
    assertEquals(8000 + Errno.EIO, take());
    assertEquals(7000, take());
    assertEquals(0, agent.inFlightCount());
  }

  @Test
  void shouldRefuseWhatLiesOutsideOfVolumeOrPool() {
    put(QpairRequest.READ, 1, BLOCK_COUNT, 1);
    put(QpairRequest.READ, 2, -1, 1);
    put(QpairRequest.READ, 3, 0, -1);
    put(QpairRequest.READ, 4, 0, 1, POOL_LENGTH);
    put(QpairRequest.READ, 5, 0, 1, Long.MIN_VALUE);
    put(99, 6, 0, 1);
    step();
    assertEquals(List.of(), disk.seen);
    assertEquals(1000 + Errno.EINVAL, take());
    assertEquals(2000 + Errno.EINVAL, take());
    assertEquals(3000 + Errno.EINVAL, take());
    assertEquals(4000 + Errno.EFAULT, take());
    assertEquals(5000 + Errno.EFAULT, take());
    assertEquals(6000 + Errno.EOPNOTSUPP, take());
  }

  @Test
  void shouldRefuseEveryWriteOfWhoMayOnlyRead() {
    agent.free();
    agent = started(true);
    put(QpairRequest.WRITE, 1, 0, 1);
    put(QpairRequest.WRITE_ZEROES, 2, 0, 1);
    put(QpairRequest.UNMAP, 3, 0, 1);
    step();
    assertEquals(List.of(), disk.seen);
    assertEquals(1000 + Errno.EROFS, take());
    assertEquals(2000 + Errno.EROFS, take());
    assertEquals(3000 + Errno.EROFS, take());
  }

  @Test
  void shouldRunAgainWhatADeadSlaveHadInFlightInItsOrder() {
    put(QpairRequest.WRITE, 1, 30, 1);
    put(QpairRequest.WRITE, 2, 20, 1);
    put(QpairRequest.WRITE, 3, 10, 1);
    step();
    agent.onIoEnd(disk.tags.get(1).intValue(), 0);
    agent.flush();
    disk.seen.clear();
    disk.tags.clear();
    // The entries are the client's again: what runs is the journal's copy.
    Mem.fill(segment + QpairSegment.REQUESTS_OFFSET, 512, (byte) -1);
    die();
    assertEquals(List.of("1@30+1", "1@10+1"), disk.seen);
    agent.onIoEnd(disk.tags.get(0).intValue(), 0);
    agent.onIoEnd(disk.tags.get(1).intValue(), 0);
    agent.flush();
    assertEquals(2000, take());
    assertEquals(1000, take());
    assertEquals(3000, take());
    assertEquals(-1, take());
  }

  @Test
  void shouldLetRequestsOfAClientWaitThatTakesNoCompletions() {
    disk.result = BlockChannel.DONE;
    for (int i = 0; i < 3 * ENTRY_COUNT; i++) {
      put(QpairRequest.READ, i, 0, 1);
      step();
    }
    assertTrue(disk.seen.size() < 3 * ENTRY_COUNT, "ran: " + disk.seen.size());
    assertEquals(0, agent.inFlightCount());
    assertFalse(agent.armKicks());
    assertEquals(0, take());
    assertTrue(agent.armKicks());
  }

  @Test
  void shouldLeaveWithTheClientWhatARateLimitHoldsBack() {
    limits.set(new BdevLimits(1000, 0, 0, 0));
    disk.result = BlockChannel.DONE;
    final long msNs = 1_000_000;
    long nowNs = 1000 * msNs;
    agent.poll(nowNs, 32);
    int ranBefore = 0;
    for (int i = 0; i < 200; i++) {
      put(QpairRequest.READ, i, 0, 1);
      while (disk.seen.size() == ranBefore) {
        nowNs += msNs / 10;
        agent.poll(nowNs, 32);
        agent.flush();
        if (disk.seen.size() == ranBefore) {
          assertFalse(agent.armKicks());
          assertTrue(agent.pollDueNs() > nowNs && agent.pollDueNs() <= nowNs + msNs);
        }
      }
      ranBefore = disk.seen.size();
      assertEquals(i * 1000, take());
    }
    // 200 at 1000 per second, less what a disk may catch up on.
    final long tookMs = nowNs / msNs - 1000;
    assertTrue(tookMs >= 185 && tookMs <= 205, "ms: " + tookMs);
  }

  @Test
  void shouldSurviveAnyBytesInTheSegment() {
    final SplittableRandom random = new SplittableRandom(3);
    final int words = QpairSegment.poolOffset(ENTRY_COUNT) / Integer.BYTES;
    disk.isRemembering = false;
    disk.result = BlockChannel.DONE;
    for (int round = 0; round < 20_000; round++) {
      for (int i = 0; i < 20; i++) {
        final int word = random.nextInt(words);
        Mem.putInt(segment + (long) word * Integer.BYTES, random.nextInt() >>> random.nextInt(32));
      }
      Mem.putInt(segment + QpairSegment.SQ_TAIL_OFFSET, random.nextInt(ENTRY_COUNT + 2) - 1);
      Mem.putInt(segment + QpairSegment.CQ_HEAD_OFFSET, random.nextInt(ENTRY_COUNT + 2) - 1);
      step();
      agent.armKicks();
      agent.disarmKicks();
      if (round % 100 == 0) {
        die();
      }
    }
  }

  @Test
  void shouldNotAllocate() {
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    disk.isRemembering = false;
    disk.result = BlockChannel.DONE;
    long least = Long.MAX_VALUE;
    for (int round = 0; round < 5; round++) {
      final long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < MANY; i++) {
        cycle(i);
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
    }
    assertEquals(0, least);
  }

  private void cycle(final int i) {
    put(QpairRequest.READ, i & 0xFFFF, i % BLOCK_COUNT, 1);
    step();
    take();
  }
}
