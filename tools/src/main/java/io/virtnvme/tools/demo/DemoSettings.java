package io.virtnvme.tools.demo;

import io.virtnvme.tools.JvmCommand;
import io.virtnvme.tools.load.ClientProcess;
import io.virtnvme.tools.pair.FrontEnd;
import io.virtnvme.tools.pair.PairSettings;
import io.virtnvme.tools.pair.TemporaryPair;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What a demo does.
 *
 * @param seconds how long the load runs at least
 * @param kills SIGKILLs of the active slave, spread over that time
 * @param frontEnd what the guest sees of the disk
 * @param bdev kind of disk
 * @param megabytes length of the disk
 * @param queueDepth requests in flight per queue
 * @param queueCount queues
 * @param packed packed rings
 * @param standbyCount warm standbys
 * @param guestMegabytes guest memory that the load's buffers wander through, 0 for as little as
 *     possible
 * @param hugePages guest memory on huge pages
 * @param seed of the instants of the kills and of the order of requests
 * @param clientCore core of the client's polling thread, -1 for anywhere
 * @param slaveCore core of the slave's reactor
 */
record DemoSettings(
    int seconds,
    int kills,
    FrontEnd frontEnd,
    BdevChoice bdev,
    int megabytes,
    int queueDepth,
    int queueCount,
    boolean packed,
    int standbyCount,
    int guestMegabytes,
    boolean hugePages,
    long seed,
    int clientCore,
    int slaveCore) {
  /** Kinds of disk that the demo can make. */
  enum BdevChoice {
    MEM,
    URING
  }

  int blockCount() {
    return (int) (((long) megabytes << 20) / PairSettings.BLOCK_BYTES);
  }

  /** Starts the client that keeps the pair's disk busy. */
  ClientProcess startClient(final TemporaryPair pair, final Map<String, String> environment)
      throws IOException {
    return new ClientProcess(
        JvmCommand.of(List.of()),
        environment,
        pair.runDirectory().path(),
        "client",
        pair.socket(),
        loadOptions());
  }

  private List<String> loadOptions() {
    final List<String> options =
        new ArrayList<>(
            List.of(
                "--front-end",
                frontEnd.name(),
                "--blocks",
                Integer.toString(blockCount()),
                "--queue-depth",
                Integer.toString(queueDepth),
                "--queues",
                Integer.toString(queueCount),
                "--memory",
                Integer.toString(guestMegabytes),
                "--seed",
                Long.toString(seed),
                "--core",
                Integer.toString(clientCore)));
    if (packed) {
      options.add("--packed");
    }
    if (hugePages) {
      options.add("--huge-pages");
    }
    return options;
  }

  PairSettings pair() {
    final PairSettings.Kind kind =
        bdev == BdevChoice.MEM ? PairSettings.Kind.MEM : PairSettings.Kind.URING;
    return new PairSettings(slaveCore, standbyCount, kind, blockCount(), null, packed, frontEnd);
  }
}
