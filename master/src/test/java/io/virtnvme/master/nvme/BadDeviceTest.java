package io.virtnvme.master.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.IdentifyNamespace;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.device.DeviceRegisters;
import io.virtnvme.ipc.nvme.device.DmaSpace;
import io.virtnvme.ipc.nvme.soft.SoftNvmeDevice;
import io.virtnvme.ipc.nvme.soft.SoftOptions;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.SysException;
import java.util.Arrays;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/**
 * The driver on devices that do not do what they should: each ends in a clear state, in a bounded
 * time, with a sentence that has the value in it, and with nothing left behind.
 */
class BadDeviceTest {
  private static final long CAP =
      1023
          | ControllerRegisters.CAP_CQR
          | (4L << ControllerRegisters.CAP_TO_SHIFT)
          | ControllerRegisters.CAP_CSS_NVM;

  /** Makes a device bad, brings it up, and wants this in the reason. */
  private static NvmeDeviceException failsWith(
      final Consumer<DriverRig> bad, final Trouble trouble, final String... words) {
    try (DriverRig rig = DriverRig.small()) {
      bad.accept(rig);
      final NvmeDeviceException failure = rig.failedStart();
      assertEquals(trouble, failure.trouble());
      for (final String word : words) {
        assertTrue(failure.getMessage().contains(word), failure::getMessage);
      }
      rig.requireNothingLeft();
      return failure;
    }
  }

  /** Changes the answers of Identify, brings it up, and wants this problem of the namespace. */
  private static void listsWith(final Consumer<byte[]> bad, final String problem) {
    try (DriverRig rig = DriverRig.small()) {
      bad.accept(rig.device.namespaceData());
      rig.controller.start();
      final NamespaceIdentity namespace = rig.controller.namespaces().get(0);
      assertTrue(namespace.problem().contains(problem), namespace::problem);
      assertEquals(0, namespace.blockCount());
      assertEquals(0, namespace.blockBytes());
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldGiveUpAControllerThatNeverGetsReady() {
    try (DriverRig rig = new DriverRig(SoftOptions.small().withReadySteps(-1))) {
      final NvmeDeviceException failure = rig.failedStart();
      assertEquals(Errno.ETIMEDOUT, failure.errno());
      assertTrue(failure.getMessage().contains("2000 ms: CSTS=0x0"), failure::getMessage);
      assertTrue(rig.nowNs() >= DriverRig.READY_NS_MAX);
      assertTrue(rig.nowNs() < DriverRig.READY_NS_MAX * 11 / 10);
      // Again, and in vain; a controller that has thought better of it would come up.
      assertThrows(NvmeDeviceException.class, () -> rig.controller.reset("once more"));
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldGiveUpAControllerThatDoesNotStop() {
    failsWith(
        rig -> {
          rig.device.putInt(ControllerRegisters.CC_OFFSET, ControllerRegisters.CC_EN);
          rig.device.step();
          rig.device.step();
          rig.device.faults().stayReady(true);
        },
        Trouble.CONTROLLER,
        "does not stop after 2000 ms",
        "CSTS=0x1");
  }

  @Test
  void shouldNotWaitForHoursBecauseAControllerSaysSo() {
    try (DriverRig rig = new DriverRig(SoftOptions.small().withReadySteps(-1))) {
      rig.device.capabilities(CAP | ControllerRegisters.CAP_CRWMS);
      rig.device.readyTimeouts(0xFFFF_FFFF);
      assertThrows(NvmeDeviceException.class, rig.controller::start);
      assertTrue(rig.controller.reason().contains("300000 ms"), rig.controller::reason);
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldWaitAtLeastAMomentForAControllerThatSaysZero() {
    try (DriverRig rig = DriverRig.small()) {
      rig.device.capabilities(CAP & ~(0xFFL << ControllerRegisters.CAP_TO_SHIFT));
      rig.controller.start();
      assertEquals(ControllerState.READY, rig.controller.state());
    }
  }

  /** Runs what uses the device once without and then with trouble before each register access. */
  private static int atEachAccess(
      final Consumer<NvmeController> use,
      final boolean isStarted,
      final Consumer<SoftNvmeDevice> bad,
      final Trouble trouble) {
    int count = 0;
    while (true) {
      try (DriverRig rig = isStarted ? DriverRig.started() : DriverRig.small()) {
        final boolean[] isBad = new boolean[1];
        rig.device
            .faults()
            .atRegisterAccess(
                count,
                () -> {
                  isBad[0] = true;
                  bad.accept(rig.device);
                });
        final long beganNs = rig.nowNs();
        final String step = "access " + count;
        NvmeDeviceException failure = null;
        try {
          use.accept(rig.controller);
        } catch (final NvmeDeviceException e) {
          failure = e;
        }
        assertTrue(rig.nowNs() - beganNs <= DriverRig.START_NS_MAX, step);
        if (failure == null && isBad[0]) {
          // Behind the last look of what was done: the next one finds it.
          failure = assertThrows(NvmeDeviceException.class, rig.controller::check, step);
        }
        if (failure == null) {
          rig.requireNothingLeft();
          return count;
        }
        rig.requireFailed(failure);
        assertEquals(trouble, failure.trouble(), step);
        rig.requireNothingLeft();
      }
      count++;
    }
  }

  @Test
  void shouldSeeADeviceVanishAtEachStepOfItsLife() {
    final Consumer<SoftNvmeDevice> unplug = SoftNvmeDevice::unplug;
    assertTrue(atEachAccess(NvmeController::start, false, unplug, Trouble.LINK) > 15);
    assertTrue(atEachAccess(it -> it.reset("r"), true, unplug, Trouble.LINK) > 15);
    assertTrue(atEachAccess(NvmeController::health, true, unplug, Trouble.LINK) >= 2);
    assertTrue(atEachAccess(NvmeController::check, true, unplug, Trouble.LINK) >= 1);
    assertTrue(atEachAccess(it -> it.abort(1, 1), true, unplug, Trouble.LINK) >= 2);
  }

  @Test
  void shouldSeeADeviceVanishAtEachStepOfAShutdown() {
    // Behind the last step there is nothing left to find out.
    for (int count = 0; count < 5; count++) {
      try (DriverRig rig = DriverRig.started()) {
        rig.device.faults().atRegisterAccess(count, rig.device::unplug);
        final NvmeDeviceException failure =
            assertThrows(NvmeDeviceException.class, rig.controller::shutDown);
        assertEquals(Trouble.LINK, failure.trouble());
        rig.requireFailed(failure);
        rig.requireNothingLeft();
      }
    }
  }

  @Test
  void shouldSeeAFatalErrorAtEachStep() {
    final Consumer<SoftNvmeDevice> fail = SoftNvmeDevice::failFatally;
    assertTrue(atEachAccess(NvmeController::start, false, fail, Trouble.CONTROLLER) > 15);
    assertTrue(atEachAccess(NvmeController::health, true, fail, Trouble.CONTROLLER) >= 2);
    assertTrue(atEachAccess(NvmeController::check, true, fail, Trouble.CONTROLLER) >= 1);
  }

  @Test
  void shouldSayWhichFatalErrorThereIs() {
    try (DriverRig rig = DriverRig.started()) {
      rig.device.failFatally();
      final NvmeDeviceException failure =
          assertThrows(NvmeDeviceException.class, rig.controller::check);
      assertTrue(failure.getMessage().contains("CSTS=0x3"), failure::getMessage);
      rig.requireFailed(failure);
      rig.controller.reset("fatal error");
      assertEquals(ControllerState.READY, rig.controller.state());
      assertEquals(Trouble.NONE, rig.controller.trouble());
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldSeeAResetBehindItsBack() {
    try (DriverRig rig = DriverRig.started()) {
      rig.device.reset();
      final NvmeDeviceException failure =
          assertThrows(NvmeDeviceException.class, rig.controller::check);
      assertTrue(failure.getMessage().contains("behind our back"), failure::getMessage);
      rig.requireFailed(failure);
    }
  }

  @Test
  void shouldNotTakeAnotherDeviceForTheOneItHad() {
    try (DriverRig rig = DriverRig.started()) {
      rig.device.controllerData()[IdentifyController.SERIAL_OFFSET] = 'X';
      final NvmeDeviceException failure =
          assertThrows(NvmeDeviceException.class, () -> rig.controller.reset("r"));
      assertTrue(failure.getMessage().contains("serial=XOFT0001"), failure::getMessage);
      rig.requireFailed(failure);
    }
  }

  @Test
  void shouldRefuseCapabilitiesThatItCannotUse() {
    failsWith(
        rig -> rig.device.capabilities(CAP & ~ControllerRegisters.CAP_MQES_MASK),
        Trouble.CONTROLLER,
        "CAP.MQES=0");
    failsWith(
        rig -> rig.device.capabilities(CAP | (1L << ControllerRegisters.CAP_MPSMIN_SHIFT)),
        Trouble.CONTROLLER,
        "8192 bytes; 4096 is needed");
    failsWith(
        rig -> rig.device.capabilities(CAP | (15L << ControllerRegisters.CAP_MPSMIN_SHIFT)),
        Trouble.CONTROLLER,
        "134217728 bytes");
    failsWith(rig -> rig.device.capabilities(0), Trouble.CONTROLLER, "CAP=0x0");
    failsWith(
        rig -> rig.device.capabilities(CAP | (15L << ControllerRegisters.CAP_DSTRD_SHIFT)),
        Trouble.CONTROLLER,
        "stride=131072 bytes=16384");
  }

  @Test
  void shouldRefuseIdentitiesThatItCannotDrive() {
    failsWith(
        rig -> rig.device.controllerData()[IdentifyController.CONTROLLER_TYPE_OFFSET] = 2,
        Trouble.CONTROLLER,
        "CNTRLTYPE=2");
    failsWith(
        rig -> rig.device.controllerData()[IdentifyController.SQ_ENTRY_SIZE_OFFSET] = 0x77,
        Trouble.CONTROLLER,
        "64 bytes: SQES=7..7");
    failsWith(
        rig -> rig.device.controllerData()[IdentifyController.CQ_ENTRY_SIZE_OFFSET] = 0x33,
        Trouble.CONTROLLER,
        "16 bytes: CQES=3..3");
    failsWith(
        rig ->
            LittleEndian.putInt(
                rig.device.controllerData(), IdentifyController.NAMESPACE_ID_MAX_OFFSET, 0),
        Trouble.CONTROLLER,
        "NN=0");
    failsWith(
        rig -> Arrays.fill(rig.device.controllerData(), (byte) 0), Trouble.CONTROLLER, "SQES=0..0");
    failsWith(
        rig -> Arrays.fill(rig.device.controllerData(), (byte) 0xFF),
        Trouble.CONTROLLER,
        "CNTRLTYPE=255");
  }

  @Test
  void shouldTakeAbsurdTransferLimitsForNone() {
    for (final int shift : new int[] {0, 19, 63, 64, 200, 255}) {
      try (DriverRig rig = DriverRig.small()) {
        rig.device.controllerData()[IdentifyController.TRANSFER_MAX_OFFSET] = (byte) shift;
        rig.controller.start();
        assertEquals(0, rig.controller.identity().transferBytesMax());
      }
    }
  }

  @Test
  void shouldListNamespacesThatCannotBeUsed() {
    final int shiftAt =
        IdentifyNamespace.FORMAT_0_OFFSET + IdentifyNamespace.FORMAT_BLOCK_SHIFT_OFFSET;
    listsWith(data -> data[shiftAt] = 3, "2^3 bytes");
    listsWith(data -> data[shiftAt] = 40, "2^40 bytes");
    listsWith(data -> data[shiftAt] = (byte) 0xFF, "2^255 bytes");
    listsWith(data -> LittleEndian.putShort(data, 128, 8), "8 bytes of metadata");
    listsWith(data -> data[IdentifyNamespace.FORMAT_OFFSET] = 5, "format 5 of 1");
    listsWith(data -> data[IdentifyNamespace.FORMAT_COUNT_OFFSET] = (byte) 200, "of 201");
    listsWith(data -> LittleEndian.putLong(data, 0, 0), "number of blocks: 0");
    listsWith(data -> LittleEndian.putLong(data, 0, -1), "number of blocks: 18446744073709551615");
    listsWith(
        data -> LittleEndian.putLong(data, 0, Long.MAX_VALUE >> 8), "impossible number of blocks");
    listsWith(data -> Arrays.fill(data, (byte) 0), "2^0 bytes");
  }

  @Test
  void shouldNotBelieveInFourBillionNamespaces() {
    try (DriverRig rig = DriverRig.small()) {
      LittleEndian.putInt(
          rig.device.controllerData(), IdentifyController.NAMESPACE_ID_MAX_OFFSET, -1);
      rig.controller.start();
      assertEquals(1, rig.controller.namespaces().size());
    }
    // Without a list, each id would have to be asked.
    try (DriverRig rig = DriverRig.small()) {
      LittleEndian.putInt(
          rig.device.controllerData(), IdentifyController.NAMESPACE_ID_MAX_OFFSET, -1);
      rig.device.forgetNamespaceList();
      rig.controller.start();
      assertEquals(1, rig.controller.namespaces().size());
      assertEquals(8192, rig.controller.namespaces().get(0).blockCount());
      assertTrue(rig.nowNs() < DriverRig.START_NS_MAX);
    }
  }

  @Test
  void shouldRefuseADamagedListOfNamespaces() {
    final Consumer<DriverRig> many =
        rig ->
            LittleEndian.putInt(
                rig.device.controllerData(), IdentifyController.NAMESPACE_ID_MAX_OFFSET, -1);
    failsWith(
        many.andThen(rig -> LittleEndian.putInt(rig.device.namespaceList(), 4, 1)),
        Trouble.CONTROLLER,
        "id=1 after=1");
    failsWith(
        many.andThen(rig -> LittleEndian.putInt(rig.device.namespaceList(), 4, -1)),
        Trouble.CONTROLLER,
        "id=4294967295 after=1 NN=4294967295");
    failsWith(
        rig -> LittleEndian.putInt(rig.device.namespaceList(), 0, 2), Trouble.CONTROLLER, "NN=1");
  }

  @Test
  void shouldListWhatItCannotAskAndNoMoreThanSome() {
    try (DriverRig rig = DriverRig.small()) {
      LittleEndian.putInt(
          rig.device.controllerData(), IdentifyController.NAMESPACE_ID_MAX_OFFSET, 5000);
      for (int i = 0; i < 1024; i++) {
        LittleEndian.putInt(rig.device.namespaceList(), i * Integer.BYTES, i + 1);
      }
      rig.controller.start();
      assertEquals(256, rig.controller.namespaces().size());
      assertEquals("", rig.controller.namespaces().get(0).problem());
      assertTrue(
          rig.controller.namespaces().get(1).problem().contains("code=0xb"),
          rig.controller.namespaces().get(1)::problem);
    }
  }

  @Test
  void shouldNotGiveMoreTimeForMoreQuestions() {
    try (DriverRig rig = DriverRig.small()) {
      LittleEndian.putInt(
          rig.device.controllerData(), IdentifyController.NAMESPACE_ID_MAX_OFFSET, 5000);
      for (int i = 0; i < 256; i++) {
        LittleEndian.putInt(rig.device.namespaceList(), i * Integer.BYTES, i + 1);
      }
      // Each answer comes by its Abort only.
      rig.device.faults().loseNextAdmin(AdminOpcode.IDENTIFY, Integer.MAX_VALUE);
      final NvmeDeviceException failure = rig.failedStart();
      assertEquals(Trouble.ADMIN, failure.trouble());
      rig.requireNothingLeft();
    }
    try (DriverRig rig = DriverRig.small()) {
      LittleEndian.putInt(
          rig.device.controllerData(), IdentifyController.NAMESPACE_ID_MAX_OFFSET, 5000);
      for (int i = 0; i < 256; i++) {
        LittleEndian.putInt(rig.device.namespaceList(), i * Integer.BYTES, i + 1);
      }
      // Identify of the controller and the list are answered; then it becomes slow.
      rig.device
          .faults()
          .atRegisterAccess(
              26, () -> rig.device.faults().loseNextAdmin(AdminOpcode.IDENTIFY, 1000));
      final NvmeDeviceException failure = rig.failedStart();
      assertTrue(failure.getMessage().contains("after 30000 ms"), failure::getMessage);
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldTakeNoMoreQueuesThanItAskedFor() {
    try (DriverRig rig = DriverRig.small()) {
      rig.device.grantedQueues(0xFFFF_FFFF);
      rig.controller.start();
      assertEquals(DriverRig.QUEUES_WANTED, rig.controller.queueCount());
      // It does not have what it said: that is refused, and nothing else breaks.
      final QueuePairAddress pair = rig.queuePair(9);
      assertThrows(NvmeDeviceException.class, () -> rig.controller.createQueuePair(pair));
      assertEquals(ControllerState.READY, rig.controller.state());
    }
    try (DriverRig rig = DriverRig.small()) {
      rig.device.grantedQueues(0x0007_0000);
      rig.controller.start();
      assertEquals(1, rig.controller.queueCount());
    }
  }

  @Test
  void shouldGiveUpAnAdminCommandThatIsNeverCompleted() {
    for (final boolean isAbortRefused : new boolean[] {true, false}) {
      failsWith(
          rig -> {
            rig.device.faults().loseNextAdmin(AdminOpcode.IDENTIFY, 1);
            if (isAbortRefused) {
              rig.device.faults().refuseAborts(true);
            } else {
              rig.device.faults().loseNextAdmin(AdminOpcode.ABORT, 1);
            }
          },
          Trouble.ADMIN,
          "Identify 1 has no answer after 20000 ms: CSTS=0x1");
    }
  }

  @Test
  void shouldNotTakeACompletionThatIsNotItsOwn() {
    failsWith(
        rig -> rig.device.faults().doubleNextAdmin(1),
        Trouble.CONTROLLER,
        "completed what was not sent",
        "command id=1 expected=2");
    failsWith(rig -> rig.device.faults().wrongPhaseNext(1), Trouble.ADMIN, "has no answer");
    try (DriverRig rig = DriverRig.started()) {
      rig.device.completeUnknown(0, 0x1234, Status.SUCCESS);
      final NvmeDeviceException failure =
          assertThrows(NvmeDeviceException.class, rig.controller::health);
      assertTrue(failure.getMessage().contains("command id=4660"), failure::getMessage);
      rig.requireFailed(failure);
      rig.controller.reset("nonsense");
      assertEquals(100, rig.controller.health().availableSpare());
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldDetachFromAControllerThatDoesNotShutDown() {
    try (DriverRig rig = DriverRig.started()) {
      rig.device.faults().ignoreShutdown(true);
      final long beganNs = rig.nowNs();
      final NvmeDeviceException failure =
          assertThrows(NvmeDeviceException.class, rig.controller::shutDown);
      assertTrue(failure.getMessage().contains("shut down after 5000 ms"), failure::getMessage);
      assertTrue(rig.nowNs() - beganNs < 6_000_000_000L);
      rig.requireFailed(failure);
      rig.requireNothingLeft();
    }
  }

  @Test
  void shouldLeaveNothingWhenItsMemoryCannotBeMapped() {
    try (SoftNvmeDevice device = new SoftNvmeDevice(SoftOptions.small())) {
      final SoftPort port = new SoftPort(device);
      final NvmePort refusing =
          new NvmePort() {
            @Override
            public DeviceRegisters registers() {
              return device;
            }

            @Override
            public long registersLengthBytes() {
              return port.registersLengthBytes();
            }

            @Override
            public DmaSpace dma() {
              return new DmaSpace() {
                @Override
                public void map(final long address, final long iova, final long lengthBytes) {
                  throw new SysException("VFIO_IOMMU_MAP_DMA", Errno.ENOMEM);
                }

                @Override
                public void unmap(final long iova, final long lengthBytes) {
                  throw new AssertionError("nothing was mapped");
                }
              };
            }

            @Override
            public IovaSpace iovas() {
              return port.iovas();
            }

            @Override
            public void stopDma() {
              port.stopDma();
            }

            @Override
            public void close() {
              port.close();
            }
          };
      final NvmeDeviceException failure =
          assertThrows(
              NvmeDeviceException.class,
              () ->
                  new NvmeController(
                      refusing, 4, 1, () -> 0, () -> {}, (before, now, reason) -> {}));
      assertEquals(Errno.ENOMEM, failure.errno());
      assertTrue(port.isClosed());
      assertEquals(0, DriverRig.mappingsOf("nvme-admin"));
    }
  }
}
