package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The back-end is stopped before each of its stores in turn: by a death, after which a new agent
 * starts from ring and journal alone; or by an error, after which the same agent goes on. Needs
 * recorded stores. The workload judges.
 */
class CrashTest {
  private static final int WARM_STEPS = 30;
  private static final int STEPS = 150;
  private static final int SHORT_STEPS = 24;
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

  /**
   * Runs an operation that is cut before its store number {@code storesLeft}; true if it was cut.
   */
  private boolean isCut(final Runnable operation) {
    Mem.listener((address, lengthBytes) -> countStore());
    try {
      operation.run();
      return false;
    } catch (final Cut e) {
      return true;
    } finally {
      Mem.listener(null);
    }
  }

  private void countStore() {
    storesLeft--;
    if (storesLeft == 0) {
      throw new Cut();
    }
  }

  private static Rig rig(final Layout layout, final int queueSize, final int room) {
    final TestDisk disk = new TestDisk(Workload.DISK_BYTES, 512);
    if (room > 0) {
      disk.asynchronous(room);
    }
    return layout.started(queueSize, disk);
  }

  /** Calls the scenario for store 1, 2, ... until it ends without being cut. */
  private void forEachStore(final java.util.function.LongPredicate scenario) {
    long store = 1;
    while (scenario.test(store)) {
      store++;
      assertTrue(store < STORES_MAX, "the scenario never ends");
    }
    assertTrue(store > 100, "the scenario makes no stores: " + store);
    System.out.println("cut before each store: states visited=" + (store - 1));
  }

  @ParameterizedTest
  @CsvSource({
    "SPLIT, 8, 0", "SPLIT, 16, 3", "SPLIT_INDIRECT, 8, 4", "SPLIT_EVENT_INDEX, 8, 0",
    "PACKED, 8, 0", "PACKED, 13, 3", "PACKED_INDIRECT, 8, 4", "PACKED_EVENT_INDEX, 8, 0"
  })
  void shouldLoseNothingWhenItDiesAtAnyStore(
      final Layout layout, final int queueSize, final int room) {
    forEachStore(
        store -> {
          final Random random = new Random(31L * queueSize + room);
          try (Rig rig = rig(layout, queueSize, room)) {
            final Workload workload = new Workload(rig, random);
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

  /**
   * A short scenario, to depth two: for each store that it can die before, its successor dies
   * before each of the stores of its takeover in turn.
   */
  @ParameterizedTest
  @CsvSource({
    "SPLIT, 4, 0", "SPLIT, 8, 3", "SPLIT_INDIRECT, 4, 2",
    "PACKED, 5, 0", "PACKED, 8, 3", "PACKED_INDIRECT, 4, 2"
  })
  void shouldLoseNothingWhenItsSuccessorDiesAtAnyStoreToo(
      final Layout layout, final int queueSize, final int room) {
    long states = 0;
    boolean died = true;
    for (long store = 1; died; store++) {
      boolean successorDied = true;
      for (long later = 1; successorDied; later++) {
        final Random random = new Random(41L * queueSize + room);
        try (Rig rig = rig(layout, queueSize, room)) {
          final Workload workload = new Workload(rig, random);
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
    assertTrue(states > 500, "too few states: " + states);
    System.out.println(layout + " " + queueSize + ": states visited=" + states);
  }

  /** The successor dies before a store of its takeover, if it gets so far; then another comes. */
  private boolean succeedOnce(final Rig rig, final Random random, final long stores) {
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

  /**
   * The dead one's requests end unheard; its successor dies in its recovery, sometimes, and then
   * another one takes over.
   */
  private void succeed(final Rig rig, final Random random) {
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
  @CsvSource({
    "SPLIT, 8, 0", "SPLIT, 16, 3", "SPLIT_INDIRECT, 8, 4", "SPLIT_EVENT_INDEX, 8, 0",
    "PACKED, 8, 0", "PACKED, 13, 3", "PACKED_INDIRECT, 8, 4", "PACKED_EVENT_INDEX, 8, 0"
  })
  void shouldRecoverInPlaceFromAnErrorAtAnyStore(
      final Layout layout, final int queueSize, final int room) {
    forEachStore(
        store -> {
          final Random random = new Random(37L * queueSize + room);
          try (Rig rig = rig(layout, queueSize, room)) {
            final Workload workload = new Workload(rig, random);
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
  private void recover(final Rig rig, final Random random) {
    for (int errors = 0; ; errors++) {
      storesLeft = errors < 3 ? 1 + random.nextInt(100) : Long.MAX_VALUE;
      if (!isCut(() -> rig.agent.recoverInPlace()) && !isCut(() -> settle(rig, random))) {
        storesLeft = Long.MAX_VALUE;
        return;
      }
    }
  }

  private static void settle(final Rig rig, final Random random) {
    if (rig.agent.awaitsIdle()) {
      while (rig.disk.heldCount() > 0) {
        rig.disk.finish(random, rig.agent, 0);
      }
      rig.agent.onChannelIdle();
    }
  }

  @ParameterizedTest
  @CsvSource({"SPLIT, true", "SPLIT, false", "PACKED, true", "PACKED, false"})
  void shouldRecoverInPlaceFromAnErrorInsideTheChannel(
      final Layout layout, final boolean accepted) {
    for (int submit = 1; submit < 60; submit++) {
      final Random random = new Random(submit);
      try (Rig rig = rig(layout, 16, 5)) {
        final Workload workload = new Workload(rig, random);
        final int[] left = {submit};
        final Runnable hook =
            () -> {
              if (--left[0] == 0) {
                throw new Cut();
              }
            };
        rig.disk.hooks(accepted ? () -> {} : hook, accepted ? hook : () -> {});
        for (int i = 0; i < 200; i++) {
          workload.step(
              operation -> {
                if (isCut(operation)) {
                  rig.agent.recoverInPlace();
                  settle(rig, random);
                }
              });
        }
        rig.disk.hooks(() -> {}, () -> {});
        workload.drain();
      }
    }
  }
}
