package io.virtnvme.master.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.LogPage;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.Counter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The repair of a device in software, with slaves on its queues. */
class DeviceRepairTest {
  private static final RepairOptions OPTIONS = RepairOptions.DEFAULT;
  private static final long SECOND_NS = TimeUnit.SECONDS.toNanos(1);

  @TempDir private Path folder;
  private RepairRig rig;

  private RepairRig rig(final RepairOptions options) {
    rig = new RepairRig(folder, options);
    return rig;
  }

  /** A device with this many slaves that have their queues. */
  private SoftSlave[] served(final RepairOptions options, final int count) {
    rig(options);
    final SoftSlave[] slaves = new SoftSlave[count];
    for (int i = 0; i < count; i++) {
      slaves[i] = rig.slave(i + 1);
    }
    rig.requireService();
    rig.takeEvents();
    return slaves;
  }

  @AfterEach
  void tearDown() {
    rig.close();
  }

  @Test
  void shouldCreateQueuesAndOpenTheirGates() {
    rig(OPTIONS);
    final SoftSlave slave = rig.slave(1);
    assertEquals(0, slave.queue().creation());
    rig.requireService();
    rig.slave(2);
    rig.requireService();
    assertEquals(List.of("queue 1", "queue 2"), rig.takeEvents());
    assertEquals(1, slave.queue().creation());
    rig.pass(1, TimeUnit.HOURS);
    assertEquals(List.of(), rig.takeEvents());
    assertEquals(RepairState.WATCHING, rig.repair.state());
    assertEquals(Trouble.NONE, rig.repair.trouble());
  }

  @Test
  void shouldSayWhichQueueTheControllerRefuses() {
    rig(OPTIONS);
    rig.device.faults().failNext(true, AdminOpcode.CREATE_CQ, Status.INVALID_QUEUE_SIZE, 1);
    rig.slave(1);
    rig.slave(2);
    rig.pass(1, TimeUnit.SECONDS);
    assertTrue(rig.events.get(0).contains("code=0x2"), rig.events::toString);
    assertEquals(List.of("queue 1", "queue 2"), rig.takeEvents());
    // Another reset is another chance.
    rig.repair.requestReset("asked for");
    rig.requireService();
  }

  @Test
  void shouldNotCreateTheQueueOfANamespaceThatIsNotThere() {
    rig(OPTIONS);
    try (DeviceQueueSegment queue = rig.segment(2, 2)) {
      rig.repair.add(queue, () -> false);
      rig.slave(1);
      rig.requireService();
      assertTrue(
          rig.events.get(0).contains("namespace 2 is not what it was"), rig.events::toString);
      assertEquals(0, queue.creation());
      assertTrue(rig.repair.isServing());
    }
  }

  @Test
  void shouldAbortACommandWithoutEndAndLeaveTheOthersAlone() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    rig.device.faults().loseNext(1);
    slaves[0].submit(0);
    rig.pass(OPTIONS.commandNsMax() - SECOND_NS);
    assertEquals(List.of(), rig.takeEvents());
    // The slave submits it again when the device says that it was aborted.
    final int before = slaves[0].endedCount();
    rig.await(3 * SECOND_NS, () -> slaves[0].endedCount() == before + 1);
    rig.requireService();
    assertEquals(List.of("aborting command", "watching command"), rig.takeEvents());
    assertEquals(1, rig.repair.count(Trouble.COMMAND));
    assertEquals(0, rig.repair.count(RepairState.RESETTING));
    assertEquals(1, slaves[0].queue().creation());
    assertEquals(1, slaves[1].queue().creation());
  }

  @Test
  void shouldSeeACommandHangAmongOthersThatEnd() {
    final SoftSlave[] slaves = served(OPTIONS, 1);
    rig.device.faults().loseNext(1);
    slaves[0].submit(0);
    rig.step();
    for (int i = 0; i < 3200 && rig.repair.count(Trouble.COMMAND) == 0; i++) {
      if (slaves[0].queue().place(1) <= 0) {
        slaves[0].submit(1);
      }
      // The device ends it before the slave polls: a completion waits at each look.
      rig.device.step();
      rig.step();
    }
    assertEquals(1, rig.repair.count(Trouble.COMMAND));
  }

  @Test
  void shouldResetWhenAnAbortDoesNotHelp() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    rig.device.faults().refuseAborts(true);
    rig.device.faults().loseNext(1);
    slaves[0].submit(0);
    final int before = slaves[0].endedCount();
    final long tookNs = rig.await(60 * SECOND_NS, () -> slaves[0].endedCount() == before + 1);
    assertTrue(
        tookNs < OPTIONS.commandNsMax() + OPTIONS.abortWaitNs() + 2 * SECOND_NS,
        () -> "took ns: " + tookNs);
    rig.requireService();
    assertEquals(
        List.of(
            "aborting command",
            "shutting command",
            "resetting command",
            "watching command",
            "queue 1",
            "queue 2"),
        rig.takeEvents());
    assertEquals(2, slaves[0].queue().creation());
    assertEquals(2, slaves[1].queue().creation());
  }

  @Test
  void shouldResetAtOnceWhenAbortsAreUsedUp() {
    final SoftSlave[] slaves = served(OPTIONS.withCommands(SECOND_NS, 1), 1);
    for (int i = 0; i < 2; i++) {
      rig.device.faults().loseNext(1);
      slaves[0].submit(0);
      rig.pass(3 * SECOND_NS);
    }
    rig.requireService();
    assertEquals(1, rig.repair.count(RepairState.ABORTING));
    assertEquals(1, rig.repair.count(RepairState.RESETTING));
  }

  @Test
  void shouldNotTakeASlaveThatIsLateForADeviceThatHangs() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    slaves[0].submit(0);
    slaves[0].hang(true);
    // A dead slave's command is with its successor, which has not come yet.
    slaves[1].submit(1);
    slaves[1].die();
    rig.pass(5 * OPTIONS.commandNsMax());
    assertEquals(List.of(), rig.takeEvents());
    slaves[0].hang(false);
    rig.requireService();
  }

  @Test
  void shouldNotBlameTheDeviceForACommandOfADeadSlave() {
    final SoftSlave[] slaves = served(OPTIONS, 1);
    rig.device.faults().hold(true);
    slaves[0].submit(1);
    rig.pass(OPTIONS.commandNsMax() / 2);
    slaves[0].die();
    rig.pass(5 * OPTIONS.commandNsMax());
    assertEquals(List.of(), rig.takeEvents());
  }

  @Test
  void shouldResetAControllerWithAFatalError() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    rig.device.faults().hold(true);
    slaves[0].submit(0);
    slaves[1].submit(1);
    rig.step();
    rig.device.failFatally();
    rig.device.faults().hold(false);
    final int before = slaves[0].endedCount();
    final long tookNs = rig.await(10 * SECOND_NS, () -> slaves[0].endedCount() == before + 1);
    assertTrue(tookNs < SECOND_NS, () -> "took ns: " + tookNs);
    assertTrue(rig.events.get(0).contains("CSTS=0x3"), rig.events::toString);
    rig.requireService();
    assertEquals(1, rig.repair.count(Trouble.CONTROLLER));
    assertEquals(1, rig.repair.count(RepairState.RESETTING));
    assertEquals("", rig.repair.reason());
  }

  @Test
  void shouldResetWhenASlaveGivesItsQueueUp() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    rig.device.completeUnknown(1, 6, Status.SUCCESS);
    rig.await(SECOND_NS, () -> slaves[0].queue().fault() != 0);
    rig.await(RepairState.SHUTTING);
    assertTrue(rig.repair.reason().contains("queue 1"), rig.repair::reason);
    assertTrue(rig.repair.reason().contains("unknown_command_id"), rig.repair::reason);
    rig.requireService();
    assertEquals(0, slaves[0].queue().fault());
    assertEquals(1, rig.repair.count(Trouble.QUEUE));
  }

  @Test
  void shouldResetWhenAnAdminCommandHasNoAnswer() {
    served(OPTIONS, 1);
    rig.device.faults().loseNextAdmin(AdminOpcode.GET_LOG_PAGE, 1);
    rig.device.faults().refuseAborts(true);
    rig.await(
        OPTIONS.healthIntervalNs() + 3 * DriverRig.ADMIN_TIMEOUT_NS,
        () -> rig.repair.state() == RepairState.SHUTTING);
    assertEquals(Trouble.ADMIN, rig.repair.trouble());
    assertTrue(rig.repair.reason().contains("health"), rig.repair::reason);
    rig.requireService();
  }

  @Test
  void shouldWaitForALinkThatComesBack() {
    final SoftSlave[] slaves = served(OPTIONS, 1);
    rig.device.faults().hold(true);
    slaves[0].submit(0);
    rig.step();
    rig.device.unplug();
    rig.await(RepairState.LINK_DOWN);
    rig.pass(OPTIONS.linkWaitNs() / 2);
    assertEquals(RepairState.LINK_DOWN, rig.repair.state());
    rig.device.plug();
    rig.device.faults().hold(false);
    final int before = slaves[0].endedCount();
    rig.await(SECOND_NS, () -> slaves[0].endedCount() == before + 1);
    rig.requireService();
    assertEquals(1, rig.repair.count(Trouble.LINK));
    assertEquals(0, rig.repair.count(RepairState.GONE));
  }

  @Test
  void shouldLetGoOfADeviceThatWasTakenOut() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    slaves[0].submit(0);
    rig.device.unplug();
    final long tookNs = rig.await(RepairState.GONE);
    assertTrue(tookNs < OPTIONS.linkWaitNs() + SECOND_NS, () -> "took ns: " + tookNs);
    assertEquals(Trouble.LINK, rig.repair.trouble());
    assertTrue(rig.repair.reason().contains("all ones"), rig.repair::reason);
    assertTrue(slaves[0].queue().isShutAndSeen());
    final int[] goneCount = new int[1];
    for (final SoftSlave slave : slaves) {
      rig.repair.remove(slave.queue(), () -> goneCount[0]++);
    }
    rig.pass(10, TimeUnit.SECONDS);
    assertEquals(0, goneCount[0], "it may come back, and go on");
    rig.repair.stop();
    for (final SoftSlave slave : slaves) {
      rig.device.unmap(slave.queue().geometry().iova(), slave.queue().lengthBytes());
    }
    rig.driver.requireNothingLeft();
  }

  @Test
  void shouldBringBackADeviceThatTheOperatorPutIn() {
    served(OPTIONS, 1);
    rig.device.unplug();
    rig.await(RepairState.GONE);
    rig.repair.requestReset("asked for");
    // Still out: it is gone again, and not given up.
    rig.await(RepairState.LINK_DOWN);
    rig.await(RepairState.GONE);
    rig.device.plug();
    rig.pass(1, TimeUnit.MINUTES);
    assertEquals(RepairState.GONE, rig.repair.state());
    rig.repair.requestReset("asked for");
    rig.requireService();
  }

  @Test
  void shouldGiveUpADeviceThatFailsAgainAndAgain() {
    served(OPTIONS, 1);
    for (int i = 0; i < OPTIONS.resetsMax(); i++) {
      rig.device.failFatally();
      rig.await(RepairState.RESETTING);
      rig.requireService();
    }
    rig.takeEvents();
    rig.device.failFatally();
    rig.await(RepairState.FAILED);
    assertTrue(rig.repair.reason().contains("CSTS=0x3"), rig.repair::reason);
    assertTrue(rig.repair.reason().contains("3 resets did not help"), rig.repair::reason);
    assertEquals(Trouble.CONTROLLER, rig.repair.trouble());
    rig.pass(2 * OPTIONS.windowNs());
    assertEquals(List.of("failed controller"), rig.takeEvents());
    assertTrue(rig.slaves.get(0).queue().isShutAndSeen());
    // The operator's reset begins a new window.
    rig.repair.requestReset("asked for");
    rig.requireService();
    for (int i = 0; i < OPTIONS.resetsMax(); i++) {
      rig.device.failFatally();
      rig.await(RepairState.RESETTING);
      rig.requireService();
    }
  }

  @Test
  void shouldForgetResetsThatWereLongAgo() {
    served(OPTIONS, 1);
    for (int i = 0; i < 3 * OPTIONS.resetsMax(); i++) {
      rig.device.failFatally();
      rig.await(RepairState.RESETTING);
      rig.requireService();
      rig.pass(OPTIONS.windowNs() / OPTIONS.resetsMax());
    }
    assertEquals(0, rig.repair.count(RepairState.FAILED));
  }

  @Test
  void shouldPauseBetweenResetsThatFail() {
    served(OPTIONS, 1);
    rig.device.faults().stayReady(true);
    rig.device.failFatally();
    final long tookNs = rig.await(RepairState.FAILED);
    assertEquals(OPTIONS.resetsMax(), rig.repair.count(RepairState.RESETTING));
    assertEquals(OPTIONS.resetsMax() - 1, rig.repair.count(RepairState.PAUSING));
    assertTrue(tookNs > (OPTIONS.resetsMax() - 1) * OPTIONS.pauseNs());
    assertTrue(rig.repair.reason().contains("does not stop"), rig.repair::reason);
    rig.device.faults().stayReady(false);
    rig.device.reset();
    rig.repair.requestReset("asked for");
    rig.requireService();
  }

  @Test
  void shouldNotResetWhileASlaveMayTouchAQueue() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    slaves[0].hang(true);
    rig.device.failFatally();
    rig.await(RepairState.SHUTTING);
    rig.pass(OPTIONS.gateWaitNs() / 2);
    assertEquals(RepairState.SHUTTING, rig.repair.state());
    assertEquals(0, rig.repair.count(RepairState.RESETTING));
    // Its successor finds a gate that is shut, and a queue that is new.
    slaves[0].die();
    rig.await(SECOND_NS, () -> slaves[0].queue().creation() == 2);
    rig.requireService();
    assertEquals(2, slaves[1].queue().creation());
  }

  @Test
  void shouldGiveUpWhenASlaveDoesNotKeepOff() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    slaves[1].hang(true);
    rig.device.failFatally();
    final long tookNs = rig.await(RepairState.FAILED);
    assertTrue(tookNs >= OPTIONS.gateWaitNs(), () -> "took ns: " + tookNs);
    assertTrue(rig.repair.reason().contains("queues 2"), rig.repair::reason);
    assertEquals(0, rig.repair.count(RepairState.RESETTING));
    slaves[1].hang(false);
    rig.repair.requestReset("asked for");
    rig.requireService();
  }

  @Test
  void shouldCallOffTheOperatorsResetWhenASlaveDoesNotKeepOff() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    slaves[0].submit(0);
    slaves[0].hang(true);
    rig.repair.requestReset("asked for");
    rig.await(RepairState.SHUTTING);
    rig.await(RepairState.WATCHING);
    assertTrue(rig.events.get(1).contains("nothing was reset"), rig.events::toString);
    assertTrue(slaves[0].queue().isGateOpen());
    slaves[0].hang(false);
    rig.requireService();
    assertEquals(0, rig.repair.count(RepairState.RESETTING));
    assertEquals(1, slaves[0].queue().creation());
    assertEquals(1, slaves[1].queue().creation());
  }

  @Test
  void shouldOnlyTellOfMediaErrors() {
    final SoftSlave[] slaves = served(OPTIONS, 1);
    final int read = NvmOpcode.READ;
    rig.device.faults().failNext(false, read, Status.UNRECOVERED_READ_ERROR, 300);
    for (int i = 0; i < 300; i++) {
      slaves[0].submit(0);
      rig.step();
      rig.step();
    }
    rig.pass(1, TimeUnit.MINUTES);
    assertEquals(300, slaves[0].queue().counter(Counter.MEDIA_ERRORS));
    assertEquals(300, rig.repair.count(Trouble.MEDIA));
    assertEquals(RepairState.WATCHING, rig.repair.state());
    assertEquals(1, slaves[0].queue().creation());
    // At once, and then all the others together.
    assertTrue(rig.events.get(0).contains("in all"), rig.events::toString);
    assertEquals(List.of("note media", "note media"), rig.takeEvents());
    rig.requireService();
  }

  @Test
  void shouldTellOfWarningsWhenTheyChange() {
    served(OPTIONS, 1);
    rig.device.smart()[LogPage.SMART_WARNING_OFFSET] = 0x05;
    rig.device.smart()[LogPage.SMART_MEDIA_ERRORS_OFFSET] = 9;
    rig.pass(3 * OPTIONS.healthIntervalNs());
    assertEquals(
        "note warning: critical warning: 0x5 (spare, reliability); before: none",
        rig.events.get(0));
    assertTrue(rig.events.get(1).contains("9 media errors"), rig.events::toString);
    assertEquals(2, rig.takeEvents().size());
    assertEquals(5, rig.repair.health().criticalWarning());
    rig.device.smart()[LogPage.SMART_WARNING_OFFSET] = 0;
    rig.pass(2 * OPTIONS.healthIntervalNs());
    assertEquals(List.of("note warning"), rig.takeEvents());
    assertEquals(RepairState.WATCHING, rig.repair.state());
    assertEquals(2, rig.repair.count(Trouble.WARNING));
  }

  @Test
  void shouldResetForManyErrorsThatAreNotTheMediums() {
    final SoftSlave[] slaves = served(OPTIONS, 1);
    final int read = NvmOpcode.READ;
    rig.device.faults().failNext(false, read, Status.INTERNAL_ERROR, 101);
    slaves[0].submit(0);
    rig.await(RepairState.SHUTTING);
    assertEquals(Trouble.TRANSPORT, rig.repair.trouble());
    assertTrue(rig.repair.reason().contains("101 commands"), rig.repair::reason);
    rig.requireService();
    assertEquals(1, rig.repair.count(RepairState.RESETTING));
  }

  @Test
  void shouldNeverWaitForTheDevicesThread() {
    final SoftSlave[] slaves = served(OPTIONS, 1);
    rig.stickThread(true);
    rig.pass(1, TimeUnit.SECONDS);
    rig.repair.requestReset("asked for");
    rig.pass(1, TimeUnit.HOURS);
    // A look is under way, and has no end: nothing is begun on top of it.
    assertEquals(RepairState.WATCHING, rig.repair.state());
    rig.stickThread(false);
    rig.await(RepairState.SHUTTING);
    rig.stickThread(true);
    final long tookNs =
        rig.await(2 * OPTIONS.resetWaitNs(), () -> rig.repair.state() == RepairState.FAILED);
    assertTrue(tookNs >= OPTIONS.resetWaitNs(), () -> "took ns: " + tookNs);
    assertTrue(rig.repair.reason().contains("did not end"), rig.repair::reason);
    rig.stickThread(false);
    rig.pass(1, TimeUnit.MINUTES);
    // Too late: that reset is nobody's any more.
    assertEquals(RepairState.FAILED, rig.repair.state());
    assertEquals(1, slaves[0].queue().creation());
    rig.repair.requestReset("asked for");
    rig.requireService();
  }

  @Test
  void shouldDeleteAQueueWhoseDiskGoes() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    final boolean[] isGone = new boolean[1];
    slaves[0].hang(true);
    rig.repair.remove(slaves[0].queue(), () -> isGone[0] = true);
    rig.pass(1, TimeUnit.MINUTES);
    assertFalse(isGone[0], "a slave may still touch it");
    slaves[0].die();
    rig.await(SECOND_NS, () -> isGone[0]);
    rig.requireService();
    // The controller has no such queue any more, or it would refuse it.
    final DeviceQueueSegment again = slaves[0].queue();
    rig.repair.add(again, () -> false);
    rig.await(SECOND_NS, () -> again.creation() == 2);
    try (DeviceQueueSegment unknown = rig.segment(3)) {
      assertThrows(IllegalStateException.class, () -> rig.repair.remove(unknown, () -> {}));
    }
  }

  @Test
  void shouldKeepAQueueThatTheControllerDoesNotDelete() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    final boolean[] isGone = new boolean[1];
    // Deleted already: the controller refuses to do it again.
    rig.driver.controller.deleteQueuePair(1);
    rig.repair.remove(slaves[0].queue(), () -> isGone[0] = true);
    slaves[0].die();
    rig.pass(10, TimeUnit.SECONDS);
    assertFalse(isGone[0], "refused is not deleted");
    assertEquals(List.of("note admin"), rig.takeEvents());
    rig.requireService();
    rig.repair.requestReset("asked for");
    rig.await(SECOND_NS, () -> isGone[0]);
    rig.requireService();
  }

  @Test
  void shouldKeepQueuesOfADeviceThatFailedUntilItIsReset() {
    final SoftSlave[] slaves = served(OPTIONS, 2);
    slaves[1].hang(true);
    rig.device.failFatally();
    rig.await(RepairState.FAILED);
    final boolean[] isGone = new boolean[1];
    rig.repair.remove(slaves[0].queue(), () -> isGone[0] = true);
    rig.pass(10, TimeUnit.SECONDS);
    assertFalse(isGone[0], "the device may still execute what is in it");
    slaves[1].hang(false);
    rig.repair.requestReset("asked for");
    rig.await(SECOND_NS, () -> isGone[0]);
  }

  @Test
  void shouldRemoveAQueueThatWasNeverCreated() {
    rig(OPTIONS);
    final SoftSlave slave = rig.slave(1);
    final boolean[] isGone = new boolean[1];
    rig.repair.remove(slave.queue(), () -> isGone[0] = true);
    rig.await(SECOND_NS, () -> isGone[0]);
    assertEquals(0, slave.queue().creation());
  }

  @Test
  void shouldGoOnWithQueuesOfAMasterBefore() {
    rig(OPTIONS);
    final SoftSlave slave = new SoftSlave(rig.device, rig.segment(1));
    rig.slaves.add(slave);
    rig.driver.controller.createQueuePair(
        new QueuePairAddress(
            1, RepairRig.ENTRY_COUNT, slave.queue().sqIova(), slave.queue().cqIova()));
    slave.queue().openGate(true);
    rig.repair.adopt(slave.queue(), slave::isAlive);
    rig.requireService();
    assertEquals(1, slave.queue().creation());
    rig.device.failFatally();
    rig.await(RepairState.RESETTING);
    rig.requireService();
    assertEquals(2, slave.queue().creation());
  }

  @Test
  void shouldRefuseOptionsThatMakeNoSense() {
    rig(OPTIONS);
    assertThrows(IllegalArgumentException.class, () -> OPTIONS.withCommands(-1, 0));
    assertThrows(IllegalArgumentException.class, () -> OPTIONS.withResets(3, 0));
    assertThrows(IllegalArgumentException.class, () -> OPTIONS.withLinkWaitNs(0));
    assertEquals(0, OPTIONS.withCommands(0, 0).commandNsMax());
  }
}
