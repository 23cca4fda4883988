package io.virtnvme.tools.chaos;

import java.nio.file.Path;
import java.util.Set;

/**
 * What a campaign does.
 *
 * @param seconds how long faults are injected
 * @param seed of kinds, instants and requests
 * @param out folder for the report
 * @param kinds faults to draw from
 * @param megabytes length of each disk
 * @param hangLimitMs of the pair
 * @param privateFolder a small file system of this campaign alone, or null when it has none
 * @param clientCore core of the clients, -1 for anywhere
 * @param slaveCore core of the reactor
 */
record ChaosSettings(
    int seconds,
    long seed,
    Path out,
    Set<FaultKind> kinds,
    int megabytes,
    int hangLimitMs,
    Path privateFolder,
    int clientCore,
    int slaveCore) {
  static final int BLOCK_BYTES = 4096;

  int blockCount() {
    return (int) (((long) megabytes << 20) / BLOCK_BYTES);
  }
}
