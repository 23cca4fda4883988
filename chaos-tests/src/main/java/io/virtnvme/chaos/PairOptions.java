package io.virtnvme.chaos;

import io.virtnvme.tools.Main;
import java.util.ArrayList;
import java.util.List;

/**
 * How a pair is started.
 *
 * @param mainClass of the master's process; takes the arguments of {@code virtnvme}
 * @param standbyCount warm standbys
 * @param coreCount reactors
 * @param slaveCount slaves that share them
 * @param hangLimitMs a slave without a heartbeat for so long is killed
 * @param jvmFlags of the master and, since it hands them on, its slaves
 */
record PairOptions(
    Class<?> mainClass,
    int standbyCount,
    int coreCount,
    int slaveCount,
    int hangLimitMs,
    List<String> jvmFlags) {
  private static final int HANG_LIMIT_MS = 5000;

  /**
   * One slave with one reactor, one standby; patient, since a test machine may have much else to
   * do.
   */
  static PairOptions usual() {
    return new PairOptions(Main.class, 1, 1, 1, HANG_LIMIT_MS, List.of());
  }

  /**
   * The usual, for tests that ask what processes say and do, and not how their code was compiled.
   */
  static PairOptions ofFirstCompiler() {
    return new PairOptions(
        Main.class, 1, 1, 1, HANG_LIMIT_MS, List.of(ChildJvm.FIRST_COMPILER_ONLY));
  }

  PairOptions withStandbys(final int count) {
    return new PairOptions(mainClass, count, coreCount, slaveCount, hangLimitMs, jvmFlags);
  }

  PairOptions withMain(final Class<?> main) {
    return new PairOptions(main, standbyCount, coreCount, slaveCount, hangLimitMs, jvmFlags);
  }

  PairOptions withSlaves(final int count) {
    return new PairOptions(mainClass, standbyCount, count, count, hangLimitMs, jvmFlags);
  }

  PairOptions withHangLimitMs(final int limitMs) {
    return new PairOptions(mainClass, standbyCount, coreCount, slaveCount, limitMs, jvmFlags);
  }

  /**
   * The core of the first reactor: the last one, because load clients and killers are elsewhere.
   */
  static int slaveCore() {
    return Runtime.getRuntime().availableProcessors() - 1;
  }

  List<String> arguments(final String runDirectory) {
    final List<String> arguments = new ArrayList<>(List.of("up", "--run-dir", runDirectory));
    arguments.addAll(List.of("--standby", Integer.toString(standbyCount)));
    arguments.addAll(List.of("--hang-limit-ms", Integer.toString(hangLimitMs)));
    if (slaveCount == 1 && coreCount == 1) {
      arguments.addAll(List.of("--cores", Integer.toString(slaveCore())));
    } else {
      final List<String> cores = new ArrayList<>();
      for (int core = 0; core < coreCount; core++) {
        cores.add(Integer.toString(core));
      }
      arguments.addAll(List.of("--cores", String.join(",", cores)));
      arguments.addAll(List.of("--slaves", Integer.toString(slaveCount)));
    }
    return arguments;
  }
}
