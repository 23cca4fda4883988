package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;

/** An NVMe subsystem of a pair with one vfio-user listener, made and changed by SPDK's calls. */
final class NvmeSubsystem {
  private static final String TRANSPORT = "VFIOUSER";
  private static final String NQN_PREFIX = "nqn.2019-07.io.virtnvme:";

  private final Pair pair;
  private final String nqn;
  private final String serial;
  private final Path directory;

  private NvmeSubsystem(
      final Pair pair, final String nqn, final String serial, final Path directory) {
    this.pair = pair;
    this.nqn = nqn;
    this.serial = serial;
    this.directory = directory;
  }

  /**
   * Makes the pair's transport; once per pair.
   *
   * @param mappable whether front-ends may map the doorbells, or must send each write to them
   */
  static void createTransport(final Pair pair, final boolean mappable) {
    pair.call(
        "nvmf_create_transport", Json.of("trtype", TRANSPORT, "disable_mappable_bar0", !mappable));
  }

  /**
   * Makes a subsystem that listens at once.
   *
   * @param name last part of its NQN, and its serial number
   * @param directory where its socket goes; must exist
   * @param bdevs its namespaces 1, 2 and so on
   */
  static NvmeSubsystem create(
      final Pair pair, final String name, final Path directory, final Iterable<String> bdevs) {
    final NvmeSubsystem made = new NvmeSubsystem(pair, NQN_PREFIX + name, name, directory);
    pair.call(
        "nvmf_create_subsystem",
        Json.of("nqn", made.nqn, "allow_any_host", true, "serial_number", made.serial));
    bdevs.forEach(made::addNamespace);
    final ObjectNode listener = Json.of("nqn", made.nqn);
    listener
        .putObject("listen_address")
        .put("trtype", TRANSPORT)
        .put("traddr", directory.toString());
    pair.call("nvmf_subsystem_add_listener", listener);
    return made;
  }

  /** Adds a namespace with the lowest free id. */
  void addNamespace(final String bdev) {
    final ObjectNode params = Json.of("nqn", nqn);
    params.putObject("namespace").put("bdev_name", bdev);
    pair.call("nvmf_subsystem_add_ns", params);
  }

  /** Takes a namespace out while guests run. */
  void removeNamespace(final int id) {
    pair.call("nvmf_subsystem_remove_ns", Json.of("nqn", nqn, "nsid", id));
  }

  String serial() {
    return serial;
  }

  Path directory() {
    return directory;
  }
}
