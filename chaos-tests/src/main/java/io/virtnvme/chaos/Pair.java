package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.master.rpc.RpcClient;
import io.virtnvme.tools.RunDirectory;
import io.virtnvme.tools.pair.Leftovers;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A pair in processes of its own, in a run directory of its own. {@link #close} ends every process
 * that belongs to it, whatever went before, and throws when one of them, a socket or a segment was
 * left behind by a stop in good order.
 */
final class Pair implements AutoCloseable {

  /** A standby takes seconds to warm up, and needs the cores for it. */
  private static final long WARM_POLL_NS = TimeUnit.MILLISECONDS.toNanos(30);

  static final Duration ANSWER_LIMIT = Duration.ofSeconds(30);
  private static final Duration START_LIMIT = Duration.ofSeconds(60);
  private static final Duration STANDBY_LIMIT = Duration.ofSeconds(60);
  private static final long STOP_LIMIT_SECONDS = 30;
  private static final long WAKE_LIMIT_NS = TimeUnit.SECONDS.toNanos(20);
  private static final Duration DUMP_LIMIT = Duration.ofSeconds(5);
  private static final int SIGQUIT = 3;
  private static final int LOG_LINES_SHOWN = 120;
  static final int BLOCK_BYTES = 4096;

  private final PairOptions options;
  private final RunDirectory runDirectory;
  private final Path log;
  private final Thread atExit = new Thread(this::endEverything, "pair-at-exit");
  private Process master;
  private RpcClient rpc;
  private SegmentDirectory segments;
  private boolean closed;

  Pair(final PairOptions options) {
    this.options = options;
    try {
      // Short: the sockets below it must fit 107 bytes.
      runDirectory = RunDirectory.of(Files.createTempDirectory("vn-"));
    } catch (final IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    log = runDirectory.path().resolve("up.log");
    Runtime.getRuntime().addShutdownHook(atExit);
  }

  /** A pair that runs. */
  static Pair start(final PairOptions options) {
    final Pair pair = new Pair(options);
    try {
      pair.startMaster();
      return pair;
    } catch (final RuntimeException | Error e) {
      System.err.println(pair.evidence());
      pair.endEverything();
      throw e;
    }
  }

  PairOptions options() {
    return options;
  }

  Path path() {
    return runDirectory.path();
  }

  String socket(final String controller) {
    return runDirectory.controllerSocket(controller).toString();
  }

  /** Socket of an NVMe controller that {@link #createNvmeController} made. */
  String nvmeSocket(final String name) {
    return nvmeDirectory(name).resolve("cntrl").toString();
  }

  private Path nvmeDirectory(final String name) {
    return path().resolve("nvme").resolve(name);
  }

  static String nqn(final String name) {
    return "nqn.2024-01.io.virtnvme:" + name;
  }

  /** Starts a master, also after the one before was killed, and returns when it answers. */
  void startMaster() {
    disconnect();
    try {
      master =
          new ProcessBuilder(
                  ChildJvm.command(
                      options.jvmFlags(),
                      options.mainClass(),
                      options.arguments(path().toString())))
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
              .redirectInput(new File("/dev/null"))
              .start();
      if (!Waiting.holdsWithin(START_LIMIT, this::isAnswering)) {
        dumpThreads();
        throw new AssertionError("no answer of the master in " + START_LIMIT.toSeconds() + " s");
      }
      segments = runDirectory.segments();
    } catch (final IOException e) {
      throw new AssertionError("no master", e);
    }
  }

  /** Lets the master write to its log what each of its threads is doing. */
  private void dumpThreads() {
    try (Victim victim = Victim.of(masterPid())) {
      victim.signal(SIGQUIT);
      Waiting.holdsWithin(DUMP_LIMIT, () -> logText().contains("JNI global refs"));
    }
  }

  private boolean isAnswering() throws IOException {
    if (!master.isAlive()) {
      throw new AssertionError("the master ended with exit code " + master.exitValue());
    }
    // The socket of a dead master may still be there: only an answer of this one counts.
    try {
      rpc = runDirectory.connect(ANSWER_LIMIT);
      if (rpc.call("virtnvme_get_status", null).path("master").path("pid").asLong()
          == master.pid()) {
        return true;
      }
    } catch (final IOException e) {
      // Not there yet; the caller's limit ends this.
      disconnect();
      return false;
    }
    disconnect();
    return false;
  }

  private void disconnect() {
    if (rpc != null) {
      rpc.close();
      rpc = null;
    }
  }

  /** After the master's process went on as another build, which hung up. */
  void reconnect() {
    disconnect();
    Waiting.until("the master answers", START_LIMIT, this::isAnswering);
  }

  int masterPid() {
    return Math.toIntExact(master.pid());
  }

  boolean isMasterAlive() {
    return master.isAlive();
  }

  /** Calls a method; an error answer is an {@link io.virtnvme.master.rpc.RpcException}. */
  JsonNode call(final String method, final ObjectNode params) {
    try {
      return rpc.call(method, params);
    } catch (final IOException e) {
      throw new AssertionError(method + ": " + e.getMessage(), e);
    }
  }

  JsonNode call(final String method) {
    return call(method, null);
  }

  List<SlaveView> slaves() {
    final List<SlaveView> slaves = new ArrayList<>();
    call("virtnvme_get_slaves").forEach(node -> slaves.add(SlaveView.of(node)));
    return slaves;
  }

  /** The process that serves seat 0, once there is one that lives. */
  int activePid() {
    return await("an active slave", 0, 0);
  }

  /**
   * The process that serves seat 0, once enough warm standbys are there too.
   *
   * @param deadPid the one killed last, which the master may not have noticed yet; 0 for none
   */
  int activePidWithStandbys(final int standbyCount, final int deadPid) {
    return await("an active slave and " + standbyCount + " standbys", standbyCount, deadPid);
  }

  private int await(final String what, final int standbyCount, final int deadPid) {
    final int[] found = {0};
    Waiting.until(
        what,
        STANDBY_LIMIT,
        standbyCount > 0 ? WARM_POLL_NS : Waiting.POLL_NS,
        () -> {
          found[0] = activePidNow(standbyCount, deadPid);
          return found[0] != 0;
        });
    return found[0];
  }

  /** Whether there is an active slave, and enough warm standbys, within a time. */
  boolean isWarmWithin(final Duration limit, final int standbyCount, final int deadPid) {
    return Waiting.holdsWithin(limit, WARM_POLL_NS, () -> activePidNow(standbyCount, deadPid) != 0);
  }

  /** The process that serves seat 0; 0 as long as there is none or standbys are missing. */
  private int activePidNow(final int standbyCount, final int deadPid) {
    int active = 0;
    int standbys = 0;
    for (final SlaveView slave : slaves()) {
      if (slave.pid() == deadPid || !Processes.isAlive(slave.pid())) {
        continue;
      }
      if (slave.is("active") && slave.seat() == 0) {
        active = slave.pid();
      } else if (slave.is("standby")) {
        standbys++;
      }
    }
    return standbys >= standbyCount ? active : 0;
  }

  void createMemDisk(final String name, final int blockCount) {
    call(
        "bdev_malloc_create",
        Json.of("name", name, "block_size", BLOCK_BYTES, "num_blocks", blockCount));
  }

  /** A file disk whose file lies in the run directory, or is made there. */
  void createFileDisk(final String name, final int blockCount) {
    final Path file = path().resolve(name + ".img");
    if (!Files.exists(file)) {
      createFile(file, (long) blockCount * BLOCK_BYTES);
    }
    call(
        "bdev_uring_create",
        Json.of("name", name, "filename", file.toString(), "block_size", BLOCK_BYTES));
  }

  static void createFile(final Path file, final long lengthBytes) {
    final int fd = Fds.open(file.toString(), Fds.O_RDWR | Fds.O_CREAT | Fds.O_EXCL, 0600);
    try {
      Fds.allocate(fd, lengthBytes);
    } finally {
      Fds.close(fd);
    }
  }

  void createController(final String name, final String bdev, final boolean packed) {
    call(
        "vhost_create_blk_controller",
        Json.of("ctrlr", name, "dev_name", bdev, "packed_ring", packed, "num_queues", 2));
  }

  /** An endpoint for secondaries, its socket in {@code virtnvme} of the run directory. */
  void createSecondaryEndpoint(final String name, final String bdev, final boolean readOnly) {
    call(
        "vhost_create_blk_controller",
        Json.of("ctrlr", name, "dev_name", bdev, "readonly", readOnly, "transport", "virtnvme"));
  }

  /**
   * A subsystem with one listener, and a namespace for each bdev.
   *
   * @param mappable the front-end may map the doorbells; the same for every controller of a pair
   */
  void createNvmeController(final String name, final boolean mappable, final String... bdevs) {
    if (call("nvmf_get_transports").isEmpty()) {
      call(
          "nvmf_create_transport",
          Json.of("trtype", "VFIOUSER", "disable_mappable_bar0", !mappable));
    }
    call("nvmf_create_subsystem", Json.of("nqn", nqn(name), "allow_any_host", true));
    for (final String bdev : bdevs) {
      call(
          "nvmf_subsystem_add_ns",
          Json.of("nqn", nqn(name), "namespace", Json.of("bdev_name", bdev)));
    }
    call(
        "nvmf_subsystem_add_listener",
        Json.of(
            "nqn",
            nqn(name),
            "listen_address",
            Json.of("trtype", "VFIOUSER", "traddr", nvmeDirectory(name).toString())));
  }

  JsonNode recoveries() {
    return call("virtnvme_get_recoveries");
  }

  long counter(final String name) {
    return call("virtnvme_get_status").path("counters").path(name).asLong(-1);
  }

  void killMaster() {
    disconnect();
    master.destroyForcibly();
    awaitMasterEnd();
  }

  private boolean awaitMasterEnd() {
    try {
      return master.waitFor(STOP_LIMIT_SECONDS, TimeUnit.SECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** The segment of seat 0, to see what its reactor does; the caller closes it. */
  SeatSegment openSeat() {
    return SeatSegment.open(segments, 0);
  }

  /**
   * SIGKILL to the slave of seat 0 at work. At most instants the rings are empty, since a slave is
   * faster than what drives it: so it stands still until they are full, and dies while it works
   * that off.
   *
   * @param awaitFullRings returns when the rings have filled up behind the stopped slave
   * @param delayNs from the first sign of life to the kill
   */
  void killAtWork(final int pid, final Runnable awaitFullRings, final long delayNs) {
    try (Victim victim = Victim.of(pid);
        SeatSegment seat = openSeat()) {
      victim.signal(Processes.SIGSTOP);
      awaitFullRings.run();
      final long beatNs = seat.heartbeatNs(0);
      victim.signal(Processes.SIGCONT);
      final long limitNs = System.nanoTime() + WAKE_LIMIT_NS;
      while (seat.heartbeatNs(0) == beatNs) {
        if (System.nanoTime() - limitNs > 0) {
          throw new AssertionError("process " + pid + " does not go on after SIGCONT");
        }
        Thread.onSpinWait();
      }
      final long atNs = System.nanoTime() + delayNs;
      while (System.nanoTime() - atNs < 0) {
        Thread.onSpinWait();
      }
      victim.signal(Processes.SIGKILL);
      victim.awaitDeath();
    }
  }

  /**
   * SIGKILL to several processes as near to each other as it goes; the master may be among them.
   */
  void killTogether(final List<Integer> pids) {
    final List<Victim> victims = new ArrayList<>();
    try {
      pids.forEach(pid -> victims.add(Victim.of(pid)));
      victims.forEach(victim -> victim.signal(Processes.SIGKILL));
      victims.forEach(Victim::awaitDeath);
    } finally {
      victims.forEach(Victim::close);
    }
    if (pids.contains(masterPid())) {
      disconnect();
      awaitMasterEnd();
    }
  }

  /** Every process of this pair, the master first. */
  List<Integer> pids() {
    return Leftovers.processesOf(path());
  }

  String logText() {
    try {
      return Files.readString(log);
    } catch (final IOException e) {
      return "(no log: " + e.getMessage() + ")";
    }
  }

  /** What helps to understand a failure. */
  String evidence() {
    final StringBuilder text = new StringBuilder();
    text.append("run directory ").append(path()).append(", processes ").append(pids());
    append(text, log);
    try (Stream<Path> files = Files.list(path().resolve("log"))) {
      files.sorted().forEach(file -> append(text, file));
    } catch (final IOException e) {
      text.append("\nno slave logs: ").append(e.getMessage());
    }
    return text.toString();
  }

  private static void append(final StringBuilder text, final Path file) {
    text.append("\n--- ").append(file).append('\n');
    try {
      final List<String> lines = Files.readAllLines(file);
      lines.subList(Math.max(0, lines.size() - LOG_LINES_SHOWN), lines.size()).stream()
          .map(line -> line.length() > 400 ? line.substring(0, 400) + "..." : line)
          .forEach(line -> text.append(line).append('\n'));
    } catch (final IOException e) {
      text.append(e.getMessage());
    }
  }

  /**
   * Stops in good order, if the master lives, and says what was left behind; then removes
   * everything.
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    final List<String> faults = new ArrayList<>();
    try {
      if (master != null && master.isAlive()) {
        disconnect();
        master.destroy();
        if (!awaitMasterEnd()) {
          faults.add("the master does not end");
        }
        findLeftovers(faults);
      }
    } finally {
      endEverything();
    }
    if (!faults.isEmpty()) {
      throw new AssertionError(String.join("; ", faults));
    }
  }

  private void findLeftovers(final List<String> faults) {
    final List<Integer> pids = pids();
    if (!pids.isEmpty()) {
      faults.add("processes left behind: " + pids);
    }
    if (segments != null && Files.exists(segments.path())) {
      faults.add("segments left behind: " + names(segments.path()));
    }
    for (final Path socket :
        List.of(runDirectory.rpcSocket(), path().resolve("slaves.sock"), path().resolve("vhost"))) {
      if (Files.isDirectory(socket) ? !names(socket).isEmpty() : Files.exists(socket)) {
        faults.add("socket left behind: " + socket + " " + names(socket));
      }
    }
  }

  private static List<String> names(final Path directory) {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    } catch (final IOException e) {
      return List.of(e.getMessage());
    }
  }

  private synchronized void endEverything() {
    if (closed) {
      return;
    }
    closed = true;
    if (Thread.currentThread() != atExit) {
      Runtime.getRuntime().removeShutdownHook(atExit);
    }
    disconnect();
    if (master != null) {
      master.destroyForcibly();
      awaitMasterEnd();
    }
    Leftovers.endProcessesOf(path());
    try {
      final SegmentDirectory left = segments != null ? segments : runDirectory.segments();
      if (left != null) {
        Leftovers.delete(left.path());
      }
      Leftovers.delete(path());
    } catch (final IOException e) {
      System.err.println("cannot remove " + path() + ": " + e.getMessage());
    }
  }
}
