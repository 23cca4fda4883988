package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.slave.virtqueue.GuestMemory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Controller and reactors together, from the first register write, over deaths of the slave. */
class NvmeSessionTest {
  private static final int IDENTIFY = 6;
  private static final int GET_FEATURES = 10;
  private static final int SET_FEATURES = 9;
  private static final int EVENT = 12;
  private static final int READ = 2;
  private static final int INVALID_FIELD = 2;
  private static final int DO_NOT_RETRY = 0x4000;
  private static final int WRITE = 1;

  private static final DmaMemory NOWHERE =
      new DmaMemory(GuestMemory.of(List.of()), GuestMemory.of(List.of()));

  @TempDir Path folder;
  private final Random random = new Random(23);
  private SessionRig rig;

  @BeforeEach
  void open() {
    rig = new SessionRig(folder);
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private TestCommand read(final int block, final int page) {
    return rig.command(READ, 1).prps(rig.page(page), 0).blocks(block, 8);
  }

  private TestCommand write(final int block, final int page) {
    return rig.command(WRITE, 1).prps(rig.page(page), 0).blocks(block, 8);
  }

  private void bringUp() {
    rig.enable();
    bringUpQueues();
  }

  private void bringUpQueues() {
    for (int id = 1; id <= 3; id++) {
      assertEquals(0, rig.createCompletionQueue(id));
      assertEquals(0, rig.createSubmissionQueue(id, id));
    }
    assertEquals(0, rig.createSubmissionQueue(4, 2));
  }

  @Test
  void shouldServeQueuesOfAllReactors() {
    bringUp();
    final TestCommand identify = rig.command(IDENTIFY, 0).prps(rig.page(10), 0).dword(10, 1);
    assertEquals(0, rig.run(0, identify).status());
    assertNotEquals(0, Mem.getInt(rig.hostOf(rig.page(10)) + 520), "number of namespaces");
    for (int id = 1; id <= 4; id++) {
      Mem.fill(rig.hostOf(rig.page(20)), 4096, (byte) id);
      assertEquals(0, rig.run(id, write(id * 8, 20)).status());
      assertEquals(0, rig.run(id, read(id * 8, 21)).status());
      assertEquals(id, Mem.getByte(rig.hostOf(rig.page(21)) + 4095));
    }
    assertEquals(4, rig.slave.queues.totals().readCommands());
    assertEquals(4 * 4096, rig.slave.queues.totals().writtenBytes());
  }

  @Test
  void shouldTellABadDataPointerOfAnAdminCommand() {
    rig.enable();
    final TestCommand identify = rig.command(IDENTIFY, 0).prps(rig.page(10) + 1, 0).dword(10, 1);
    assertEquals(0x13, rig.run(0, identify).status() & 0x7FF);
    final TestCommand nowhere = rig.command(IDENTIFY, 0).prps(1L << 40, 0).dword(10, 1);
    assertEquals(0x04, rig.run(0, nowhere).status() & 0x7FF);
  }

  @Test
  void shouldGoOnFromThePreparedRings() {
    bringUp();
    rig.disk.room(0);
    final List<TestCommand> commands = new ArrayList<>();
    for (int id = 1; id <= 4; id++) {
      for (int i = 0; i < 5; i++) {
        commands.add(read(i, 30 + i));
        rig.submit(id, commands.get(commands.size() - 1));
      }
    }
    rig.step();
    rig.step();
    final SessionRig.Slave standby = rig.new Slave();
    standby.prepare();
    rig.disk.room(-1);
    rig.disk.die(random);
    rig.slave.close();
    rig.slave = standby;
    // Without the control thread: the rings run before it is heard of.
    for (int i = 0; i < SessionRig.REACTORS; i++) {
      standby.seat.takeOver(i);
    }
    assertEquals(4, standby.seat.ringCount());
    standby.seat.doWork(0, 1);
    standby.seat.doWork(1, 1);
    rig.slave.takeOver();
    for (final TestCommand command : commands) {
      assertEquals(0, rig.await(command).status());
    }
    assertEquals(0, rig.run(0, rig.command(GET_FEATURES, 0).dword(10, 7)).status());
  }

  @Test
  void shouldStartFromTheImageWhenThePreparedRingsAreOutOfDate() {
    rig.enable();
    final SessionRig.Slave standby = rig.new Slave();
    standby.prepare();
    assertEquals(0, rig.createCompletionQueue(1));
    assertEquals(0, rig.createSubmissionQueue(1, 1));
    final TestCommand read = read(0, 20);
    rig.submit(1, read);
    rig.disk.die(random);
    rig.slave.close();
    rig.slave = standby;
    standby.takeOver();
    assertEquals(0, standby.seat.ringCount());
    assertEquals(0, rig.await(read).status());
    assertEquals(0, rig.run(0, rig.command(GET_FEATURES, 0).dword(10, 7)).status());
    assertEquals(2, standby.seat.ringCount());
  }

  @Test
  void shouldKeepPreparedRingsWhenOnlyOtherPartsOfTheImageChange() {
    bringUp();
    final SessionRig.Slave standby = rig.new Slave();
    standby.prepare();
    assertEquals(0, rig.run(0, rig.command(GET_FEATURES, 0).dword(10, 7)).status());
    assertEquals(0, rig.run(0, rig.command(SET_FEATURES, 0).dword(10, 11).dword(11, 0)).status());
    rig.slave.close();
    rig.slave = standby;
    standby.takeOver();
    assertEquals(4, standby.seat.ringCount());
    assertEquals(0, rig.run(4, read(0, 20)).status());
  }

  @Test
  void shouldCompleteAnEventRequestOverATakeover() {
    bringUp();
    final TestCommand event = rig.command(EVENT, 0);
    rig.submit(0, event);
    for (int i = 0; i < 10; i++) {
      rig.step();
    }
    assertFalse(rig.isDone(event));
    rig.replace(rig.new Slave(), random);
    for (int i = 0; i < 10; i++) {
      rig.step();
    }
    assertFalse(rig.isDone(event));
    // A tail outside the queue is an error event.
    Mem.putInt(rig.doorbells + 8, 5000);
    final SessionRig.Completion told = rig.await(event);
    assertEquals(0, told.status());
    assertEquals(0x0001_0100, told.result(), "error log, invalid doorbell value, error event");
  }

  /** A front-end is moving guest memory about when the slave dies. */
  @Test
  void shouldKeepAnEventRequestOverATakeoverWithoutMemory() {
    bringUp();
    final TestCommand event = rig.command(EVENT, 0);
    rig.submit(0, event);
    assertEquals(0, rig.run(0, rig.command(GET_FEATURES, 0).dword(10, 7)).status());
    final SessionRig.Slave next = rig.new Slave();
    next.queues.memory(NOWHERE, () -> {});
    rig.replace(next, random);
    steps(10);
    next.queues.memory(rig.memory, () -> {});
    steps(10);
    assertFalse(rig.isDone(event), "an event of nothing");
    // A tail outside the queue is an error event.
    Mem.putInt(rig.doorbells + 8, 5000);
    assertEquals(0, rig.await(event).status());
  }

  @Test
  void shouldRunNothingBeforeTheFenceWhenMemoryComesBack() {
    bringUp();
    rig.disk.room(0);
    rig.submit(1, write(0, 20));
    steps(3);
    rig.disk.fence(true);
    final SessionRig.Slave next = rig.new Slave();
    next.queues.memory(NOWHERE, () -> {});
    rig.replace(next, random);
    steps(3);
    final int before = rig.disk.submitCount;
    next.queues.memory(rig.memory, () -> {});
    steps(10);
    assertEquals(before, rig.disk.submitCount, "the dead owner's requests may still run");
  }

  @Test
  void shouldEndWithTheLastNamespacesWhenOnlyTheOnesBeforeWaitForAFence() {
    bringUp();
    final NvmeTestDisk other = new NvmeTestDisk(1 << 20, 512);
    other.fence(true);
    final NamespaceVolume first = NvmeRig.volume(1, rig.disk);
    final List<String> ends = new ArrayList<>();
    rig.slave.queues.volumes(
        List.of(first, NvmeRig.volume(2, other)), () -> ends.add("second added"));
    rig.slave.queues.volumes(List.of(first), () -> ends.add("second removed"));
    steps(10);
    assertEquals(List.of(), ends, "the dead owner's requests may still run");
    other.fence(false);
    steps(10);
    assertEquals(List.of("second added", "second removed"), ends);
    final TestCommand command = rig.command(READ, 2).prps(rig.page(40), 0).blocks(0, 1);
    rig.submit(1, command);
    assertEquals(INVALID_FIELD | DO_NOT_RETRY, rig.await(command).status());
    other.close();
  }

  /** One may be about a queue, and the driver rings for that as soon as it sees the completion. */
  @Test
  void shouldAnswerNoAdminCommandBeforeAllQueuesRun() {
    bringUp();
    rig.disk.fence(true);
    rig.replace(rig.new Slave(), random);
    final TestCommand command = rig.command(GET_FEATURES, 0).dword(10, 7);
    rig.submit(0, command);
    steps(20);
    assertFalse(rig.isDone(command));
  }

  private void steps(final int count) {
    for (int i = 0; i < count; i++) {
      rig.step();
    }
  }

  @Test
  void shouldResetWithCommandsInFlightAndBeginAnew() {
    bringUp();
    rig.disk.room(0);
    for (int i = 0; i < 5; i++) {
      rig.submit(1, read(i, 30 + i));
    }
    rig.submit(0, rig.command(EVENT, 0));
    rig.step();
    rig.step();
    final SessionRig.Slave slave = rig.slave;
    final boolean[] done = new boolean[1];
    slave.controller.writeRegister(0x14, 4, 6 << 16 | 4 << 20, () -> done[0] = true);
    for (int i = 0; i < 20; i++) {
      rig.step();
    }
    assertEquals(1, rig.status() & 1, "RDY fell before the commands had ended");
    rig.disk.room(-1);
    rig.awaitStatus(1, 0);
    assertTrue(done[0]);
    assertEquals(0, slave.seat.ringCount());
    bringUp();
    assertEquals(0, rig.run(3, read(1, 20)).status());
  }

  @Test
  void shouldAnswerAResetThatComesWhileAnotherOneWaits() {
    bringUp();
    rig.disk.room(0);
    rig.submit(1, read(0, 30));
    steps(2);
    final SessionRig.Slave slave = rig.slave;
    slave.controller.writeRegister(0x14, 4, 6 << 16 | 4 << 20, () -> {});
    // The idle queues end; before the control thread hears of that, the function is reset.
    for (int i = 0; i < SessionRig.REACTORS; i++) {
      slave.seat.doWork(i, 1);
    }
    final boolean[] done = new boolean[1];
    slave.controller.reset(() -> done[0] = true);
    steps(10);
    assertFalse(done[0], "a command still runs");
    rig.disk.room(-1);
    steps(20);
    assertTrue(done[0]);
  }

  @Test
  void shouldDeleteAndCreateQueuesAgain() {
    bringUp();
    for (int round = 0; round < 5; round++) {
      for (int i = 0; i < 20; i++) {
        assertEquals(0, rig.run(4, read(i, 20)).status());
      }
      assertEquals(0, rig.deleteSubmissionQueue(4));
      assertEquals(0, rig.createSubmissionQueue(4, 2));
      assertEquals(0, rig.deleteSubmissionQueue(3));
      assertEquals(0, rig.deleteCompletionQueue(3));
      assertEquals(0, rig.createCompletionQueue(3));
      assertEquals(0, rig.createSubmissionQueue(3, 3));
      assertEquals(0, rig.run(3, read(1, 20)).status());
    }
    assertEquals(4, rig.slave.seat.ringCount());
  }

  /**
   * The slave dies every so many steps, in everything that a driver does with queues: no admin
   * command is executed twice (that would be an error status), none is lost.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17, 23})
  void shouldExecuteEachAdminCommandOnceOverDeaths(final int period) {
    final int[] steps = new int[1];
    final int[] deaths = new int[1];
    rig.beforeStep =
        () -> {
          steps[0]++;
          // Not so often that nothing can ever end.
          if (steps[0] % (period + 12 * (deaths[0] % 2)) == 0) {
            deaths[0]++;
            final SessionRig.Slave next = rig.new Slave();
            if (random.nextBoolean()) {
              next.prepare();
            }
            rig.replace(next, random);
          }
        };
    for (int round = 0; round < 3; round++) {
      bringUp();
      for (int id = 1; id <= 4; id++) {
        Mem.fill(rig.hostOf(rig.page(20)), 4096, (byte) (round + id));
        assertEquals(0, rig.run(id, write(id * 8, 20)).status());
        assertEquals(0, rig.run(id, read(id * 8, 21)).status());
        assertEquals(round + id, Mem.getByte(rig.hostOf(rig.page(21)) + 4095));
      }
      assertEquals(0, rig.deleteSubmissionQueue(4));
      assertEquals(0, rig.deleteSubmissionQueue(3));
      assertEquals(0, rig.deleteCompletionQueue(3));
      assertEquals(
          0, rig.run(0, rig.command(IDENTIFY, 0).prps(rig.page(10), 0).dword(10, 1)).status());
      rig.disable();
    }
    assertTrue(deaths[0] > 5, "deaths=" + deaths[0]);
    assertNull(rig.take(rig.command(0, 0)));
  }

  @Test
  void shouldProcessNoQueueUntilTheFunctionIsABusMaster() {
    bringUp();
    rig.busMaster(false);
    final List<TestCommand> commands = new ArrayList<>();
    for (int id = 1; id <= 4; id++) {
      commands.add(read(id, 30 + id));
      rig.submit(id, commands.get(commands.size() - 1));
    }
    final TestCommand admin = rig.command(GET_FEATURES, 0).dword(10, 7);
    commands.add(admin);
    rig.submit(0, admin);
    final int before = rig.disk.submitCount;
    steps(20);
    // A successor obeys, whether it was prepared or not.
    for (final boolean isPrepared : new boolean[] {true, false}) {
      final SessionRig.Slave next = rig.new Slave();
      if (isPrepared) {
        next.prepare();
      }
      rig.replace(next, random);
      steps(20);
    }
    assertEquals(before, rig.disk.submitCount);
    for (final TestCommand command : commands) {
      assertFalse(rig.isDone(command));
    }
    rig.busMaster(true);
    for (final TestCommand command : commands) {
      assertEquals(0, rig.await(command).status());
    }
  }

  @Test
  void shouldEnableAndResetAControllerThatIsNoBusMaster() {
    rig.busMaster(false);
    rig.beginEnabling();
    steps(20);
    assertEquals(0, rig.status() & 3, "neither ready nor fatal");
    rig.disable();
    steps(20);
    assertEquals(0, rig.slave.seat.ringCount(), "a reset does not wait for the bus");
    rig.beginEnabling();
    steps(20);
    rig.busMaster(true);
    rig.awaitStatus(1, 1);
    assertEquals(0, rig.run(0, rig.command(GET_FEATURES, 0).dword(10, 7)).status());
    bringUpQueues();
    rig.disk.refuseNext(1000);
    rig.submit(1, read(0, 30));
    steps(5);
    rig.busMaster(false);
    rig.disable();
    assertEquals(0, rig.slave.seat.ringCount());
    rig.disk.refuseNext(0);
    rig.busMaster(true);
    bringUp();
    assertEquals(0, rig.run(3, read(1, 20)).status());
  }

  @Test
  void shouldNotRunTheQueuesOfAFatalController() {
    bringUp();
    final SessionRig.Slave standby = rig.new Slave();
    standby.prepare();
    rig.slave.controller.fail("test");
    rig.awaitStatus(2, 2);
    steps(20);
    assertEquals(0, rig.slave.seat.ringCount());
    rig.submit(1, read(0, 20));
    final int before = rig.disk.submitCount;
    // What was prepared before is out of date, what is prepared now is nothing.
    rig.replace(standby, random);
    steps(20);
    assertEquals(0, rig.slave.seat.ringCount());
    final SessionRig.Slave next = rig.new Slave();
    next.prepare();
    rig.replace(next, random);
    steps(20);
    assertEquals(3, rig.status());
    assertEquals(before, rig.disk.submitCount);
    rig.disable();
    assertEquals(0, rig.status());
    bringUp();
    assertEquals(0, rig.run(2, read(1, 20)).status());
  }

  @Test
  void shouldFailTheControllerWhenAJournalIsDamaged() {
    bringUp();
    Mem.putInt(rig.area.sqJournalAddress(2) + 4, 99);
    rig.replace(rig.new Slave(), random);
    rig.awaitStatus(2, 2);
    assertFalse(rig.slave.failures.isEmpty());
    rig.disable();
    bringUp();
    assertEquals(0, rig.run(2, read(1, 20)).status());
  }
}
