package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Queues: depth, wrap, what a driver may do with doorbells, and what it must not. */
class NvmeQueueTest {
  private static final int READ = 2;
  private static final int COMPARE = 5;

  private static TestCommand read(final NvmeRig rig, final int commandId) {
    return new TestCommand(READ, commandId, 1).prps(rig.guestData, 0).blocks(commandId % 2048, 1);
  }

  /** Takes completions until nothing comes any more; each id once. */
  private static BitSet ids(final NvmeRig rig) {
    final BitSet ids = new BitSet();
    for (int quiet = 0; quiet < 3; quiet++) {
      rig.cycle();
      for (final NvmeRig.Completion completion : rig.pollAll()) {
        assertEquals(0, completion.status());
        assertFalse(ids.get(completion.commandId()), "twice: " + completion);
        ids.set(completion.commandId());
        quiet = 0;
      }
    }
    return ids;
  }

  @ParameterizedTest
  @CsvSource({"2, 1", "3, 2", "64, 32", "1024, 1023"})
  void shouldCompleteEachCommandOnceOverManyLaps(final int size, final int depth) {
    try (NvmeRig rig = NvmeRig.started(size)) {
      for (int lap = 0; lap < 7; lap++) {
        for (int i = 0; i < depth; i++) {
          rig.queues[0].add(read(rig, lap * depth + i & 0xFFFF));
        }
        rig.queues[0].ring();
        assertEquals(depth, ids(rig).cardinality(), "lap " + lap);
      }
      assertEquals(7L * depth, rig.counter(1, QueueCounter.READ_OPS));
    }
  }

  @Test
  void shouldTellWhichEntriesAreFree() {
    try (NvmeRig rig = NvmeRig.started(16)) {
      rig.disk.room(16);
      final byte[] bytes = NvmeRig.randomBytes(new Random(3), 512);
      Mem.copyIn(bytes, 0, rig.disk.data + 512, 512);
      rig.queues[0].add(read(rig, 1));
      rig.queues[0].add(new TestCommand(0x77, 2, 1));
      rig.queues[0].ring();
      rig.cycle();
      final NvmeRig.Completion refused = rig.poll();
      assertEquals(2, refused.commandId());
      assertEquals(2, refused.sqHead());
      // Both entries are the driver's again, though the first command still runs.
      rig.queues[0].scribble(0);
      rig.queues[0].scribble(1);
      rig.dropAgent();
      rig.disk.die(new Random(1));
      rig.disk.room(-1);
      assertEquals(1, rig.startAgent());
      rig.cycle();
      assertEquals(1, rig.poll().commandId());
      assertArrayEquals(bytes, rig.get(rig.guestData, 512));
    }
  }

  @Test
  void shouldHoldCompletionsBackWhileTheQueueIsFull() {
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, 512), 1, 4, 16)) {
      rig.startAgent();
      for (int i = 0; i < 10; i++) {
        rig.queues[0].add(read(rig, i));
      }
      rig.queues[0].ring();
      rig.cycle();
      rig.cycle();
      for (int i = 0; i < 3; i++) {
        assertEquals(i, rig.poll().commandId());
      }
      assertNull(rig.peek(), "a fourth entry in a queue of four");
      assertEquals(7, ids(rig).cardinality());
    }
  }

  @Test
  void shouldLoseNothingWhenItDiesWhileTheQueueIsFull() {
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, 512), 1, 4, 16)) {
      rig.startAgent();
      for (int i = 0; i < 10; i++) {
        rig.queues[0].add(read(rig, i));
      }
      rig.queues[0].ring();
      rig.cycle();
      rig.dropAgent();
      assertEquals(7, rig.startAgent());
      assertEquals(10, ids(rig).cardinality());
    }
  }

  @Test
  void shouldServeSeveralSubmissionQueuesThroughOneCompletionQueue() {
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, 512), 1, 64, 8, 32, 5)) {
      rig.startAgent();
      final int[] counts = new int[4];
      for (int round = 0; round < 50; round++) {
        for (final TestQueue queue : rig.queues) {
          for (int i = 0; i < queue.size - 1; i++) {
            queue.add(read(rig, i));
          }
          queue.ring();
        }
        for (int i = 0; i < 5; i++) {
          rig.cycle();
          for (final NvmeRig.Completion completion : rig.pollAll()) {
            counts[completion.queueId()]++;
          }
        }
      }
      assertArrayEquals(new int[] {0, 50 * 7, 50 * 31, 50 * 4}, counts);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {16, 17, 255, 0xFFFF})
  void shouldIgnoreATailOutsideTheQueueAndTellOnce(final int value) {
    try (NvmeRig rig = NvmeRig.started(16)) {
      rig.queues[0].add(read(rig, 5));
      rig.queues[0].ring(value);
      for (int i = 0; i < 10; i++) {
        rig.cycle();
      }
      assertNull(rig.peek());
      assertEquals(1, rig.reports.doorbellFaults);
      rig.queues[0].ring();
      rig.cycle();
      assertEquals(5, rig.poll().commandId());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {16, 4, 9, 15, 0xFFFF})
  void shouldIgnoreAHeadThatPassesTheTail(final int value) {
    try (NvmeRig rig = NvmeRig.started(16)) {
      for (int i = 0; i < 3; i++) {
        rig.queues[0].add(read(rig, i));
      }
      rig.queues[0].ring();
      rig.cycle();
      rig.ringHead(value);
      for (int i = 3; i < 15; i++) {
        rig.queues[0].add(read(rig, i));
      }
      rig.queues[0].ring();
      rig.cycle();
      assertEquals(1, rig.reports.doorbellFaults);
      // As if the head had never moved: 15 fit, and no entry was overwritten.
      for (int i = 0; i < 15; i++) {
        assertEquals(i, rig.poll().commandId());
      }
    }
  }

  @Test
  void shouldTakeReservedBitsOfADoorbellForNothing() {
    try (NvmeRig rig = NvmeRig.started(16)) {
      rig.queues[0].add(read(rig, 5));
      rig.queues[0].ring(0xABCD_0000 | 1);
      rig.cycle();
      assertEquals(5, rig.poll().commandId());
    }
  }

  @Test
  void shouldInterruptOnceForABatchAndOnceAtATakeover() {
    final int callFd = EventFd.create();
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, 512), 1, 16, 16)) {
      rig.startAgent();
      rig.agent.vectors(new int[] {-1, callFd});
      rig.cycle();
      assertEquals(1, drain(callFd), "a new descriptor is signalled once");
      for (int i = 0; i < 9; i++) {
        rig.queues[0].add(read(rig, i));
      }
      rig.queues[0].ring();
      rig.cycle();
      assertEquals(1, drain(callFd));
      rig.cycle();
      assertEquals(0, drain(callFd));
      rig.agent.vectors(new int[] {callFd, -1});
      rig.queues[0].add(read(rig, 9));
      rig.queues[0].ring();
      rig.cycle();
      assertEquals(0, drain(callFd), "the vector of another queue");
    } finally {
      Fds.close(callFd);
    }
  }

  /** What an eventfd counted; the calls of one cycle add up in it. */
  private static long drain(final int fd) {
    if (!Fds.awaitReadable(fd, 0)) {
      return 0;
    }
    new EventFd().drain(fd);
    return 1;
  }

  @Test
  void shouldAskForAMessageOnlyBeforeItSleepsWithShadowDoorbells() {
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, 512), 1, 16, 16)) {
      final long shadow = rig.guestLists;
      final long eventIndex = rig.guestLists + 4096;
      rig.setup = rig.newSetup(false, shadow, eventIndex);
      rig.startAgent();
      assertFalse(rig.setup.isPolledOnly());
      rig.queues[0].add(read(rig, 1));
      Mem.putInt(rig.hostOf(shadow + 8), 1);
      rig.cycle();
      assertEquals(1, rig.peek().commandId());
      assertEquals(0, Mem.getInt(rig.hostOf(eventIndex + 8)));
      assertFalse(rig.agent.armKicks());
      assertEquals(1, Mem.getInt(rig.hostOf(eventIndex + 8)));
      rig.queues[0].add(read(rig, 2));
      Mem.putInt(rig.hostOf(shadow + 8), 2);
      assertTrue(rig.agent.armKicks(), "it came meanwhile");
      rig.cycle();
      // Without the head's shadow nothing is ever free.
      Mem.putInt(rig.hostOf(shadow + 12), 2);
      assertEquals(1, rig.poll().commandId());
      assertEquals(2, rig.poll().commandId());
      assertEquals(0, rig.reports.doorbellFaults);
    }
  }

  @Test
  void shouldStandStillWhileItsQueueIsNotInMemory() {
    try (NvmeRig rig = NvmeRig.started(16)) {
      rig.disk.room(16);
      rig.queues[0].add(read(rig, 1));
      rig.queues[0].ring();
      rig.cycle();
      rig.agent.memory(new DmaMemory(GuestMemory.of(List.of()), GuestMemory.of(List.of())));
      assertTrue(rig.agent.usesPreviousMemory(), "a read still writes there");
      rig.queues[0].add(read(rig, 2));
      rig.queues[0].ring();
      rig.disk.finish(new Random(1), rig.agent, 0);
      assertFalse(rig.agent.usesPreviousMemory());
      for (int i = 0; i < 5; i++) {
        rig.cycle();
      }
      assertNull(rig.peek());
      rig.disk.room(-1);
      rig.agent.memory(rig.memory);
      assertEquals(2, ids(rig).cardinality());
    }
  }

  @Test
  void shouldStandStillWhileTheFunctionIsNoBusMaster() {
    try (NvmeRig rig = NvmeRig.started(16)) {
      rig.disk.refuseNext(1);
      rig.queues[0].add(read(rig, 1));
      rig.queues[0].ring();
      rig.cycle();
      final int before = rig.disk.submitCount;
      rig.agent.memory(outOfReach(rig));
      assertFalse(rig.agent.usesPreviousMemory());
      rig.queues[0].add(read(rig, 2));
      rig.queues[0].ring();
      for (int i = 0; i < 5; i++) {
        rig.cycle();
      }
      assertNull(rig.peek());
      assertEquals(before, rig.disk.submitCount);
      assertFalse(rig.agent.armKicks(), "there is nothing to stay awake for");
      assertEquals(0, rig.agent.inFlightCount(), "a reset need not wait for it");
      final boolean[] isFlushed = new boolean[1];
      assertTrue(rig.agent.flushAll(() -> isFlushed[0] = true));
      rig.cycle();
      rig.reports.runTasks();
      assertTrue(isFlushed[0], "a shutdown needs no guest memory");
      rig.agent.memory(rig.memory);
      assertEquals(2, ids(rig).cardinality());
    }
  }

  @Test
  void shouldEndWhatRunsWhenTheFunctionStopsBeingABusMaster() {
    try (NvmeRig rig = NvmeRig.started(16)) {
      for (int i = 0; i < 255; i++) {
        rig.putLong(rig.guestLists + i * 8L, rig.guestData + (i + 1) * 4096L);
      }
      rig.disk.room(1);
      rig.queues[0].add(
          new TestCommand(COMPARE, 1, 1).prps(rig.guestData, rig.guestLists).blocks(0, 2048));
      rig.queues[0].add(read(rig, 2));
      rig.queues[0].ring();
      rig.cycle();
      rig.agent.memory(outOfReach(rig));
      assertTrue(rig.agent.usesPreviousMemory(), "the comparison has its pages still");
      rig.disk.room(-1);
      // So much of it that it waits for another turn, behind the command that stands still.
      rig.disk.finish(new Random(1), rig.agent, 0);
      assertTrue(rig.agent.usesPreviousMemory());
      for (int i = 0; i < 10; i++) {
        rig.cycle();
      }
      assertFalse(rig.agent.usesPreviousMemory());
      assertNull(rig.peek());
      rig.agent.memory(rig.memory);
      assertEquals(2, ids(rig).cardinality());
    }
  }

  private static DmaMemory outOfReach(final NvmeRig rig) {
    return new DmaMemory(rig.memory.readable(), rig.memory.writable(), false).reachable();
  }

  @Test
  void shouldStartWhenTheMemoryOfItsQueueComes() {
    try (NvmeRig rig = NvmeRig.started(16)) {
      rig.disk.room(16);
      rig.queues[0].add(read(rig, 1));
      rig.queues[0].ring();
      rig.cycle();
      rig.disk.die(new Random(1));
      rig.dropAgent();
      rig.disk.room(-1);
      final DmaMemory none = new DmaMemory(GuestMemory.of(List.of()), GuestMemory.of(List.of()));
      final NvmeQueueSetup s = rig.setup;
      rig.setup =
          new NvmeQueueSetup(
              s.context(), s.completion(), s.submissions(), none, -1, s.volumes(), 0, 0, true, 0);
      assertEquals(0, rig.startAgent());
      rig.cycle();
      assertNull(rig.peek());
      rig.agent.memory(rig.memory);
      assertEquals(1, ids(rig).cardinality());
    }
  }

  @Test
  void shouldReadCommandsAgainThatWaitWithAddressesOfTheOldMap() {
    try (NvmeRig rig = NvmeRig.started(16)) {
      rig.disk.refuseNext(1);
      rig.queues[0].add(read(rig, 1));
      rig.queues[0].ring();
      rig.agent.poll(1, 32);
      // The data is somewhere else now: the same guest addresses, other host addresses.
      final long other = Mem.allocate(NvmeRig.DATA_BYTES);
      Mem.fill(rig.disk.data, 4096, (byte) 9);
      final List<MemoryRegion> regions = new ArrayList<>();
      final MemoryRegion first = rig.memory.readable().regions().get(0);
      final long queuesBytes = rig.guestData - NvmeRig.GUEST;
      regions.add(
          new MemoryRegion(NvmeRig.GUEST, NvmeRig.GUEST, queuesBytes, first.hostAddress(), -1, 0));
      regions.add(new MemoryRegion(rig.guestData, rig.guestData, NvmeRig.DATA_BYTES, other, -1, 0));
      final GuestMemory map = GuestMemory.of(regions);
      rig.agent.memory(new DmaMemory(map, map));
      assertFalse(rig.agent.usesPreviousMemory());
      assertEquals(1, ids(rig).cardinality());
      assertEquals(9, Mem.getByte(other));
      assertEquals(0, rig.get(rig.guestData, 1)[0]);
      rig.dropAgent();
      Mem.free(other);
    }
  }

  @Test
  void shouldNotWriteWhereItMayOnlyRead() {
    try (NvmeRig rig = NvmeRig.started(16)) {
      final MemoryRegion first = rig.memory.readable().regions().get(0);
      final GuestMemory writable = GuestMemory.of(List.of(first));
      rig.agent.memory(new DmaMemory(rig.memory.readable(), writable));
      final long readOnly = rig.guestData + NvmeRig.DATA_BYTES;
      final TestCommand read = new TestCommand(READ, 1, 1).prps(readOnly, 0).blocks(0, 1);
      assertEquals(0x4004, rig.run(read));
      assertEquals(0, rig.run(new TestCommand(1, 2, 1).prps(readOnly, 0).blocks(0, 1)));
    }
  }

  @Test
  void shouldStopASubmissionQueueWhenItsCommandsHaveEnded() {
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, 512), 1, 16, 8, 8)) {
      rig.startAgent();
      rig.disk.room(16);
      rig.queues[1].add(read(rig, 1));
      rig.queues[1].ring();
      rig.cycle();
      final List<String> told = new ArrayList<>();
      rig.agent.stopSubmissions(2, () -> told.add("stopped"));
      rig.queues[1].add(read(rig, 2));
      rig.queues[1].ring();
      rig.cycle();
      rig.reports.runTasks();
      assertEquals(List.of(), told);
      rig.disk.finish(new Random(1), rig.agent, 0);
      rig.cycle();
      rig.reports.runTasks();
      assertEquals(List.of("stopped"), told);
      assertEquals(1, rig.poll().commandId());
      assertNull(rig.peek(), "it was fetched after the stop");
      rig.disk.room(-1);
      rig.queues[0].add(read(rig, 3));
      rig.queues[0].ring();
      rig.cycle();
      assertEquals(3, rig.poll().commandId(), "the other queue goes on");
      // A queue of the same id begins anew.
      rig.agent.startSubmissions(new SubmissionQueue(2, 1, 8, rig.queues[1].guestAddress, 99));
      rig.queues[1].tail = 0;
      rig.queues[1].add(read(rig, 4));
      rig.queues[1].ring();
      rig.cycle();
      assertEquals(4, rig.poll().commandId());
      rig.agent.stopSubmissions(7, () -> told.add("never ran"));
      rig.reports.runTasks();
      assertEquals(2, told.size());
    }
  }

  @Test
  void shouldStopAQueueWhoseCompletionsFindNoRoom() {
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, 512), 1, 3, 8, 8)) {
      rig.startAgent();
      for (int i = 0; i < 5; i++) {
        rig.queues[1].add(read(rig, i));
      }
      rig.queues[1].ring();
      rig.cycle();
      final List<String> told = new ArrayList<>();
      rig.agent.stopSubmissions(2, () -> told.add("stopped"));
      rig.cycle();
      rig.reports.runTasks();
      assertEquals(List.of("stopped"), told);
      assertEquals(0, rig.agent.inFlightCount());
      rig.queues[0].add(read(rig, 9));
      rig.queues[0].ring();
      rig.cycle();
      assertEquals(0, rig.poll().commandId());
      assertEquals(1, rig.poll().commandId());
      rig.cycle();
      assertEquals(9, rig.poll().commandId());
    }
  }

  @Test
  void shouldFlushAllNamespacesForAShutdown() {
    try (NvmeRig rig = NvmeRig.started(8)) {
      rig.disk.room(4);
      final List<String> told = new ArrayList<>();
      assertTrue(rig.agent.flushAll(() -> told.add("flushed")));
      assertFalse(rig.agent.flushAll(() -> {}));
      assertEquals(1, rig.agent.inFlightCount());
      rig.disk.finish(new Random(1), rig.agent, 0);
      rig.reports.runTasks();
      assertEquals(List.of("flushed"), told);
      assertTrue(rig.agent.flushAll(() -> told.add("again")));
    }
  }

  @Test
  void shouldRefuseAJournalOfAnotherSize() {
    try (NvmeRig rig = NvmeRig.started(8)) {
      rig.dropAgent();
      Mem.putInt(rig.area.sqJournalAddress(1) + 4, 16);
      final IllegalStateException complaint =
          org.junit.jupiter.api.Assertions.assertThrows(
              IllegalStateException.class, rig::startAgent);
      assertTrue(complaint.getMessage().contains("16"), complaint.getMessage());
    }
  }
}
