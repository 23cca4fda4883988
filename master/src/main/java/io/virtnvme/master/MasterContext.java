package io.virtnvme.master;

import io.virtnvme.ipc.relay.Build;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.master.nvme.HostPaths;
import io.virtnvme.master.relay.DescriptorStore;
import io.virtnvme.master.supervisor.OsProcessTable;
import io.virtnvme.master.supervisor.ProcessTable;
import io.virtnvme.master.supervisor.SupervisorConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * Settings of a master. Setters are fluent; {@link #conclude} runs once, checks the ranges and
 * fills in what is missing; nothing reads a system property afterwards. One thread.
 */
public final class MasterContext {
  /** Where everything of an instance lies, unless told otherwise. */
  public static final Path RUN_DIRECTORY_DEFAULT = Path.of("/run/virtnvme");

  private static final int CORE_MAX = 1023;
  private static final int STANDBY_COUNT_MAX = 8;

  private Path runDirectory = RUN_DIRECTORY_DEFAULT;
  private List<Integer> cores = List.of(-1);
  private int slaveCount = 1;
  private int standbyCount = 1;
  private Path configFile;
  private List<String> slaveCommand;
  private long idleSpinNs = TimeUnit.MICROSECONDS.toNanos(50);
  private long serviceNsMin = TimeUnit.MILLISECONDS.toNanos(250);
  private int failuresMax = 5;
  private long restartDelayNs = TimeUnit.MILLISECONDS.toNanos(100);
  private long restartDelayNsMax = TimeUnit.SECONDS.toNanos(5);
  private long takeoverNsMax = TimeUnit.SECONDS.toNanos(1);
  private long standbyStartDelayNs = TimeUnit.MILLISECONDS.toNanos(300);
  private long adoptionNsMax = TimeUnit.SECONDS.toNanos(1);
  private long hangNsMax = TimeUnit.SECONDS.toNanos(1);
  private long stuckNsMax = TimeUnit.SECONDS.toNanos(5);
  private long answerNsMax = TimeUnit.SECONDS.toNanos(10);
  private long stopNsMax = TimeUnit.SECONDS.toNanos(10);
  private boolean leaveSlavesOnStop;
  private boolean keepMemDisksOnStop;
  private ProcessTable processes = new OsProcessTable();
  private HostPaths hostPaths = HostPaths.SYSTEM;
  private LongSupplier nanoClock = System::nanoTime;
  private LongSupplier wallClockMs = System::currentTimeMillis;
  private String version;
  private DescriptorStore descriptorStore = DescriptorStore.NONE;
  private String lastUpgrade = "";
  private boolean replaceable;
  private boolean concluded;

  /** Folder of sockets, lock, registry and logs; made if it is missing. Default /run/virtnvme. */
  public MasterContext runDirectory(final Path directory) {
    runDirectory = directory;
    return this;
  }

  public Path runDirectory() {
    return runDirectory;
  }

  /** One reactor per entry: the core it is pinned to, or -1. Default: one reactor, not pinned. */
  public MasterContext cores(final List<Integer> reactorCores) {
    cores = List.copyOf(reactorCores);
    return this;
  }

  public List<Integer> cores() {
    return cores;
  }

  /** Slave processes that serve, each with its share of the cores. Default 1. */
  public MasterContext slaveCount(final int count) {
    slaveCount = count;
    return this;
  }

  public int slaveCount() {
    return slaveCount;
  }

  /** Warm slaves that wait for another one's death, 0 to 8. Default 1. */
  public MasterContext standbyCount(final int count) {
    standbyCount = count;
    return this;
  }

  public int standbyCount() {
    return standbyCount;
  }

  /** Calls to make after the start, in SPDK's configuration form. Default: none. */
  public MasterContext configFile(final Path file) {
    configFile = file;
    return this;
  }

  public Path configFile() {
    return configFile;
  }

  /**
   * Starts a slave; {@code --slave-of DIR} is appended. Default: as this process was started, with
   * the slave's main class.
   */
  public MasterContext slaveCommand(final List<String> command) {
    slaveCommand = List.copyOf(command);
    return this;
  }

  /** How long a reactor without work spins before it sleeps. Default 50 us. */
  public MasterContext idleSpinNs(final long ns) {
    idleSpinNs = ns;
    return this;
  }

  /** A slave that owned a seat for less counts as a failure. Default 250 ms. */
  public MasterContext serviceNsMin(final long ns) {
    serviceNsMin = ns;
    return this;
  }

  /** Failures in a row until a seat, or the standbys, are given up. Default 5. */
  public MasterContext failuresMax(final int count) {
    failuresMax = count;
    return this;
  }

  /** Pause before the second restart in a row, and the longest; it doubles. Default 100 ms, 5 s. */
  public MasterContext restartDelayNs(final long firstNs, final long longestNs) {
    restartDelayNs = firstNs;
    restartDelayNsMax = longestNs;
    return this;
  }

  /** A standby must have taken a dead slave's seat by then. Default 1 s. */
  public MasterContext takeoverNsMax(final long ns) {
    takeoverNsMax = ns;
    return this;
  }

  /** Pause between a takeover and the start of the next standby. Default 50 ms. */
  public MasterContext standbyStartDelayNs(final long ns) {
    standbyStartDelayNs = ns;
    return this;
  }

  /** How long a new master waits for the living slaves of the one before. Default 1 s. */
  public MasterContext adoptionNsMax(final long ns) {
    adoptionNsMax = ns;
    return this;
  }

  /** A polling reactor that gives no heartbeat for so long is killed; 0 = never. Default 1 s. */
  public MasterContext hangNsMax(final long ns) {
    hangNsMax = ns;
    return this;
  }

  /** A slave that reads none of the master's messages for so long is killed. Default 5 s. */
  public MasterContext stuckNsMax(final long ns) {
    stuckNsMax = ns;
    return this;
  }

  /** A slave told to end is killed after this time. Default 10 s. */
  public MasterContext stopNsMax(final long ns) {
    stopNsMax = ns;
    return this;
  }

  /** {@link Master#close} leaves slaves and guests running, for the next master. Default false. */
  public MasterContext leaveSlavesOnStop(final boolean leave) {
    leaveSlavesOnStop = leave;
    return this;
  }

  public boolean leaveSlavesOnStop() {
    return leaveSlavesOnStop;
  }

  /** {@link Master#close} keeps what memory disks hold, for the next start. Default false. */
  public MasterContext keepMemDisksOnStop(final boolean keep) {
    keepMemDisksOnStop = keep;
    return this;
  }

  public boolean keepMemDisksOnStop() {
    return keepMemDisksOnStop;
  }

  /** Where the kernel shows its devices. */
  public MasterContext hostPaths(final HostPaths paths) {
    hostPaths = paths;
    return this;
  }

  /** The operating system's processes. */
  public MasterContext processes(final ProcessTable table) {
    processes = table;
    return this;
  }

  /** Keeps descriptors that no slave can hand back. Default: none are kept. */
  public MasterContext descriptorStore(final DescriptorStore store) {
    descriptorStore = store;
    return this;
  }

  /** Why another build did not become the master; shown to clients. Default: empty. */
  public MasterContext lastUpgrade(final String failure) {
    lastUpgrade = failure;
    return this;
  }

  /** Whether another build may take the place of this process's master. Default false. */
  public MasterContext replaceable(final boolean is) {
    replaceable = is;
    return this;
  }

  boolean isReplaceable() {
    return replaceable;
  }

  String lastUpgrade() {
    return lastUpgrade;
  }

  /** Monotonic clock; heartbeats are compared with it. */
  public MasterContext nanoClock(final LongSupplier clock) {
    nanoClock = clock;
    return this;
  }

  LongSupplier nanoClock() {
    return nanoClock;
  }

  /**
   * Time of day, milliseconds since the epoch: registry and history date their entries by it, and
   * may be given one that jumps. Default: the machine's.
   */
  public MasterContext wallClockMs(final LongSupplier clock) {
    wallClockMs = clock;
    return this;
  }

  LongSupplier wallClockMs() {
    return wallClockMs;
  }

  /** Version of this build as {@code major.minor.patch[-suffix]}. Default: the jar's. */
  public MasterContext version(final String buildVersion) {
    version = buildVersion;
    return this;
  }

  public String version() {
    return version;
  }

  /**
   * Checks and completes the settings; called by {@link Master#launch}.
   *
   * @throws StartRefusedException for a value out of range
   */
  void conclude() {
    if (concluded) {
      throw new IllegalStateException("a context serves one master only: make a new one");
    }
    concluded = true;
    runDirectory = runDirectory.toAbsolutePath().normalize();
    require(!cores.isEmpty() && cores.size() <= SeatSegment.REACTOR_COUNT_MAX, "cores", cores);
    for (final int core : cores) {
      require(core >= -1 && core <= CORE_MAX, "core", core);
    }
    final List<Integer> pinned = cores.stream().filter(core -> core >= 0).toList();
    require(new HashSet<>(pinned).size() == pinned.size(), "cores (one is twice)", cores);
    require(slaveCount >= 1 && slaveCount <= cores.size(), "slaves (1 to cores)", slaveCount);
    require(standbyCount >= 0 && standbyCount <= STANDBY_COUNT_MAX, "standby", standbyCount);
    require(failuresMax >= 1, "failuresMax", failuresMax);
    require(idleSpinNs >= 0, "idleSpinNs", idleSpinNs);
    require(restartDelayNs > 0 && restartDelayNsMax >= restartDelayNs, "delay", restartDelayNs);
    require(hangNsMax >= 0, "hangNsMax", hangNsMax);
    require(slaveCommand == null || !slaveCommand.isEmpty(), "slave command", slaveCommand);
    if (slaveCommand == null) {
      slaveCommand = SlaveCommand.likeThisProcess();
    }
    if (version == null) {
      version = Build.version();
    }
  }

  private static void require(final boolean holds, final String name, final Object value) {
    if (!holds) {
      throw new StartRefusedException(name + " is out of range: " + value);
    }
  }

  private List<List<Integer>> seats() {
    final List<List<Integer>> seats = new ArrayList<>();
    for (int seat = 0; seat < slaveCount; seat++) {
      seats.add(
          cores.subList(cores.size() * seat / slaveCount, cores.size() * (seat + 1) / slaveCount));
    }
    return seats;
  }

  SupervisorConfig supervisorConfig(final SegmentDirectory segments) {
    return new SupervisorConfig(
        runDirectory,
        segments,
        seats(),
        standbyCount,
        slaveCommand,
        idleSpinNs,
        serviceNsMin,
        failuresMax,
        restartDelayNs,
        restartDelayNsMax,
        takeoverNsMax,
        standbyStartDelayNs,
        adoptionNsMax,
        hangNsMax,
        stuckNsMax,
        answerNsMax,
        stopNsMax,
        processes,
        nanoClock,
        version,
        descriptorStore,
        hostPaths);
  }

  /** What a log shows at the start. */
  @Override
  public String toString() {
    return "master of "
        + runDirectory
        + ": version="
        + version
        + " cores="
        + cores
        + " slaves="
        + slaveCount
        + " standbys="
        + standbyCount
        + " slave="
        + slaveCommand.get(slaveCommand.size() - 1);
  }
}
