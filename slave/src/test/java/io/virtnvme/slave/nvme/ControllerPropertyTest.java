package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/** Whatever a driver writes, in any order: no exception, and the state keeps its rules. */
class ControllerPropertyTest {
  private static final int ACTIONS = 200;
  private static final int[] REGISTERS = {
    0, 8, 0xC, 0x10, 0x14, 0x1C, 0x20, 0x24, 0x28, 0x30, 0x68
  };

  @Property(tries = 300)
  void shouldTakeAnything(@ForAll final long seed) {
    final Random random = new Random(seed);
    final ControllerRig rig = new ControllerRig();
    for (int i = 0; i < ACTIONS; i++) {
      act(random, rig);
      for (int steps = random.nextInt(6); steps > 0 && rig.host.hasSteps(); steps--) {
        rig.host.step();
      }
      if (random.nextInt(40) == 0) {
        rig.takeOver();
      }
      checkState(rig);
    }
    rig.host.settle();
    checkState(rig);
    checkCompletions(rig);
    // And it works on.
    rig.write(0x14, 4, ControllerRig.CC_DISABLE);
    rig.enable().createQueuePair(1);
  }

  private static void act(final Random random, final ControllerRig rig) {
    switch (random.nextInt(8)) {
      case 0 ->
          rig.controller.writeRegister(
              random.nextInt(0x1100), 1 + random.nextInt(8), random.nextLong(), () -> {});
      case 1 ->
          rig.controller.writeRegister(
              REGISTERS[random.nextInt(REGISTERS.length)],
              1 + random.nextInt(8),
              random.nextLong(),
              () -> {});
      case 2 -> {
        rig.controller.writeRegister(0x24, 4, 0x001F_001F, () -> {});
        rig.controller.writeRegister(0x28, 8, ControllerRig.ASQ, () -> {});
        rig.controller.writeRegister(0x30, 8, ControllerRig.ACQ, () -> {});
        rig.controller.writeRegister(
            0x14, 4, ControllerRig.CC_ENABLE | (random.nextInt(4) / 3) << 14, () -> {});
      }
      case 3 -> {
        if (random.nextInt(8) == 0) {
          rig.controller.reset(() -> {});
        } else if (random.nextInt(8) == 0) {
          rig.controller.fail("test");
        } else {
          rig.controller.doorbellFault(
              random.nextBoolean() ? DoorbellFault.INVALID_REGISTER : DoorbellFault.INVALID_VALUE);
        }
      }
      default -> {
        if (rig.host.submissionQueues.containsKey(0) && rig.host.inflight.size() < 31) {
          rig.submit(command(random));
        }
      }
    }
  }

  /** Half of the fields are random, half are near to good. */
  private static ByteBuffer command(final Random random) {
    final ByteBuffer command =
        switch (random.nextInt(9)) {
          case 0 -> ControllerRig.createCq(random.nextInt(5), 1 << random.nextInt(8), 1);
          case 1 ->
              ControllerRig.createSq(random.nextInt(5), 1 << random.nextInt(8), random.nextInt(5));
          case 2 -> ControllerRig.deleteSq(random.nextInt(5));
          case 3 -> ControllerRig.deleteCq(random.nextInt(5));
          case 4 -> ControllerRig.identify(random.nextInt(0x20), random.nextInt(4));
          case 5 -> ControllerRig.getLog(random.nextInt(8), 4 + random.nextInt(1024) * 4, false);
          case 6 -> ControllerRig.setFeature(random.nextInt(12), random.nextInt());
          case 7 -> ControllerRig.eventRequest();
          default -> ControllerRig.command(random.nextInt(256), random.nextInt(3));
        };
    for (int changes = random.nextInt(3); changes > 0; changes--) {
      command.putInt(4 * (1 + random.nextInt(15)), random.nextInt());
    }
    return command;
  }

  private static void checkState(final ControllerRig rig) {
    final byte[] image = rig.controller.image();
    assertEquals(rig.controller.state(), ControllerImage.decode(image));
    if (rig.host.committed != null) {
      ControllerImage.decode(rig.host.committed);
    }
    final int csts = rig.csts();
    assertEquals(0, csts & ~0xF, "CSTS");
    assertTrue((csts & 0xC) != 0xC, "CSTS.SHST is reserved");
    if ((csts & 1) != 0 && !rig.host.hasSteps()) {
      final boolean isFatal = (csts & 2) != 0;
      assertEquals(!isFatal, rig.host.submissionQueues.containsKey(0), "the admin queue runs");
    }
  }

  private static void checkCompletions(final ControllerRig rig) {
    // Since the admin queue was started last; before it, the numbers were others.
    final Set<Long> outstanding = new HashSet<>(rig.host.inflight.keySet());
    rig.controller.state().events().outstanding().forEach(outstanding::remove);
    if (rig.host.submissionQueues.containsKey(0)) {
      assertTrue(outstanding.isEmpty(), "no completion for " + outstanding);
    }
  }
}
