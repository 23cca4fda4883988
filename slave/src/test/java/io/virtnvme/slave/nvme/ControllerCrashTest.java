package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
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

  /**
   * The script with a death before step {@code killAt}, counted over the whole of it, and another
   * one {@code killAgainAfter} steps later.
   */
  private static final class Run {
    private final ControllerRig rig = new ControllerRig();
    private final List<List<FakeQueueHost.Done>> completions = new ArrayList<>();
    private final List<Integer> statuses = new ArrayList<>();
    private final int killAgainAfter;
    private int untilKill;
    private int killCount;
    private int stepCount;

    Run(final int killAt, final int killAgainAfter) {
      untilKill = killAt;
      this.killAgainAfter = killAgainAfter;
    }

    /** Does what is left to be done; false when the slave died over it. */
    private boolean settle() {
      while (rig.host.hasSteps()) {
        if (untilKill-- == 0) {
          untilKill = killCount++ == 0 ? killAgainAfter : Integer.MAX_VALUE;
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
        statuses.add(rig.csts());
      }
      return this;
    }
  }

  private static final int NEVER = Integer.MAX_VALUE;

  /** As many steps as it takes to go on with anything that a dead slave left. */
  private static final int TAKEOVER_STEPS = 25;

  @Test
  void shouldEndTheSameWhereverTheSlaveDies() {
    final Run whole = new Run(NEVER, NEVER).run();
    assertTrue(whole.stepCount > SCRIPT.size(), "steps=" + whole.stepCount);
    for (int killAt = 0; killAt < whole.stepCount; killAt++) {
      check(whole, killAt, NEVER);
    }
  }

  @Test
  void shouldEndTheSameWhereverItsSuccessorDiesToo() {
    final Run whole = new Run(NEVER, NEVER).run();
    for (int killAt = 0; killAt < whole.stepCount; killAt++) {
      for (int again = 0; again < TAKEOVER_STEPS; again++) {
        check(whole, killAt, again);
      }
    }
  }

  private static void check(final Run whole, final int killAt, final int killAgainAfter) {
    final Run run = new Run(killAt, killAgainAfter).run();
    final String where = "killed before step " + killAt + " and after " + killAgainAfter + " more";
    for (int i = 0; i < SCRIPT.size(); i++) {
      assertEquals(whole.completions.get(i), run.completions.get(i), where + ", action " + i);
      assertEquals(whole.statuses.get(i), run.statuses.get(i), where + ", CSTS, action " + i);
    }
    assertArrayEquals(whole.rig.host.committed, run.rig.host.committed, where);
    assertEquals(whole.rig.host.isWriteCacheOn, run.rig.host.isWriteCacheOn, where);
  }

  /** Both at once: which request gets which event depends on when the slave dies, no more. */
  @Test
  void shouldTellTwoEventsOnceEachWhereverTheSlaveDies() {
    int steps = 1;
    for (int killAt = 0; killAt < steps; killAt++) {
      final Run run = new Run(NEVER, NEVER);
      final ControllerRig rig = run.rig.enable();
      rig.succeed(ControllerRig.setFeature(0xB, 0x102));
      final long first = rig.submit(ControllerRig.eventRequest());
      final long second = rig.submit(ControllerRig.eventRequest());
      rig.host.settle();
      run.stepCount = 0;
      run.untilKill = killAt;
      final long feature = rig.submit(ControllerRig.setFeature(4, 200));
      run.namespaces(List.of(ControllerRig.DISK_1));
      steps = Math.max(steps, run.stepCount);
      assertEquals(0, rig.host.completionOf(feature).status());
      assertEquals(
          Set.of(0x0004_0002, 0x0002_0101),
          Set.of(rig.host.completionOf(first).result(), rig.host.completionOf(second).result()),
          "killed before step " + killAt);
    }
    assertTrue(steps > 8, "steps=" + steps);
  }

  /** A driver that takes no completions: the image must not forget one that waits for room. */
  @Test
  void shouldTellOneEventAfterTheOther() {
    final ControllerRig rig = new ControllerRig().enable();
    rig.succeed(ControllerRig.setFeature(0xB, 0x102));
    final long first = rig.submit(ControllerRig.eventRequest());
    final long second = rig.submit(ControllerRig.eventRequest());
    rig.host.settle();
    rig.host.isFull = true;
    rig.controller.doorbellFault(DoorbellFault.INVALID_VALUE);
    rig.namespaces = List.of(ControllerRig.DISK_1);
    rig.controller.namespaces(rig.namespaces, () -> {});
    rig.host.settle();
    rig.takeOver();
    rig.host.settle();
    rig.takeOver();
    rig.host.settle();
    rig.host.makeRoom();
    rig.host.settle();
    assertEquals(0x0001_0100, rig.host.completionOf(first).result());
    assertEquals(0x0004_0002, rig.host.completionOf(second).result());
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
