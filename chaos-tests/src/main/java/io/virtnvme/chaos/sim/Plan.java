package io.virtnvme.chaos.sim;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.SplittableRandom;

/**
 * What a run is: everything that happens in it follows from these values. Immutable.
 *
 * @param seed where all chance comes from
 * @param packed layout of the rings
 * @param queueCount rings
 * @param queueSize entries of a ring
 * @param reactorCount reactors of the seat
 * @param indirect the guest uses indirect descriptors at times
 * @param eventIndex event index was negotiated
 * @param frontEndsRegion the front-end keeps the inflight region; else it is the session's own
 * @param memorySlots memory comes region by region, not as a table
 * @param kernelDisk requests run in the kernel and outlive the slave; else the slave copies
 * @param startIndex where a split ring's indices begin
 * @param stepCount steps with faults
 * @param requestMax requests in those steps
 * @param faults in the order of their steps
 * @param nvme what only an NVMe controller has; null for a vhost-user disk
 */
record Plan(
    long seed,
    boolean packed,
    int queueCount,
    int queueSize,
    int reactorCount,
    boolean indirect,
    boolean eventIndex,
    boolean frontEndsRegion,
    boolean memorySlots,
    boolean kernelDisk,
    int startIndex,
    int stepCount,
    int requestMax,
    List<Fault> faults,
    NvmePlan nvme) {
  private static final List<Fault.Kind> KINDS =
      List.copyOf(EnumSet.range(Fault.Kind.KILL_AT_STORE, Fault.Kind.PLUG));
  private static final int STEPS_MIN = 500;
  private static final int STEPS_SPREAD = 2200;
  private static final int FAULTS_MAX = 8;
  private static final int STORES_MAX = 70;
  private static final int PAUSE_STEPS_MAX = 500;

  /** The plan that belongs to a seed. */
  static Plan of(final long seed) {
    final SplittableRandom random = new SplittableRandom(seed);
    final boolean packed = random.nextBoolean();
    final boolean frontEndsRegion = random.nextInt(4) > 0;
    final int stepCount = STEPS_MIN + random.nextInt(STEPS_SPREAD);
    final List<Fault> faults = new ArrayList<>();
    final int faultCount = random.nextInt(FAULTS_MAX + 1);
    for (int i = 0; i < faultCount; i++) {
      final Fault fault = fault(random, stepCount);
      if (frontEndsRegion || !fault.kind().needsFrontEndsRegion()) {
        faults.add(fault);
      }
    }
    faults.sort((a, b) -> Integer.compare(a.step(), b.step()));
    return new Plan(
        seed,
        packed,
        1 + random.nextInt(2),
        packed ? 3 + random.nextInt(10) : 4 << random.nextInt(3),
        1 + random.nextInt(2),
        random.nextBoolean(),
        random.nextBoolean(),
        frontEndsRegion,
        random.nextBoolean(),
        random.nextInt(4) > 0,
        packed ? 0 : 0xFFFF & random.nextInt(48) - 40,
        stepCount,
        20 + random.nextInt(300),
        List.copyOf(faults),
        null);
  }

  private static Fault fault(final SplittableRandom random, final int stepCount) {
    // Deaths inside a step are what all of this is about: they come most often.
    final Fault.Kind kind =
        switch (random.nextInt(3)) {
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

  /** Chance for one part of the run: independent of what the other parts take from theirs. */
  SplittableRandom random(final int part) {
    return new SplittableRandom(seed * 31 + part);
  }

  Plan withFaults(final List<Fault> newFaults) {
    return with(stepCount, requestMax, newFaults);
  }

  Plan withStepCount(final int newStepCount) {
    return with(newStepCount, requestMax, faults);
  }

  Plan withRequestMax(final int newRequestMax) {
    return with(stepCount, newRequestMax, faults);
  }

  private Plan with(final int newStepCount, final int newRequestMax, final List<Fault> newFaults) {
    return new Plan(
        seed,
        packed,
        queueCount,
        queueSize,
        reactorCount,
        indirect,
        eventIndex,
        frontEndsRegion,
        memorySlots,
        kernelDisk,
        startIndex,
        newStepCount,
        newRequestMax,
        List.copyOf(newFaults),
        nvme);
  }
}
