package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/**
 * A slave dies between any two steps of the reactors: the driver sees each completion once and with
 * the same contents, each message is answered, and the state is the same in the end as if nobody
 * had died.
 */
class ControllerCrashTest {
  /** What a driver or an operator does; ends when nothing is left to be done. */
  private interface Action {
    void run(Run run);
  }

  private static final List<Action> SCRIPT =
      List.of(
          run -> run.write(0x24, 4, 0x001F_001F),
          run -> run.write(0x28, 8, ControllerRig.ASQ),
          run -> run.write(0x30, 8, ControllerRig.ACQ),
          run -> run.write(0x14, 4, ControllerRig.CC_ENABLE),
          run -> run.submit(ControllerRig.identify(1, 0)),
          run -> run.submit(ControllerRig.setFeature(0xB, 0x100)),
          run -> run.submit(ControllerRig.eventRequest()),
          run -> run.submit(ControllerRig.createCq(1, 64, 1)),
          run -> run.submit(ControllerRig.createSq(1, 64, 1)),
          run -> run.submit(ControllerRig.createCq(1, 64, 1)),
          run -> run.namespaces(List.of(ControllerRig.DISK_1)),
          run -> run.submit(ControllerRig.getLog(4, 4096, false)),
          run -> run.submit(ControllerRig.command(0x7C, 0).putLong(24, 0x5000).putLong(32, 0x6000)),
          run -> run.submit(ControllerRig.setFeature(6, 0)),
          run -> run.namespaces(List.of(ControllerRig.DISK_1, ControllerRig.DISK_2)),
          run -> run.submit(ControllerRig.eventRequest()),
          run -> run.submit(ControllerRig.eventRequest()),
          run -> run.submit(ControllerRig.deleteSq(1)),
          run -> run.submit(ControllerRig.createSq(1, 32, 1)),
          run -> run.write(0x14, 4, ControllerRig.CC_ENABLE | 1 << 14),
          run -> run.write(0x14, 4, ControllerRig.CC_DISABLE),
          run -> run.write(0x14, 4, ControllerRig.CC_ENABLE),
          run -> run.submit(ControllerRig.createCq(2, 64, 2)),
          run -> run.submit(ControllerRig.command(0xFF, 0)),
          Run::reset);

  /** The script with a death before step {@code killAt}, counted over the whole of it. */
  private static final class Run {
    private final ControllerRig rig = new ControllerRig();
    private final List<List<FakeQueueHost.Done>> completions = new ArrayList<>();
    private int untilKill;
    private int stepCount;

    Run(final int killAt) {
      untilKill = killAt;
    }

    /** Does what is left to be done; false when the slave died over it. */
    private boolean settle() {
      while (rig.host.hasSteps()) {
        if (untilKill-- == 0) {
          rig.takeOver();
          return false;
        }
        stepCount++;
        rig.host.step();
      }
      return true;
    }

    /** A message: handled again by the successor unless it was answered. */
    private void message(final Consumer<Runnable> handle) {
      final boolean[] isAnswered = new boolean[1];
      do {
        handle.accept(() -> isAnswered[0] = true);
        while (!settle()) {
          if (!isAnswered[0]) {
            handle.accept(() -> isAnswered[0] = true);
          }
        }
      } while (!isAnswered[0]);
    }

    void write(final int offset, final int width, final long value) {
      message(whenDone -> rig.controller.writeRegister(offset, width, value, whenDone));
    }

    void reset() {
      message(whenDone -> rig.controller.reset(whenDone));
    }

    void namespaces(final List<Namespace> now) {
      rig.namespaces = now;
      message(whenDone -> rig.controller.namespaces(now, whenDone));
    }

    void submit(final ByteBuffer command) {
      rig.submit(command);
      boolean isSettled;
      do {
        isSettled = settle();
      } while (!isSettled);
    }

    Run run() {
      for (final Action action : SCRIPT) {
        action.run(this);
        completions.add(List.copyOf(rig.host.completions));
      }
      return this;
    }
  }

  @Test
  void shouldEndTheSameWhereverTheSlaveDies() {
    final Run whole = new Run(Integer.MAX_VALUE).run();
    assertTrue(whole.stepCount > SCRIPT.size(), "steps=" + whole.stepCount);
    for (int killAt = 0; killAt < whole.stepCount; killAt++) {
      final Run run = new Run(killAt).run();
      assertEquals(whole.completions, run.completions, "killed before step " + killAt);
      assertArrayEquals(
          whole.rig.host.committed, run.rig.host.committed, "killed before step " + killAt);
      assertEquals(whole.rig.host.isWriteCacheOn, run.rig.host.isWriteCacheOn);
    }
  }

  @Test
  void shouldAnswerTheSameAgainWithoutDoingItAgain() {
    final ControllerRig rig = new ControllerRig().enable();
    final long fetchNumber = rig.submit(ControllerRig.createCq(1, 64, 1));
    while (rig.host.completions.isEmpty()) {
      final byte[] before = rig.host.committed;
      rig.host.step();
      if (rig.host.committed != before) {
        break;
      }
    }
    // Committed, and not completed.
    assertTrue(rig.host.inflight.containsKey(fetchNumber));
    rig.takeOver();
    rig.host.settle();
    assertEquals(0, rig.host.completionOf(fetchNumber).status());
    assertEquals(2, rig.controller.state().completionQueues().size());
  }
}
