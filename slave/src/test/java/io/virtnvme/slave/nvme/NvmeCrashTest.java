package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.Random;
import java.util.function.LongPredicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The queues are stopped before each of their stores in turn: by a death, after which a new agent
 * starts from guest memory and journals alone; or by an error, after which the same agent goes on.
 * The workload judges.
 */
class NvmeCrashTest {
  private static final int WARM_STEPS = 40;
  private static final int STEPS = 200;
  private static final int SHORT_STEPS = 30;
  private static final int STORES_MAX = 100_000;

  /** What cuts an operation short. */
  private static final class Cut extends InternalError {
    private static final long serialVersionUID = 1L;
  }

  private long storesLeft;

  @AfterEach
  void stopRecording() {
    Mem.listener(null);
  }

  /** Runs an operation that is cut before its store number {@code storesLeft}; true if it was. */
  private boolean isCut(final Runnable operation) {
    Mem.listener(
        (address, lengthBytes) -> {
          storesLeft--;
          if (storesLeft == 0) {
            throw new Cut();
          }
        });
    try {
      operation.run();
      return false;
    } catch (final Cut e) {
      return true;
    } finally {
      Mem.listener(null);
    }
  }

  private static NvmeRig rig(final int completionSize, final int[] sizes, final int room) {
    final NvmeTestDisk disk = new NvmeTestDisk(NvmeWorkload.DISK_BYTES, 512);
    disk.room(room);
    final NvmeRig rig = new NvmeRig(disk, 1, completionSize, sizes);
    rig.startAgent();
    return rig;
  }

  private static int[] sizes(final String text) {
    return java.util.Arrays.stream(text.split("/")).mapToInt(Integer::parseInt).toArray();
  }

  /** Calls the scenario for store 1, 2, ... until it ends without being cut. */
  private static void forEachStore(final LongPredicate scenario) {
    long store = 1;
    while (scenario.test(store)) {
      store++;
      assertTrue(store < STORES_MAX, "the scenario never ends");
    }
    assertTrue(store > 100, "the scenario makes no stores: " + store);
    System.out.println("cut before each store: states visited=" + (store - 1));
  }

  @ParameterizedTest
  @CsvSource({"8, 8, -1", "5, 8, 3", "4, 3/6, -1", "7, 5/8/4, 4", "64, 32, 8"})
  void shouldLoseNothingWhenItDiesAtAnyStore(
      final int completionSize, final String queues, final int room) {
    forEachStore(
        store -> {
          final Random random = new Random(31L * completionSize + room);
          try (NvmeRig rig = rig(completionSize, sizes(queues), room)) {
            final NvmeWorkload workload = new NvmeWorkload(rig, random);
            for (int i = 0; i < WARM_STEPS; i++) {
              workload.step(Runnable::run);
            }
            storesLeft = store;
            final boolean[] died = new boolean[1];
            for (int i = 0; i < STEPS; i++) {
              workload.step(
                  operation -> {
                    if (isCut(operation)) {
                      died[0] = true;
                      succeed(rig, random);
                    }
                  });
            }
            workload.drain();
            return died[0];
          }
        });
  }

  /** To depth two: the successor dies before each of the stores of its takeover in turn. */
  @ParameterizedTest
  @CsvSource({"4, 4, -1", "5, 4/3, 2"})
  void shouldLoseNothingWhenItsSuccessorDiesAtAnyStoreToo(
      final int completionSize, final String queues, final int room) {
    long states = 0;
    boolean died = true;
    for (long store = 1; died; store++) {
      boolean successorDied = true;
      for (long later = 1; successorDied; later++) {
        final Random random = new Random(41L * completionSize + room);
        try (NvmeRig rig = rig(completionSize, sizes(queues), room)) {
          final NvmeWorkload workload = new NvmeWorkload(rig, random);
          final boolean[] deaths = new boolean[2];
          final long successorStores = later;
          storesLeft = store;
          for (int i = 0; i < SHORT_STEPS; i++) {
            workload.step(
                operation -> {
                  if (!deaths[0] && isCut(operation)) {
                    deaths[0] = true;
                    deaths[1] = succeedOnce(rig, random, successorStores);
                  } else if (deaths[0]) {
                    operation.run();
                  }
                });
          }
          workload.drain();
          states++;
          died = deaths[0];
          successorDied = deaths[1];
        }
      }
    }
    assertTrue(states > 300, "too few states: " + states);
    System.out.println(completionSize + " " + queues + ": states visited=" + states);
  }

  private boolean succeedOnce(final NvmeRig rig, final Random random, final long stores) {
    rig.disk.die(random);
    rig.dropAgent();
    storesLeft = stores;
    final boolean died = isCut(rig::startAgent);
    if (died) {
      rig.disk.die(random);
      rig.dropAgent();
      rig.startAgent();
    }
    return died;
  }

  private void succeed(final NvmeRig rig, final Random random) {
    rig.disk.die(random);
    for (int deaths = 0; ; deaths++) {
      rig.dropAgent();
      storesLeft = deaths < 3 ? 1 + random.nextInt(150) : Long.MAX_VALUE;
      if (!isCut(rig::startAgent)) {
        storesLeft = Long.MAX_VALUE;
        return;
      }
      rig.disk.die(random);
    }
  }

  @ParameterizedTest
  @CsvSource({"8, 8, -1", "5, 8, 3", "4, 3/6, -1", "7, 5/8/4, 4", "64, 32, 8"})
  void shouldRecoverInPlaceFromAnErrorAtAnyStore(
      final int completionSize, final String queues, final int room) {
    forEachStore(
        store -> {
          final Random random = new Random(37L * completionSize + room);
          try (NvmeRig rig = rig(completionSize, sizes(queues), room)) {
            final NvmeWorkload workload = new NvmeWorkload(rig, random);
            for (int i = 0; i < WARM_STEPS; i++) {
              workload.step(Runnable::run);
            }
            storesLeft = store;
            final boolean[] cut = new boolean[1];
            for (int i = 0; i < STEPS; i++) {
              workload.step(
                  operation -> {
                    if (isCut(operation)) {
                      cut[0] = true;
                      recover(rig, random);
                    }
                  });
            }
            workload.drain();
            return cut[0];
          }
        });
  }

  /** Errors may hit the recovery too; it is simply called again. */
  private void recover(final NvmeRig rig, final Random random) {
    for (int errors = 0; ; errors++) {
      storesLeft = errors < 3 ? 1 + random.nextInt(100) : Long.MAX_VALUE;
      if (!isCut(() -> rig.agent.recoverInPlace()) && !isCut(() -> settle(rig, random))) {
        storesLeft = Long.MAX_VALUE;
        return;
      }
    }
  }

  private static void settle(final NvmeRig rig, final Random random) {
    if (rig.agent.awaitsIdle()) {
      while (rig.disk.heldCount() > 0) {
        rig.disk.finish(random, rig.agent, 0);
      }
      rig.agent.onChannelIdle();
    }
  }
}
