package io.virtnvme.tools.bench;

import io.virtnvme.tools.pair.FrontEnd;
import io.virtnvme.tools.pair.PairSettings;
import java.nio.file.Path;
import java.util.List;

/**
 * What a benchmark does.
 *
 * @param frontEnd what the disks are seen as
 * @param blkioLibrary see {@link RunOrder}
 * @param kind of our disk
 * @param file behind a uring disk, else null
 * @param megabytes of disk that are used
 * @param ratePerSecond see {@link RunOrder}
 * @param seconds of each run
 * @param rounds runs of each work, depth and subject
 * @param warmUpMs before each run
 * @param journals our pairs to compare: true with the inflight journal, false without
 * @param sockets foreign back-ends
 * @param storageDaemon start qemu-storage-daemon as a peer
 * @param clientCore core of the client's polling thread, -1 for anywhere
 * @param slaveCore core of the back-ends
 */
record BenchSettings(
    FrontEnd frontEnd,
    String blkioLibrary,
    PairSettings.Kind kind,
    Path file,
    int megabytes,
    List<Work> works,
    List<Integer> queueDepths,
    int ratePerSecond,
    int seconds,
    int rounds,
    int warmUpMs,
    boolean packed,
    boolean indirect,
    List<Boolean> journals,
    List<String> sockets,
    boolean storageDaemon,
    int clientCore,
    int slaveCore) {

  int blockCount() {
    return (int) (rangeBytes() / PairSettings.BLOCK_BYTES);
  }

  long rangeBytes() {
    return (long) megabytes << 20;
  }

  String client() {
    return blkioLibrary == null ? "virtnvme" : "libblkio";
  }

  String bdev() {
    return switch (kind) {
      case NULL -> "null";
      case MEM -> "mem";
      case URING -> "uring:" + file;
    };
  }

  RunOrder order(
      final Work work, final int queueDepth, final String socket, final List<Integer> watchPids) {
    return new RunOrder(
        frontEnd,
        socket,
        blkioLibrary,
        work,
        queueDepth,
        ratePerSecond,
        warmUpMs,
        seconds * 1000,
        packed,
        indirect,
        true,
        rangeBytes(),
        clientCore,
        clientCore < 0 ? -1 : slaveCore,
        watchPids);
  }
}
