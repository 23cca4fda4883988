package io.virtnvme.tools.pair;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.rpc.RpcClient;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.JvmCommand;
import io.virtnvme.tools.RunDirectory;
import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Master and slaves in a run directory of their own, with one disk or with those that the caller
 * makes. {@link #close} ends every process that works on that directory and removes all files,
 * whatever went before; it may be called from the shutdown hook at any moment.
 */
public final class TemporaryPair implements AutoCloseable {
  private static final String BDEV_NAME = "disk";
  private static final String CONTROLLER_NAME = "vm";
  private static final String SUBSYSTEM_NQN = "nqn.2024-01.io.virtnvme:disk";
  private static final Duration RPC_TIMEOUT = Duration.ofSeconds(20);
  private static final long START_LIMIT_NS = TimeUnit.SECONDS.toNanos(60);
  private static final long STOP_LIMIT_MS = 5000;
  private static final long POLL_NS = 20_000_000;
  private static final int LOG_LINES_SHOWN = 12;

  private final PairSettings settings;
  private final List<String> options;
  private final int standbyCount;
  private final Map<String, String> environment;
  private final RunDirectory runDirectory;
  private final Path log;
  private Process master;
  private RpcClient rpc;
  private boolean closed;

  /**
   * Makes the run directory; starts nothing.
   *
   * @param environment for the master and its slaves, beside that of this process
   */
  public TemporaryPair(final PairSettings settings, final Map<String, String> environment)
      throws IOException {
    this(
        Path.of("/tmp"),
        List.of("--cores", Integer.toString(settings.slaveCore())),
        settings.standbyCount(),
        settings,
        environment);
  }

  /**
   * A pair whose disks the caller makes with {@link #call}; {@link #createDisk} is not for it.
   *
   * @param parent takes the run directory; short, since the sockets' paths must fit 107 bytes
   * @param options of {@code virtnvme up}, without run directory and standbys; there is one
   */
  public TemporaryPair(final Path parent, final List<String> options) throws IOException {
    this(parent, options, 1, null, Map.of());
  }

  private TemporaryPair(
      final Path parent,
      final List<String> options,
      final int standbyCount,
      final PairSettings settings,
      final Map<String, String> environment)
      throws IOException {
    this.settings = settings;
    this.options = List.copyOf(options);
    this.standbyCount = standbyCount;
    this.environment = Map.copyOf(environment);
    this.runDirectory = RunDirectory.of(Files.createTempDirectory(parent, "vn-"));
    this.log = runDirectory.path().resolve("up.log");
  }

  /** Where the pair runs; gone after {@link #close}. */
  public RunDirectory runDirectory() {
    return runDirectory;
  }

  Path log() {
    return log;
  }

  /** Starts the master, also after the one before was killed. */
  public synchronized void startMaster() throws IOException {
    if (closed) {
      throw new CommandFailedException("stopped before the master was started");
    }
    hangUp();
    final List<String> arguments =
        new ArrayList<>(
            List.of(
                "up",
                "--run-dir",
                runDirectory.path().toString(),
                "--standby",
                Integer.toString(standbyCount)));
    arguments.addAll(options);
    final ProcessBuilder builder =
        new ProcessBuilder(JvmCommand.of(arguments))
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .redirectInput(new File("/dev/null"));
    builder.environment().putAll(environment);
    master = builder.start();
  }

  private void hangUp() {
    if (rpc != null) {
      rpc.close();
      rpc = null;
    }
  }

  /** Waits until the master that was started last answers calls. */
  public void awaitMaster() throws IOException {
    final long deadlineNs = System.nanoTime() + START_LIMIT_NS;
    while (!isAnswering()) {
      checkMaster();
      if (System.nanoTime() - deadlineNs > 0) {
        throw new CommandFailedException("the master did not answer in time:\n" + logTail());
      }
      LockSupport.parkNanos(POLL_NS);
    }
  }

  /** A dead master's socket may still be there: only the word of this one counts. */
  private boolean isAnswering() {
    if (!Files.exists(runDirectory.rpcSocket())) {
      return false;
    }
    try {
      rpc = runDirectory.connect(RPC_TIMEOUT);
      final JsonNode status = rpc.call("virtnvme_get_status", null);
      if (status.path("master").path("pid").asLong() == master.pid()) {
        return true;
      }
    } catch (final IOException e) {
      // Bound but not listening yet, or nobody is behind it; the caller's deadline ends this.
      hangUp();
      return false;
    }
    hangUp();
    return false;
  }

  /**
   * Calls a method of the master.
   *
   * @param params null for none
   * @throws IOException when nobody answers; an error answer is an {@link
   *     io.virtnvme.master.rpc.RpcException}
   */
  public JsonNode call(final String method, final ObjectNode params) throws IOException {
    return rpc.call(method, params);
  }

  void checkMaster() {
    if (!master.isAlive()) {
      throw new CommandFailedException(
          "the master ended with exit code " + master.exitValue() + ":\n" + logTail());
    }
  }

  /** Makes the disk and its controller. */
  public void createDisk() throws IOException {
    final ObjectNode bdev = JsonNodeFactory.instance.objectNode();
    bdev.put("name", BDEV_NAME);
    switch (settings.kind()) {
      case NULL -> rpc.call("bdev_null_create", putBlocks(bdev));
      case MEM -> rpc.call("bdev_malloc_create", putBlocks(bdev));
      case URING -> rpc.call("bdev_uring_create", putFile(bdev));
    }
    switch (settings.frontEnd()) {
      case BLK ->
          rpc.call(
              "vhost_create_blk_controller",
              JsonNodeFactory.instance
                  .objectNode()
                  .put("ctrlr", CONTROLLER_NAME)
                  .put("dev_name", BDEV_NAME)
                  .put("packed_ring", settings.packed()));
      case NVME -> createNvmeController();
      case QPAIR ->
          rpc.call(
              "vhost_create_blk_controller",
              JsonNodeFactory.instance
                  .objectNode()
                  .put("ctrlr", CONTROLLER_NAME)
                  .put("dev_name", BDEV_NAME)
                  .put("transport", "virtnvme"));
    }
  }

  private void createNvmeController() throws IOException {
    rpc.call(
        "nvmf_create_transport", JsonNodeFactory.instance.objectNode().put("trtype", "VFIOUSER"));
    rpc.call("nvmf_create_subsystem", subsystem().put("allow_any_host", true));
    final ObjectNode namespace = subsystem();
    namespace.putObject("namespace").put("bdev_name", BDEV_NAME);
    rpc.call("nvmf_subsystem_add_ns", namespace);
    final ObjectNode listener = subsystem();
    listener
        .putObject("listen_address")
        .put("trtype", "VFIOUSER")
        .put("traddr", nvmeDirectory().toString());
    rpc.call("nvmf_subsystem_add_listener", listener);
  }

  private static ObjectNode subsystem() {
    return JsonNodeFactory.instance.objectNode().put("nqn", SUBSYSTEM_NQN);
  }

  private Path nvmeDirectory() {
    return runDirectory.path().resolve("nvme");
  }

  private ObjectNode putBlocks(final ObjectNode bdev) {
    return bdev.put("num_blocks", settings.blockCount())
        .put("block_size", PairSettings.BLOCK_BYTES);
  }

  private ObjectNode putFile(final ObjectNode bdev) {
    if (settings.file() != null) {
      return bdev.put("filename", settings.file().toAbsolutePath().toString());
    }
    final Path file = runDirectory.path().resolve("disk.img");
    createFile(file, (long) settings.blockCount() * PairSettings.BLOCK_BYTES);
    return bdev.put("filename", file.toString()).put("block_size", PairSettings.BLOCK_BYTES);
  }

  /** Makes a file with all its blocks. */
  public static void createFile(final Path file, final long lengthBytes) {
    final int fd = Fds.open(file.toString(), Fds.O_RDWR | Fds.O_CREAT | Fds.O_EXCL, 0600);
    try {
      Fds.allocate(fd, lengthBytes);
    } finally {
      Fds.close(fd);
    }
  }

  /** The disk's socket. */
  public Path socket() {
    return switch (settings.frontEnd()) {
      case BLK -> runDirectory.controllerSocket(CONTROLLER_NAME);
      case NVME -> nvmeDirectory().resolve("cntrl");
      case QPAIR -> runDirectory.path().resolve("virtnvme").resolve(CONTROLLER_NAME);
    };
  }

  /** The takeovers so far, as the master tells them. */
  public JsonNode recoveries() throws IOException {
    return rpc.call("virtnvme_get_recoveries", null);
  }

  /**
   * The process that serves the disk, once a warm standby is there too.
   *
   * @param deadPid the one killed last, which the master may not have noticed yet; 0 for none
   * @return its pid, or 0 while there is no standby
   */
  private int activePidWithStandby(final int deadPid) throws IOException {
    checkMaster();
    int active = 0;
    boolean standby = false;
    for (final JsonNode slave : rpc.call("virtnvme_get_slaves", null)) {
      final String state = slave.path("state").asText();
      final int pid = slave.path("pid").asInt();
      if (state.equals("failed")) {
        throw new CommandFailedException(
            "the slave has failed: " + slave.path("reason").asText() + "\n" + logTail());
      }
      if (state.equals("active") && pid != deadPid) {
        active = pid;
      }
      standby |= state.equals("standby") && pid != deadPid;
    }
    return standby || standbyCount == 0 ? active : 0;
  }

  /** The process that serves the disk; 0 while none does. */
  public int activePid() throws IOException {
    checkMaster();
    for (final JsonNode slave : rpc.call("virtnvme_get_slaves", null)) {
      if (slave.path("state").asText().equals("active")) {
        return slave.path("pid").asInt();
      }
    }
    return 0;
  }

  /** The master's process; after {@link #startMaster}. */
  public int masterPid() {
    return Math.toIntExact(master.pid());
  }

  /** Waits for a slave that serves and a warm standby beside it, after a start. */
  public void awaitStandby() throws IOException {
    awaitStandby(0, START_LIMIT_NS, () -> LockSupport.parkNanos(POLL_NS));
  }

  /**
   * Waits for a slave that serves and a warm standby beside it.
   *
   * @param deadPid the one killed last, which the master may not have noticed yet; 0 for none
   * @param limitNs how long
   * @param watch called between two looks; takes as long as shall lie between them, and throws when
   *     something has died that the pair does not know of
   * @return the pid of the process that serves
   */
  public int awaitStandby(final int deadPid, final long limitNs, final Runnable watch)
      throws IOException {
    final long deadlineNs = System.nanoTime() + limitNs;
    for (; ; ) {
      final int pid = activePidWithStandby(deadPid);
      if (pid != 0) {
        return pid;
      }
      if (System.nanoTime() - deadlineNs > 0) {
        throw new CommandFailedException("no warm standby in time:\n" + logTail());
      }
      watch.run();
    }
  }

  /** The last lines that master and slaves wrote. */
  public String logTail() {
    final StringBuilder text = new StringBuilder();
    appendTail(text, log);
    try (DirectoryStream<Path> slaveLogs =
        Files.newDirectoryStream(runDirectory.path().resolve("log"))) {
      for (final Path slaveLog : slaveLogs) {
        appendTail(text, slaveLog);
      }
    } catch (final IOException e) {
      text.append("(no logs of slaves: ").append(e.getMessage()).append(')');
    }
    return text.toString();
  }

  private static void appendTail(final StringBuilder text, final Path file) {
    text.append("--- ").append(file.getFileName()).append('\n');
    try {
      final List<String> lines = Files.readAllLines(file);
      for (final String line :
          lines.subList(Math.max(0, lines.size() - LOG_LINES_SHOWN), lines.size())) {
        text.append(line).append('\n');
      }
    } catch (final IOException e) {
      text.append(e.getMessage()).append('\n');
    }
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    hangUp();
    if (master != null) {
      master.destroy();
      awaitEnd(master);
      master.destroyForcibly();
    }
    Leftovers.endProcessesOf(runDirectory.path());
    try {
      final SegmentDirectory segments = runDirectory.segments();
      if (segments != null) {
        Leftovers.delete(segments.path());
      }
      Leftovers.delete(runDirectory.path());
    } catch (final IOException e) {
      System.err.println("virtnvme: cannot remove " + runDirectory.path() + ": " + e.getMessage());
    }
  }

  private static void awaitEnd(final Process process) {
    try {
      process.waitFor(STOP_LIMIT_MS, TimeUnit.MILLISECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
