package io.virtnvme.ipc.nvme.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.disk.DiskQueue;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The driver's side of a queue pair, with a controller that the test plays by hand. */
class NvmeQueueTest {
  private static final int QUEUE_SIZE = 4;
  private static final int ENTRY_COUNT = QUEUE_SIZE + 1;
  private static final int QUEUE_ID = 3;
  private static final long GUEST_LISTS = 0x5_0000_0000L;
  private static final int PAGE = 4096;

  private final long memory = Mem.allocate(64 * PAGE);
  private final long base = (memory + PAGE - 1) & -PAGE;
  private final long doorbells = base;
  private final long submissions = base + PAGE;
  private final long completions = base + 2 * PAGE;
  private final long lists = base + 3 * PAGE;
  private final NvmeQueue queue;

  private int fetched;
  private int posted;

  NvmeQueueTest() {
    Mem.fill(memory, 64 * PAGE, (byte) 0);
    queue =
        new NvmeQueue(
            new QueuePair(
                new DoorbellPort(null, doorbells), QUEUE_ID, ENTRY_COUNT, submissions, completions),
            QUEUE_SIZE,
            7,
            12,
            lists,
            GUEST_LISTS);
  }

  @AfterEach
  void free() {
    Mem.free(memory);
  }

  private int tailDoorbell() {
    return Mem.getInt(doorbells + Doorbells.sqTailOffset(QUEUE_ID));
  }

  private int headDoorbell() {
    return Mem.getInt(doorbells + Doorbells.cqHeadOffset(QUEUE_ID));
  }

  /** Address of the next command that was announced. */
  private long fetch() {
    assertTrue(fetched % ENTRY_COUNT != tailDoorbell(), "nothing was announced");
    return submissions + (long) (fetched++ % ENTRY_COUNT) * SubmissionEntry.ENTRY_LENGTH;
  }

  private void complete(final int commandId, final int status) {
    final long entry = completions + (long) (posted % ENTRY_COUNT) * CompletionEntry.ENTRY_LENGTH;
    final boolean phase = posted / ENTRY_COUNT % 2 == 0;
    Mem.putInt(
        entry + CompletionEntry.DWORD2_OFFSET,
        CompletionEntry.dword2(fetched % ENTRY_COUNT, QUEUE_ID));
    Mem.putIntRelease(
        entry + CompletionEntry.DWORD3_OFFSET, CompletionEntry.dword3(commandId, status, phase));
    posted++;
  }

  private int submit(final int type, final long sector, final long address, final int length) {
    final int token = queue.begin(type, sector);
    if (length > 0) {
      queue.data(address, length, type == DiskQueue.READ);
    }
    assertTrue(queue.add());
    queue.publish();
    return token;
  }

  @Test
  void shouldWriteCommandsAsTheSpecificationHasThem() {
    final int token = submit(DiskQueue.WRITE, 24, 0x1_0000_2000L, 8192);
    final long entry = fetch();
    final int dword0 = Mem.getInt(entry);
    assertEquals(NvmOpcode.WRITE, SubmissionEntry.opcode(dword0));
    assertEquals(SubmissionEntry.PSDT_PRP, SubmissionEntry.psdt(dword0));
    assertEquals(token, SubmissionEntry.commandId(dword0));
    assertEquals(7, Mem.getInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET));
    assertEquals(3, Mem.getLong(entry + IoCommand.START_BLOCK_OFFSET), "24 sectors are 3 blocks");
    assertEquals(1, Mem.getInt(entry + IoCommand.BLOCKS_OFFSET), "two blocks, 0's based");
    assertEquals(0x1_0000_2000L, Mem.getLong(entry + SubmissionEntry.PRP1_OFFSET));
    assertEquals(0x1_0000_3000L, Mem.getLong(entry + SubmissionEntry.PRP2_OFFSET));
    submit(DiskQueue.FLUSH, 0, 0, 0);
    final long flush = fetch();
    assertEquals(NvmOpcode.FLUSH, SubmissionEntry.opcode(Mem.getInt(flush)));
    assertEquals(0, Mem.getLong(flush + SubmissionEntry.PRP1_OFFSET));
  }

  @Test
  void shouldListThePagesOfALongTransfer() {
    final int token = queue.begin(DiskQueue.READ, 0);
    // Two segments that follow one another, the first within a page.
    queue.data(0x1_0000_0200L, 512, true);
    queue.data(0x1_0000_0400L, 16384 - 512, true);
    assertTrue(queue.add());
    queue.publish();
    final long entry = fetch();
    assertEquals(0x1_0000_0200L, Mem.getLong(entry + SubmissionEntry.PRP1_OFFSET));
    assertEquals(
        GUEST_LISTS + (long) token * PAGE, Mem.getLong(entry + SubmissionEntry.PRP2_OFFSET));
    for (int i = 0; i < 4; i++) {
      assertEquals(
          0x1_0000_1000L + (long) i * PAGE, Mem.getLong(lists + (long) token * PAGE + 8L * i));
    }
    queue.begin(DiskQueue.READ, 0);
    queue.data(0x1000, 4096, true);
    assertThrows(IllegalArgumentException.class, () -> queue.data(0x3000, 4096, true));
  }

  @Test
  void shouldAnnounceNothingBeforeItIsPublished() {
    queue.begin(DiskQueue.FLUSH, 0);
    assertTrue(queue.add());
    assertEquals(0, tailDoorbell());
    queue.publish();
    assertEquals(1, tailDoorbell());
  }

  @Test
  void shouldTakeCompletionsInAnyOrderOverManyLapsAndGiveTheirRoomBack() {
    for (int lap = 0; lap < 5 * ENTRY_COUNT; lap++) {
      final int first = submit(DiskQueue.FLUSH, 0, 0, 0);
      final int second = submit(DiskQueue.FLUSH, 0, 0, 0);
      fetch();
      fetch();
      assertEquals(DiskQueue.NONE, queue.poll(), "nothing was completed");
      complete(second, 0);
      complete(first, 0x80);
      assertEquals(second, queue.poll());
      assertEquals(0, queue.status(second));
      queue.reclaim(second);
      assertEquals(first, queue.poll());
      assertEquals(0x80, queue.status(first));
      queue.reclaim(first);
      assertEquals(DiskQueue.NONE, queue.poll());
      assertEquals(posted % ENTRY_COUNT, headDoorbell());
      assertEquals(0, queue.inFlightCount());
    }
    assertEquals(0, queue.faultCount());
  }

  @Test
  void shouldHaveRoomForAsManyRequestsAsItSays() {
    for (int i = 0; i < QUEUE_SIZE; i++) {
      submit(DiskQueue.FLUSH, 0, 0, 0);
    }
    assertEquals(DiskQueue.NONE, queue.begin(DiskQueue.FLUSH, 0));
    assertEquals(QUEUE_SIZE, queue.inFlightCount());
  }

  @Test
  void shouldCountCompletionsThatNoCommandExplains() {
    final int token = submit(DiskQueue.FLUSH, 0, 0, 0);
    fetch();
    complete(token, 0);
    complete(token, 0);
    complete(999, 0);
    assertEquals(token, queue.poll());
    assertEquals(DiskQueue.NONE, queue.poll());
    assertEquals(2, queue.faultCount());
    assertFalse(queue.publish());
  }

  @Test
  void shouldAllocateNothingPerRequest() {
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    requests(10_000);
    final long before = threads.getCurrentThreadAllocatedBytes();
    requests(10_000);
    final long allocated = threads.getCurrentThreadAllocatedBytes() - before;
    assertEquals(0, allocated);
  }

  private void requests(final int count) {
    for (int i = 0; i < count; i++) {
      final int token = queue.begin(DiskQueue.READ, 8);
      queue.data(0x1000, 16384, true);
      queue.add();
      queue.publish();
      fetched++;
      complete(token, 0);
      queue.poll();
      queue.reclaim(token);
      queue.poll();
    }
  }
}
