package io.virtnvme.tools.chaos;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.tools.JvmCommand;
import io.virtnvme.tools.load.ClientProcess;
import io.virtnvme.tools.pair.TemporaryPair;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** One disk of a campaign, with the client that keeps it busy. Main thread. */
final class Disk {
  private static final int QUEUE_DEPTH = 16;
  private static final int QUEUE_COUNT = 2;
  private static final int THINK_US = 50;
  private static final int STALL_LIMIT_MS = 90_000;
  private static final int EDGE_BLOCKS = 64;

  private final String name;
  private final DiskGroup group;
  private final boolean packed;
  private final boolean hasBrokenPart;
  private BadDisk badDisk;
  private ClientProcess client;

  Disk(final DiskGroup group, final boolean packed) {
    this(
        (group == DiskGroup.MEMORY ? "mem" : "uring") + (packed ? "-packed" : "-split"),
        group,
        packed,
        false);
  }

  private Disk(
      final String name, final DiskGroup group, final boolean packed, final boolean hasBrokenPart) {
    this.name = name;
    this.group = group;
    this.packed = packed;
    this.hasBrokenPart = hasBrokenPart;
  }

  /** A block device of which a part fails every request. */
  static Disk withBrokenPart() {
    return new Disk("uring-broken", DiskGroup.FILE, false, true);
  }

  String name() {
    return name;
  }

  DiskGroup group() {
    return group;
  }

  boolean hasBrokenPart() {
    return hasBrokenPart;
  }

  ClientProcess client() {
    return client;
  }

  /**
   * Makes disk and controller.
   *
   * @param folder takes the file of a file disk
   */
  void create(final TemporaryPair pair, final Path folder, final int blockCount)
      throws IOException {
    final ObjectNode bdev = JsonNodeFactory.instance.objectNode().put("name", name);
    bdev.put("block_size", ChaosSettings.BLOCK_BYTES);
    if (group == DiskGroup.MEMORY) {
      pair.call("bdev_malloc_create", bdev.put("num_blocks", blockCount));
    } else if (hasBrokenPart) {
      badDisk = BadDisk.of((long) brokenBlock(blockCount) * ChaosSettings.BLOCK_BYTES);
      pair.call("bdev_uring_create", bdev.put("filename", badDisk.device()));
    } else {
      final Path file = folder.resolve(name + ".img");
      TemporaryPair.createFile(file, (long) blockCount * ChaosSettings.BLOCK_BYTES);
      pair.call("bdev_uring_create", bdev.put("filename", file.toString()));
    }
    pair.call(
        "vhost_create_blk_controller",
        JsonNodeFactory.instance
            .objectNode()
            .put("ctrlr", name)
            .put("dev_name", name)
            .put("packed_ring", packed)
            .put("num_queues", QUEUE_COUNT));
  }

  /** Not next to the blocks in use: the kernel would merge requests over the edge. */
  private static int brokenBlock(final int blockCount) {
    return blockCount + EDGE_BLOCKS;
  }

  /** Starts the load and waits until it runs. */
  void startLoad(final TemporaryPair pair, final int blockCount, final long seed, final int core)
      throws IOException {
    final List<String> options =
        new ArrayList<>(
            List.of(
                "--blocks",
                Integer.toString(blockCount),
                "--queue-depth",
                Integer.toString(QUEUE_DEPTH),
                "--queues",
                Integer.toString(QUEUE_COUNT),
                "--seed",
                Long.toString(seed),
                "--think-us",
                Integer.toString(THINK_US),
                "--core",
                Integer.toString(core),
                "--stall-limit-ms",
                Integer.toString(STALL_LIMIT_MS)));
    if (hasBrokenPart) {
      options.addAll(List.of("--broken-block", Integer.toString(brokenBlock(blockCount))));
    }
    if (packed) {
      options.add("--packed");
    }
    client =
        new ClientProcess(
            JvmCommand.of(List.of()),
            Map.of(),
            pair.runDirectory().path(),
            "load-" + name,
            pair.runDirectory().controllerSocket(name),
            options);
    client.awaitRunning(pair::logTail);
  }

  /** Ends the client; what lies below the disk is needed until the pair has ended. */
  void close() {
    if (client != null) {
      client.close();
    }
  }

  /** After the pair. */
  void remove() {
    if (badDisk != null) {
      badDisk.close();
      badDisk = null;
    }
  }
}
