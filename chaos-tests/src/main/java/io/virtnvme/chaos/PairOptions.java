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
 */
record PairOptions(Class<?> mainClass, int standbyCount, int coreCount, int slaveCount) {
  /** One slave with one reactor, one standby. */
  static PairOptions usual() {
    return new PairOptions(Main.class, 1, 1, 1);
  }

  PairOptions withStandbys(final int count) {
    return new PairOptions(mainClass, count, coreCount, slaveCount);
  }

  PairOptions withMain(final Class<?> main) {
    return new PairOptions(main, standbyCount, coreCount, slaveCount);
  }

  PairOptions withSlaves(final int count) {
    return new PairOptions(mainClass, standbyCount, count, count);
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
