package io.virtnvme.chaos.sim;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * What only a run with an NVMe controller has. Immutable.
 *
 * @param mappedDoorbells the driver stores doorbells in shared memory; else each is a message
 * @param shadowDoorbells the driver configures shadow doorbells
 * @param sharedCompletionQueue all submission queues complete into one completion queue
 * @param commandIdGenerations command ids carry a generation; else an id is used again at once
 * @param adminEntryCount entries of each admin queue
 * @param completionEntryCount entries of an I/O completion queue; may be fewer than commands
 * @param allKinds with Compare, Verify, SGLs and errors of the disk too
 */
record NvmePlan(
    boolean mappedDoorbells,
    boolean shadowDoorbells,
    boolean sharedCompletionQueue,
    boolean commandIdGenerations,
    int adminEntryCount,
    int completionEntryCount,
    boolean allKinds) {
  /** Seeds below were in use before there were all kinds, and mean the same runs as then. */
  private static final long FIRST_SEED_OF_ALL_KINDS = 1_000_000_000;

  private static final int STEPS_MIN = 2500;
  private static final int STEPS_SPREAD = 4000;
  private static final int FAULTS_MAX = 9;
  private static final int STORES_MAX = 90;
  private static final int PAUSE_STEPS_MAX = 500;

  /** Faults beside those of single slaves, which come more often. */
  private static final List<Fault.Kind> KINDS =
      List.of(
          Fault.Kind.KILL_STANDBY,
          Fault.Kind.HANG,
          Fault.Kind.HANG_STANDBY,
          Fault.Kind.LEAVE,
          Fault.Kind.KILL_MASTER,
          Fault.Kind.SLOW_DISK,
          Fault.Kind.SMALL_DISK,
          Fault.Kind.RESET,
          Fault.Kind.RESET,
          Fault.Kind.DELETE_QUEUE,
          Fault.Kind.DELETE_QUEUE,
          Fault.Kind.MOVE_QUEUES,
          Fault.Kind.PLUG,
          Fault.Kind.RECONNECT,
          Fault.Kind.KILL_ALL);

  /** The plan of a run with an NVMe controller that belongs to a seed. */
  static Plan of(final long seed) {
    final SplittableRandom random = new SplittableRandom(seed);
    final int stepCount = STEPS_MIN + random.nextInt(STEPS_SPREAD);
    final List<Fault> faults = new ArrayList<>();
    final int faultCount = random.nextInt(FAULTS_MAX + 1);
    for (int i = 0; i < faultCount; i++) {
      faults.add(fault(random, stepCount));
    }
    faults.sort((a, b) -> Integer.compare(a.step(), b.step()));
    final NvmePlan nvme =
        new NvmePlan(
            random.nextInt(4) > 0,
            random.nextInt(4) == 0,
            random.nextInt(3) == 0,
            random.nextBoolean(),
            3 + random.nextInt(6),
            2 + random.nextInt(8),
            seed >= FIRST_SEED_OF_ALL_KINDS);
    return new Plan(
        seed,
        false,
        1 + random.nextInt(3),
        2 + random.nextInt(8),
        1 + random.nextInt(2),
        false,
        false,
        false,
        false,
        random.nextInt(4) > 0,
        0,
        stepCount,
        20 + random.nextInt(300),
        List.copyOf(faults),
        nvme);
  }

  private static Fault fault(final SplittableRandom random, final int stepCount) {
    final Fault.Kind kind =
        switch (random.nextInt(5)) {
          case 0 -> Fault.Kind.KILL_AT_STORE;
          case 1 -> random.nextBoolean() ? Fault.Kind.KILL_IN_TAKEOVER : Fault.Kind.KILL;
          default -> KINDS.get(random.nextInt(KINDS.size()));
        };
    final int amount =
        switch (kind) {
          case KILL_AT_STORE, KILL_IN_TAKEOVER -> 1 + random.nextInt(STORES_MAX);
          default -> 1 + random.nextInt(PAUSE_STEPS_MAX);
        };
    return new Fault(random.nextInt(stepCount), kind, amount);
  }
}
