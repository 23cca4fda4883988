package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** NVMe base specification 2.0, 3.1.3 and 3.5: registers and their state machine. */
class ControllerRegisterTest {
  private final ControllerRig rig = new ControllerRig();

  @Test
  void shouldShowItsCapabilities() {
    // MQES 1023, CQR, TO 30 s, CSS NVM, CRMS with media.
    assertEquals(0x0800_0020_3C01_03FFL, rig.controller.readRegister(0, 8));
    assertEquals(0x0002_0000, rig.controller.readRegister(8, 4));
    assertEquals(0, rig.controller.readRegister(0x14, 4));
    assertEquals(0, rig.csts());
    assertEquals(60, rig.controller.readRegister(0x68, 4));
    // Controller memory buffer, boot partitions, persistent memory: none.
    for (int offset = 0x38; offset < 0x1000; offset += 8) {
      if (offset != 0x68) {
        assertEquals(0, rig.controller.readRegister(offset, 8), "offset " + offset);
      }
    }
    assertEquals(0, rig.controller.readRegister(0x1000, 4), "doorbells read 0");
  }

  @Test
  void shouldReadAnyBytes() {
    assertEquals(0x3C, rig.controller.readRegister(3, 1));
    assertEquals(0x203C01, rig.controller.readRegister(2, 3));
    assertEquals(0x0000_0000_0002_0000L, rig.controller.readRegister(8, 8));
    assertEquals(0x0002_0000_0800_0020L, rig.controller.readRegister(4, 8));
    assertThrows(IllegalArgumentException.class, () -> rig.controller.readRegister(0, 9));
    assertThrows(IllegalArgumentException.class, () -> rig.controller.readRegister(-1, 4));
  }

  @Test
  void shouldWriteAnyBytes() {
    rig.write(0x25, 1, 0xFF);
    assertEquals(0x0000_0F00, rig.controller.readRegister(0x24, 4));
    rig.write(0x24, 4, -1);
    assertEquals(0x0FFF_0FFF, rig.controller.readRegister(0x24, 4));
    rig.write(0x28, 4, 0x1234_5678);
    rig.write(0x2C, 4, 0x9ABC_DEF0);
    assertEquals(0x9ABC_DEF0_1234_5000L, rig.controller.readRegister(0x28, 8));
    rig.write(0x2E, 4, 0x7777_1111);
    assertEquals(0x1111_DEF0_1234_5000L, rig.controller.readRegister(0x28, 8));
    // The upper half of that went into ACQ, whose lower 12 bits are no address.
    assertEquals(0x7000, rig.controller.readRegister(0x30, 8));
    rig.write(0, 8, -1);
    rig.write(8, 4, -1);
    rig.write(0x1C, 4, -1);
    rig.write(0x68, 8, -1);
    assertEquals(0x0800_0020_3C01_03FFL, rig.controller.readRegister(0, 8));
    assertEquals(0, rig.csts());
  }

  @Test
  void shouldSetAndClearTheInterruptMask() {
    rig.write(0x0C, 4, 0xF0F0);
    rig.write(0x0D, 1, 0x0F);
    assertEquals(0xFFF0, rig.controller.readRegister(0x0C, 4));
    rig.write(0x10, 4, 0x00F0);
    assertEquals(0xFF00, rig.controller.readRegister(0x0C, 4));
    assertEquals(0xFF00, rig.controller.readRegister(0x10, 4));
  }

  @Test
  void shouldBecomeReadyWhenTheAdminQueuesRun() {
    rig.write(0x24, 4, 0x000F_001F);
    rig.write(0x28, 8, ControllerRig.ASQ);
    rig.write(0x30, 8, ControllerRig.ACQ);
    final boolean[] isDone = new boolean[1];
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_ENABLE, () -> isDone[0] = true);
    assertFalse(isDone[0], "answered before the image was committed");
    while (rig.host.hasSteps()) {
      if (rig.csts() == 1) {
        assertTrue(rig.host.submissionQueues.containsKey(0));
        assertTrue(ControllerImage.decode(rig.host.committed).registers().isReady());
      }
      rig.host.step();
    }
    assertTrue(isDone[0]);
    assertEquals(1, rig.csts());
    assertEquals(32, rig.host.submissionQueues.get(0).entryCount());
    assertEquals(ControllerRig.ASQ, rig.host.submissionQueues.get(0).guestAddress());
    assertEquals(16, rig.host.completionQueues.get(0).entryCount());
    assertEquals(0, rig.host.completionQueues.get(0).vector());
  }

  @Test
  void shouldStoreNothingAfterTheEndOfItsSession() {
    rig.enable();
    rig.submit(ControllerRig.identify(1, 0));
    final byte[] before = rig.host.committed;
    rig.controller.close();
    rig.host.settle();
    assertSame(before, rig.host.committed);
  }

  @Test
  void shouldKeepTheAdminQueuesWhileEnabled() {
    rig.enable();
    rig.write(0x24, 4, 0);
    rig.write(0x28, 8, 0x5000);
    rig.write(0x30, 8, 0x6000);
    assertEquals(0x001F_001F, rig.controller.readRegister(0x24, 4));
    assertEquals(ControllerRig.ASQ, rig.controller.readRegister(0x28, 8));
    assertEquals(ControllerRig.ACQ, rig.controller.readRegister(0x30, 8));
  }

  @ParameterizedTest
  @CsvSource({
    "0x001F0000, 0x10000, 0x20000, 0x460001", // one entry
    "0x0000001F, 0x10000, 0x20000, 0x460001",
    "0x001F001F, 0, 0x20000, 0x460001", // not in memory
    "0x001F001F, 0x10000, 0x40000000, 0x460001",
    "0x001F001F, 0x10000, 0x20000, 0x460081", // 8 KiB pages
    "0x001F001F, 0x10000, 0x20000, 0x460801", // weighted round robin
    "0x001F001F, 0x10000, 0x20000, 0x460011", // no such command set
    "0x001F001F, 0x10000, 0x20000, 0x460061" // all command sets
  })
  void shouldFailToBeEnabled(
      final String aqa, final String asq, final String acq, final String cc) {
    rig.write(0x24, 4, Integer.decode(aqa));
    rig.write(0x28, 8, Long.decode(asq));
    rig.write(0x30, 8, Long.decode(acq));
    rig.write(0x14, 4, Integer.decode(cc));
    assertEquals(2, rig.csts());
    assertTrue(rig.host.submissionQueues.isEmpty());
    rig.write(0x14, 4, 0);
    assertEquals(0, rig.csts());
    rig.enable();
  }

  @Test
  void shouldBeNoLongerReadyOnlyWhenTheQueuesStandStill() {
    rig.enable();
    rig.createQueuePair(1);
    final boolean[] isDone = new boolean[1];
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_DISABLE, () -> isDone[0] = true);
    while (!isDone[0]) {
      rig.host.step();
    }
    assertEquals(1, rig.csts(), "the write is answered while the queues are being stopped");
    assertEquals(List.of("stop all"), rig.host.calls.subList(4, 5));
    rig.host.settle();
    assertEquals(0, rig.csts());
    assertTrue(rig.controller.state().completionQueues().isEmpty());
    // The admin queue registers stay (3.7.2).
    assertEquals(0x001F_001F, rig.controller.readRegister(0x24, 4));
    rig.write(0x14, 4, ControllerRig.CC_ENABLE);
    assertEquals(1, rig.csts());
  }

  @Test
  void shouldTakeAnEnableThatComesBeforeItHasStoppedWhenItHas() {
    rig.enable();
    rig.createQueuePair(1);
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_DISABLE, () -> {});
    final boolean[] isDone = new boolean[1];
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_ENABLE, () -> isDone[0] = true);
    boolean wasStopped = false;
    while (rig.host.hasSteps()) {
      assertTrue(wasStopped || !isDone[0], "answered before the reset was done");
      rig.host.step();
      wasStopped |= rig.csts() == 0;
    }
    assertTrue(wasStopped, "a reset is a reset");
    assertTrue(isDone[0]);
    assertEquals(1, rig.csts());
    assertEquals(1, rig.controller.state().submissionQueues().size(), "the admin queue alone");
  }

  @Test
  void shouldTakeAnEarlyEnableInASuccessorToo() {
    rig.enable();
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_DISABLE, () -> {});
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_ENABLE, () -> {});
    rig.host.step();
    rig.takeOver();
    final boolean[] isDone = new boolean[1];
    // It has no answer yet, so the successor is given it again.
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_ENABLE, () -> isDone[0] = true);
    rig.host.settle();
    assertTrue(isDone[0]);
    assertEquals(1, rig.csts());
  }

  @Test
  void shouldBringDefaultsBackByAReset() {
    rig.enable();
    rig.succeed(ControllerRig.setFeature(1, 0x1234_5678));
    rig.submit(ControllerRig.eventRequest());
    rig.host.settle();
    rig.write(0x14, 4, ControllerRig.CC_DISABLE);
    rig.enable();
    assertEquals(0, rig.succeed(ControllerRig.getFeature(1, 0)));
    assertTrue(rig.controller.state().events().outstanding().isEmpty());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void shouldFlushForAShutdown(final int notification) {
    rig.enable();
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_ENABLE | notification << 14, () -> {});
    boolean wasOccurring = false;
    while (rig.host.hasSteps()) {
      wasOccurring |= rig.csts() == 0x5;
      rig.host.step();
    }
    assertTrue(wasOccurring);
    assertEquals(0x9, rig.csts());
    assertTrue(rig.host.calls.contains("flush"));
    // Only a reset brings it back.
    rig.write(0x14, 4, ControllerRig.CC_ENABLE);
    assertEquals(0x9, rig.csts());
    rig.write(0x14, 4, ControllerRig.CC_DISABLE);
    assertEquals(0, rig.csts());
  }

  @Test
  void shouldNotResetTheSubsystem() {
    rig.enable();
    rig.write(0x20, 4, 0x4E56_4D65);
    assertEquals(1, rig.csts());
    assertEquals(0, rig.controller.readRegister(0x20, 4));
  }

  @Test
  void shouldForgetAllButErrorsByAFunctionReset() {
    rig.enable();
    rig.createQueuePair(1);
    rig.refuse(ControllerRig.command(0xFF, 0), 1, 0);
    final boolean[] isDone = new boolean[1];
    rig.controller.reset(() -> isDone[0] = true);
    assertFalse(isDone[0]);
    rig.host.settle();
    assertTrue(isDone[0]);
    assertTrue(rig.host.submissionQueues.isEmpty());
    assertEquals(0, rig.csts());
    assertEquals(0, rig.controller.readRegister(0x14, 8));
    assertEquals(0, rig.controller.readRegister(0x24, 4));
    assertEquals(0, rig.controller.readRegister(0x28, 8));
    assertEquals(1, rig.controller.state().errors().count());
    assertEquals(1, rig.controller.state().unsafeShutdowns());
    rig.controller.reset(() -> {});
    rig.host.settle();
    assertEquals(1, rig.controller.state().unsafeShutdowns(), "it was not running any more");
  }

  @Test
  void shouldStayFatalUntilReset() {
    rig.enable();
    rig.controller.fail("test");
    rig.host.settle();
    assertEquals(3, rig.csts());
    assertTrue(rig.host.completionQueues.isEmpty(), "no queue runs");
    rig.host.calls.clear();
    rig.takeOver();
    rig.host.settle();
    assertEquals(3, rig.csts());
    assertTrue(rig.host.submissionQueues.isEmpty(), "a successor starts none");
    rig.controller.fail("again");
    assertEquals(List.of("stop all"), rig.host.calls);
    rig.write(0x14, 4, ControllerRig.CC_DISABLE);
    assertEquals(0, rig.csts());
    rig.enable().createQueuePair(1);
  }

  @Test
  void shouldPassDoorbellsOn() {
    rig.write(0x1000, 4, 1);
    assertFalse(rig.host.calls.contains("ring 0 1"), "not enabled");
    rig.enable();
    rig.write(0x1000, 4, 1);
    rig.write(0x1004, 4, 0xFFFF_1234L);
    rig.write(0x1000, 2, 2);
    rig.write(0x1001, 4, 3);
    assertEquals(List.of("ring 0 1", "ring 4 -60876"), rig.host.calls.subList(2, 4));
    assertEquals(4, rig.host.calls.size());
  }
}
