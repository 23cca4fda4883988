package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A slave with a whole controller dies before each of the stores that its reactors make, while a
 * driver goes through the life of a controller: registers, queues, events, I/O, resets. Its
 * successor, which stood by, has guest memory, doorbells and the controller area, and may die too.
 */
class WholeCrashTest {
  private static final long SEED = 20_261_127;
  private static final int STEPS_MAX = 60_000;

  /** What a driver does from the beginning to the end. */
  enum Life {
    /** Sets up queues, two of which share a completion queue, and works. */
    WORK {
      @Override
      void plan(final WholeDriver driver) {
        driver.enables(4);
        driver.identifies();
        driver.setsFeature(7, 0x0002_0002, 0x0007_0007);
        driver.createsCompletionQueue(1, 4);
        driver.createsCompletionQueue(2, 3);
        driver.createsSubmissionQueue(1, 4, 1);
        driver.createsSubmissionQueue(2, 3, 1);
        driver.createsSubmissionQueue(3, 5, 2);
        driver.isRefused(5, 3 << 16 | 1, 3, 0x101);
        driver.isRefused(4, 1, 0, 0x10C);
        driver.works(12);
        driver.readsErrorLog();
        driver.awaitsIo();
        driver.shutsDown();
      }
    },
    /** Deletes queues with commands in flight, and creates others with their ids. */
    QUEUES {
      @Override
      void plan(final WholeDriver driver) {
        driver.enables(3);
        driver.createsCompletionQueue(1, 3);
        driver.createsSubmissionQueue(1, 4, 1);
        driver.createsSubmissionQueue(2, 4, 1);
        driver.leavesInFlight(3);
        driver.deletesSubmissionQueue(2);
        driver.isRefused(0, 2, 0, 0x101);
        driver.createsCompletionQueue(2, 5);
        driver.createsSubmissionQueue(2, 3, 2);
        driver.works(6);
        driver.leavesInFlight(2);
        driver.deletesSubmissionQueue(1);
        driver.deletesCompletionQueue(1);
        driver.isRefused(4, 1, 0, 0x101);
        driver.createsCompletionQueue(1, 2);
        driver.createsSubmissionQueue(1, 5, 1);
        driver.works(6);
        driver.readsErrorLog();
        driver.awaitsIo();
      }
    },
    /** Resets the controller with commands in flight; the second time with shadow doorbells. */
    RESET {
      @Override
      void plan(final WholeDriver driver) {
        for (int round = 0; round < 3; round++) {
          driver.enables(3 + round);
          if (round == 1) {
            driver.configuresShadowDoorbells();
          }
          driver.createsCompletionQueue(1, 4 - round);
          driver.createsSubmissionQueue(1, 3, 1);
          driver.createsSubmissionQueue(2, 3, 1);
          driver.works(4);
          driver.leavesInFlight(2);
          driver.disables();
        }
      }
    },
    /** Waits for events, which come once each. */
    EVENTS {
      @Override
      void plan(final WholeDriver driver) {
        driver.enables(6);
        driver.setsFeature(0xB, 0x100, 0);
        driver.requestsEvent();
        driver.requestsEvent();
        driver.isToldOfResize(100);
        driver.identifies();
        driver.isToldOfResize(200);
        driver.requestsEvent();
        driver.identifies();
        driver.isToldOfResize(300);
        driver.requestsEvent();
        driver.disables();
        driver.enables(6);
        driver.setsFeature(0xB, 0x100, 0);
        driver.requestsEvent();
        driver.isToldOfResize(400);
        driver.readsErrorLog();
      }
    };

    abstract void plan(WholeDriver driver);
  }

  /** Death: no handler of faults takes it for one of them. */
  private static final class Cut extends Error {
    private static final long serialVersionUID = 1L;
  }

  @TempDir private Path directory;
  private SessionSegment segment;
  private long storesLeft;
  private int deathCount;

  @BeforeEach
  void createSegment() {
    segment = SessionSegment.create(new SegmentDirectory(directory, 1, BootId.current()), 3);
  }

  @AfterEach
  void stop() {
    Mem.listener(null);
    segment.close();
  }

  /** Runs something of the slave's; true if it died in it. */
  private boolean isCut(final WholeRig rig, final Runnable operation) {
    Mem.listener(
        (address, lengthBytes) -> {
          if (rig.isJudged(address) && --storesLeft == 0) {
            throw new Cut();
          }
        });
    try {
      operation.run();
      return false;
    } catch (final Cut e) {
      deathCount++;
      return true;
    } finally {
      Mem.listener(null);
    }
  }

  /**
   * Plays a life in which the slave dies before its store number {@code first}, its successor
   * before its store number {@code second}, and sometimes another one or two.
   *
   * @return whether there were so many stores
   */
  private boolean play(final Life life, final long first, final long second) {
    final Random random = new Random(SEED + first);
    deathCount = 0;
    try (WholeRig rig = new WholeRig(segment, random)) {
      final WholeDriver driver = new WholeDriver(rig, random);
      life.plan(driver);
      storesLeft = first;
      int steps = 0;
      while (!driver.isDone()) {
        assertTrue(
            steps++ < STEPS_MAX,
            () -> "no end: steps left: " + driver.stepsLeft() + " " + driver.outstanding());
        boolean died = isCut(rig, rig::step);
        while (died) {
          rig.die();
          storesLeft = deathCount == 1 ? second : deathCount < 4 ? 1 + random.nextInt(300) : -1;
          died = isCut(rig, rig::succeed);
          if (died) {
            rig.stand();
          }
        }
        driver.step();
      }
      driver.checkDisk();
    } catch (final AssertionError | RuntimeException e) {
      throw new AssertionError(
          life + " first=" + first + " second=" + second + " seed=" + SEED + ": " + e, e);
    }
    return deathCount > 0;
  }

  @ParameterizedTest
  @EnumSource(Life.class)
  void shouldServeADriverThroughADeathAtAnyStore(final Life life) {
    long store = 1;
    while (play(life, store, -1)) {
      store++;
    }
    assertTrue(store > 200, "too few stores");
    System.out.println(life + ": cut before each store: states visited=" + (store - 1));
  }

  /** Its successor dies too, at each store of the takeover and of what follows. */
  @ParameterizedTest
  @EnumSource(Life.class)
  void shouldServeADriverThroughDeathsOfSuccessors(final Life life) {
    long states = 0;
    boolean died = true;
    for (long first = 5; died; first += 37) {
      for (long second = 1; second < 40 && died; second++) {
        died = play(life, first, second);
        states++;
      }
    }
    System.out.println(life + ": two deaths and more: states visited=" + states);
  }

  @Test
  void shouldServeADriverWithoutADeath() {
    for (final Life life : Life.values()) {
      assertTrue(!play(life, Long.MAX_VALUE, -1));
    }
  }
}
