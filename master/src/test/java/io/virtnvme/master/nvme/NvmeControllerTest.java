package io.virtnvme.master.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.LogPage;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.soft.SoftOptions;
import io.virtnvme.ipc.sys.Errno;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The driver on a device that does what it should. */
class NvmeControllerTest {
  @Test
  void shouldComeUpAndSayWhatTheDeviceIs() {
    try (DriverRig rig = DriverRig.small()) {
      rig.controller.start();
      assertEquals(List.of("enabling", "identifying", "ready"), rig.steps);
      assertEquals("SOFT0001", rig.controller.identity().serial());
      assertEquals(128 * 1024, rig.controller.identity().transferBytesMax());
      assertTrue(rig.controller.identity().writeCache());
      assertEquals(1, rig.controller.namespaces().size());
      final NamespaceIdentity namespace = rig.controller.namespaces().get(0);
      assertEquals("", namespace.problem());
      assertEquals(8192, namespace.blockCount());
      assertEquals(512, namespace.blockBytes());
      // 16 were asked for: fewer is no failure.
      assertEquals(4, rig.controller.queueCount());
      assertEquals(1024, rig.controller.entryCountMax());
      assertEquals("", rig.controller.reason());
      assertTrue(rig.nowNs() < DriverRig.READY_NS_MAX);
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldStopAControllerThatSomebodyLeftRunning() {
    try (DriverRig rig = DriverRig.small()) {
      rig.device.putInt(ControllerRegisters.CC_OFFSET, ControllerRegisters.CC_EN);
      assertEquals(
          ControllerRegisters.CSTS_RDY, rig.device.getInt(ControllerRegisters.CSTS_OFFSET));
      rig.controller.start();
      assertEquals(ControllerState.READY, rig.controller.state());
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldComeUpWithAnyStrideThatTheBarHasRoomFor() {
    for (int stride = 0; stride <= 15; stride++) {
      final SoftOptions options = new SoftOptions(512, 8192, 1024, 4, 5, stride, 1, 0);
      try (DriverRig rig = new DriverRig(options)) {
        // Doorbells of the admin queue and of two more.
        rig.port.registersLengthBytes(0x1000 + 3 * (8L << stride));
        rig.controller.start();
        assertEquals(2, rig.controller.queueCount());
        rig.controller.createQueuePair(rig.queuePair(2));
        assertEquals(0x1000 + 4 * (4 << stride), rig.controller.tailDoorbellOffset(2));
        assertEquals(0, rig.device.badDoorbellCount());
        rig.requireNothingLeft();
      }
    }
  }

  @Test
  void shouldReadAnyPartOfALogPage() {
    try (DriverRig rig = DriverRig.started()) {
      final byte[] page = new byte[10_000];
      new Random(3).nextBytes(page);
      rig.device.vendorLog(0xC0, page);
      assertArrayEquals(
          Arrays.copyOf(page, 4096), rig.controller.logPage(new LogRequest(0xC0, -1, 0, 4096)));
      // A device that knows no offsets would answer the beginning again.
      final LogRequest middle = new LogRequest(0xC0, -1, 4, 8196);
      assertEquals(Errno.EOPNOTSUPP, refusal(rig, middle).errno());
      assertEquals(Errno.EOPNOTSUPP, refusal(rig, new LogRequest(0xC0, -1, 0, 4100)).errno());
      rig.device.controllerData()[IdentifyController.LOG_PAGE_ATTRIBUTES_OFFSET] =
          IdentifyController.LPA_EXTENDED;
      assertArrayEquals(Arrays.copyOfRange(page, 4, 8200), rig.controller.logPage(middle));
      assertEquals(
          Status.INVALID_LOG_PAGE,
          Status.typeAndCode(refusal(rig, new LogRequest(0xC1, -1, 0, 512)).status()));
      assertEquals(ControllerState.READY, rig.controller.state());
      rig.requireNothingLeft();
    }
  }

  private static NvmeDeviceException refusal(final DriverRig rig, final LogRequest request) {
    return assertThrows(NvmeDeviceException.class, () -> rig.controller.logPage(request));
  }

  @Test
  void shouldCreateAndDeleteQueuePairs() {
    try (DriverRig rig = DriverRig.started()) {
      final QueuePairAddress pair = rig.queuePair(4);
      rig.controller.createQueuePair(pair);
      assertThrows(NvmeDeviceException.class, () -> rig.controller.createQueuePair(pair));
      assertEquals(ControllerState.READY, rig.controller.state());
      rig.controller.deleteQueuePair(4);
      rig.controller.createQueuePair(pair);
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldRefuseQueuesThatTheControllerDoesNotHave() {
    try (DriverRig rig = DriverRig.started()) {
      for (final QueuePairAddress pair :
          List.of(
              new QueuePairAddress(0, 8, 0, 0),
              new QueuePairAddress(5, 8, 0, 0),
              new QueuePairAddress(1, 1, 0, 0),
              new QueuePairAddress(1, 1025, 0, 0))) {
        final NvmeDeviceException failure =
            assertThrows(NvmeDeviceException.class, () -> rig.controller.createQueuePair(pair));
        assertEquals(Errno.EINVAL, failure.errno());
        assertTrue(failure.getMessage().contains("id=" + pair.queueId()), failure::getMessage);
        assertTrue(failure.getMessage().contains("entries=" + pair.entryCount()));
      }
      assertEquals(ControllerState.READY, rig.controller.state());
    }
  }

  @Test
  void shouldLeaveNeitherQueueWhenOneIsRefused() {
    try (DriverRig rig = DriverRig.started()) {
      final QueuePairAddress pair = rig.queuePair(1);
      for (final int opcode : new int[] {AdminOpcode.CREATE_CQ, AdminOpcode.CREATE_SQ}) {
        rig.device.faults().failNext(true, opcode, Status.INVALID_QUEUE_ID, 1);
        final NvmeDeviceException failure =
            assertThrows(NvmeDeviceException.class, () -> rig.controller.createQueuePair(pair));
        assertEquals(Status.INVALID_QUEUE_ID, failure.status());
        assertTrue(failure.getMessage().contains("type=1 code=0x1"), failure::getMessage);
      }
      // Both are free, or the controller would refuse them again.
      rig.controller.createQueuePair(pair);
    }
  }

  @Test
  void shouldForgetQueuesInAReset() {
    try (DriverRig rig = DriverRig.started()) {
      final QueuePairAddress pair = rig.queuePair(1);
      for (int i = 0; i < 40; i++) {
        rig.controller.createQueuePair(pair);
        rig.controller.reset("asked for");
      }
      assertEquals(ControllerState.READY, rig.controller.state());
      rig.controller.createQueuePair(pair);
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldGoRoundTheAdminQueue() {
    try (DriverRig rig = DriverRig.started()) {
      LittleEndian.putShort(rig.device.smart(), LogPage.SMART_TEMPERATURE_OFFSET, 311);
      rig.device.smart()[LogPage.SMART_MEDIA_ERRORS_OFFSET] = 7;
      for (int i = 0; i < 100; i++) {
        assertEquals(311, rig.controller.health().temperatureKelvin());
      }
      assertEquals(7, rig.controller.health().mediaErrors().intValue());
      assertEquals(0x36, rig.controller.identifyData()[0]);
      assertEquals(0, rig.device.badDoorbellCount());
    }
  }

  @Test
  void shouldShutDownAndComeUpAgain() {
    try (DriverRig rig = DriverRig.started()) {
      rig.controller.shutDown();
      assertEquals(
          List.of("enabling", "identifying", "ready", "shutting_down", "disabling"), rig.steps);
      assertEquals(0, rig.device.getInt(ControllerRegisters.CC_OFFSET) & ControllerRegisters.CC_EN);
      rig.requireNothingLeft();
      assertEquals("detached", rig.steps.get(rig.steps.size() - 1));
    }
  }

  @Test
  void shouldStopTheControllerThatIsClosedWithoutShutdown() {
    try (DriverRig rig = DriverRig.started()) {
      rig.requireNothingLeft();
      assertEquals(0, rig.device.getInt(ControllerRegisters.CC_OFFSET) & ControllerRegisters.CC_EN);
      assertThrows(NvmeDeviceException.class, rig.controller::health);
      assertThrows(NvmeDeviceException.class, () -> rig.controller.reset("too late"));
      rig.controller.close();
    }
  }

  @Test
  void shouldAbortNothingThatIsNotThere() {
    try (DriverRig rig = DriverRig.started()) {
      rig.controller.createQueuePair(rig.queuePair(1));
      assertFalse(rig.controller.abort(1, 3));
      assertEquals(ControllerState.READY, rig.controller.state());
    }
  }

  @Test
  void shouldGoOnAfterAnAdminCommandThatWasAborted() {
    try (DriverRig rig = DriverRig.started()) {
      rig.device.faults().loseNextAdmin(AdminOpcode.GET_LOG_PAGE, 1);
      final long beganNs = rig.nowNs();
      final NvmeDeviceException failure =
          assertThrows(NvmeDeviceException.class, rig.controller::health);
      assertEquals(Status.ABORTED_BY_REQUEST, Status.typeAndCode(failure.status()));
      assertTrue(failure.getMessage().contains("was aborted"), failure::getMessage);
      assertTrue(rig.nowNs() - beganNs >= DriverRig.ADMIN_TIMEOUT_NS);
      assertTrue(rig.nowNs() - beganNs < 2 * DriverRig.ADMIN_TIMEOUT_NS);
      assertEquals(ControllerState.READY, rig.controller.state());
      for (int i = 0; i < 64; i++) {
        assertNotEquals(0, rig.controller.health().availableSpare());
      }
    }
  }
}
