package io.virtnvme.tools.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.load.LoadProgress;
import io.virtnvme.tools.pair.Leftovers;
import io.virtnvme.tools.pair.TemporaryPair;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Carries out faults, and repairs what only an operator would repair. Main thread. */
final class Faults {
  private static final Path SHM = Path.of("/dev/shm");
  private static final Path MEMORY_GROUPS = Path.of("/sys/fs/cgroup/memory");
  private static final int MEMORY_LIMIT_BYTES = 64 * 1024;
  private static final int POKES_MAX = 400;
  private static final int DEATH_LIMIT_MS = 20_000;
  private static final long SEAT_LIMIT_NS = TimeUnit.SECONDS.toNanos(30);
  private static final long JITTER_NS_MAX = TimeUnit.MILLISECONDS.toNanos(20);
  private static final long PAUSE_NS = TimeUnit.MILLISECONDS.toNanos(200);
  private static final long MASTER_PAUSE_NS = TimeUnit.MILLISECONDS.toNanos(500);
  private static final long ERRORS_NS = TimeUnit.MILLISECONDS.toNanos(300);
  private static final long POLL_NS = 200_000;

  private final ChaosSettings settings;
  private final TemporaryPair pair;
  private final List<Disk> disks;
  private final Random random;
  private final Takeovers takeovers;

  /** When the fault that is being carried out struck, CLOCK_MONOTONIC; 0 before. */
  private long struckNs;

  private String note = "";

  Faults(
      final ChaosSettings settings,
      final TemporaryPair pair,
      final List<Disk> disks,
      final Random random,
      final Takeovers takeovers) {
    this.settings = settings;
    this.pair = pair;
    this.disks = disks;
    this.random = random;
    this.takeovers = takeovers;
  }

  /** Why this machine cannot do it; empty when it can. */
  static String obstacle(final FaultKind kind, final ChaosSettings settings) {
    return switch (kind) {
      case OUT_OF_MEMORY ->
          Files.isWritable(MEMORY_GROUPS.resolve("cgroup.procs"))
              ? ""
              : "no writable memory controller of cgroup v1";
      case SHM_FULL, DISK_FULL ->
          settings.privateFolder() != null
              ? ""
              : "no mount name space of its own: other processes of the host would suffer";
      case DEVICE_ERROR -> LoopDevice.obstacle();
      default -> "";
    };
  }

  long struckNs() {
    return struckNs;
  }

  String note() {
    return note;
  }

  /**
   * Does it; the pair is as complete as it was when this returns, but for standbys.
   *
   * @param slave the active slave
   */
  void strike(final FaultKind kind, final int slave) throws IOException {
    struckNs = 0;
    note = "";
    switch (kind) {
      case NOTHING -> struck();
      case SLAVE -> killSlave(slave);
      case SLAVE_AGAIN -> killAgain(slave);
      case SLAVE_AND_STANDBY -> killAll(slavePids());
      case MASTER -> {
        killAll(List.of(pair.masterPid()));
        restartMaster();
      }
      case MASTER_THEN_SLAVE -> {
        killAll(List.of(pair.masterPid()));
        killSlave(slave);
        restartMaster();
      }
      case EVERYTHING -> {
        final List<Integer> pids = Leftovers.processesOf(pair.runDirectory().path());
        // The clients have their files in the run directory, not the directory as an argument.
        killAll(pids);
        restartMaster();
      }
      case PAUSE -> pause(slave, PAUSE_NS);
      case HANG -> hang(slave);
      case MASTER_PAUSE -> pauseMaster(slave);
      case RECONNECT -> reconnect();
      case DEVICE_ERROR -> failRequests(slave);
      case OUT_OF_MEMORY -> starveOfMemory(slave);
      case SHM_FULL -> killWhileFull(SHM, slave);
      case DISK_FULL -> killWhileFull(pair.runDirectory().path(), slave);
    }
  }

  private void struck() {
    if (struckNs == 0) {
      struckNs = System.nanoTime();
    }
  }

  private void killSlave(final int pid) {
    takeovers.expect(pid);
    final long jitterNs = (long) (random.nextDouble() * JITTER_NS_MAX);
    final long killedNs = Killer.kill(pid, settings.slaveCore(), jitterNs);
    struckNs = struckNs == 0 ? killedNs : struckNs;
  }

  private void killAgain(final int slave) throws IOException {
    try (SeatSegment seat = SeatSegment.open(pair.runDirectory().segments(), 0)) {
      killSlave(slave);
      final int successor = awaitOwnerOtherThan(seat, slave);
      takeovers.expect(successor);
      signal(successor, Processes.SIGKILL, true);
      note = "successor killed " + (System.nanoTime() - struckNs) / 1_000_000 + " ms later";
    }
  }

  private static int awaitOwnerOtherThan(final SeatSegment seat, final int pid) {
    final long limitNs = System.nanoTime() + SEAT_LIMIT_NS;
    while (seat.ownerPid() == pid) {
      if (System.nanoTime() - limitNs > 0) {
        throw new CommandFailedException("nobody took the seat of process " + pid);
      }
      LockSupport.parkNanos(POLL_NS);
    }
    return seat.ownerPid();
  }

  private List<Integer> slavePids() throws IOException {
    final List<Integer> pids = new ArrayList<>();
    for (final JsonNode slave : pair.call("virtnvme_get_slaves", null)) {
      pids.add(slave.path("pid").asInt());
    }
    return pids;
  }

  /** As near to each other as it goes. */
  private void killAll(final List<Integer> pids) {
    pids.forEach(takeovers::expect);
    final int[] fds = pids.stream().mapToInt(Processes::pidfdOpen).toArray();
    struck();
    for (final int fd : fds) {
      if (fd >= 0) {
        Processes.signal(fd, Processes.SIGKILL);
      }
    }
    for (final int fd : fds) {
      if (fd >= 0) {
        Fds.awaitReadable(fd, DEATH_LIMIT_MS);
        Fds.close(fd);
      }
    }
  }

  private void restartMaster() throws IOException {
    pair.startMaster();
    pair.awaitMaster();
  }

  /** Sends a signal; no error when the process is gone. */
  private static void signal(final int pid, final int signal, final boolean awaitDeath) {
    final int fd = Processes.pidfdOpen(pid);
    if (fd >= 0) {
      Processes.signal(fd, signal);
      if (awaitDeath) {
        Fds.awaitReadable(fd, DEATH_LIMIT_MS);
      }
      Fds.close(fd);
    }
  }

  private void pause(final int pid, final long pauseNs) {
    struck();
    signal(pid, Processes.SIGSTOP, false);
    try {
      waitFor(pauseNs);
    } finally {
      signal(pid, Processes.SIGCONT, false);
    }
  }

  private static void waitFor(final long ns) {
    final long untilNs = System.nanoTime() + ns;
    for (long leftNs = ns; leftNs > 0; leftNs = untilNs - System.nanoTime()) {
      LockSupport.parkNanos(leftNs);
    }
  }

  private void hang(final int slave) throws IOException {
    takeovers.expect(slave);
    final int fd = Processes.pidfdOpen(slave);
    try (SeatSegment seat = SeatSegment.open(pair.runDirectory().segments(), 0)) {
      struck();
      Processes.signal(fd, Processes.SIGSTOP);
      awaitOwnerOtherThan(seat, slave);
      Processes.signal(fd, Processes.SIGCONT);
      Fds.awaitReadable(fd, DEATH_LIMIT_MS);
    } finally {
      Fds.close(fd);
    }
  }

  private void pauseMaster(final int slave) {
    final int master = pair.masterPid();
    signal(master, Processes.SIGSTOP, false);
    try {
      killSlave(slave);
      waitFor(MASTER_PAUSE_NS);
    } finally {
      signal(master, Processes.SIGCONT, false);
    }
  }

  private void reconnect() {
    final Disk disk = disks.get(random.nextInt(disks.size()));
    struck();
    disk.client().progress().command(LoadProgress.COMMAND_RECONNECT);
    note = disk.name();
  }

  /** Before and after a kill: an error of the device is told once, by whichever slave has it. */
  private void failRequests(final int slave) throws IOException {
    final LoadProgress progress =
        disks.stream().filter(Disk::hasBrokenPart).findFirst().orElseThrow().client().progress();
    final long before = progress.deviceErrors();
    try (SeatSegment seat = SeatSegment.open(pair.runDirectory().segments(), 0)) {
      progress.command(LoadProgress.COMMAND_TOUCH_BROKEN);
      waitFor(ERRORS_NS);
      final long beforeKill = progress.deviceErrors();
      killSlave(slave);
      awaitOwnerOtherThan(seat, slave);
      waitFor(ERRORS_NS);
      note =
          beforeKill - before + " errors, then " + (progress.deviceErrors() - beforeKill) + " more";
    } finally {
      progress.command(LoadProgress.COMMAND_RUN);
    }
  }

  private void starveOfMemory(final int slave) throws IOException {
    final Path group = MEMORY_GROUPS.resolve("virtnvme-chaos-" + ProcessHandle.current().pid());
    Files.createDirectory(group);
    final int fd = Processes.pidfdOpen(slave);
    try {
      Files.writeString(
          group.resolve("memory.limit_in_bytes"), Integer.toString(MEMORY_LIMIT_BYTES));
      struck();
      Files.writeString(group.resolve("cgroup.procs"), Integer.toString(slave));
      for (int i = 0; i < POKES_MAX && !Fds.awaitReadable(fd, 0); i++) {
        poke(i);
      }
      if (Fds.awaitReadable(fd, 0)) {
        takeovers.expect(slave);
        note = "killed by the kernel after " + (System.nanoTime() - struckNs) / 1_000_000 + " ms";
      } else {
        note = "it needed no memory: not killed";
        Files.writeString(MEMORY_GROUPS.resolve("cgroup.procs"), Integer.toString(slave));
      }
    } finally {
      Fds.awaitReadable(fd, DEATH_LIMIT_MS / 100);
      Fds.close(fd);
      Files.delete(group);
    }
  }

  /** Gives the slave something to allocate. */
  private void poke(final int number) throws IOException {
    final String name = "poke" + number;
    pair.call(
        "bdev_null_create",
        JsonNodeFactory.instance
            .objectNode()
            .put("name", name)
            .put("num_blocks", 16)
            .put("block_size", 512));
    pair.call("bdev_null_delete", JsonNodeFactory.instance.objectNode().put("name", name));
  }

  private void killWhileFull(final Path folder, final int slave) throws IOException {
    final Path ballast = folder.resolve("ballast");
    final FileStore store = Files.getFileStore(folder);
    try (SeatSegment seat = SeatSegment.open(pair.runDirectory().segments(), 0)) {
      final int fd = Fds.open(ballast.toString(), Fds.O_RDWR | Fds.O_CREAT, 0600);
      try {
        Fds.allocate(fd, store.getUsableSpace());
      } finally {
        Fds.close(fd);
      }
      note = store.getUsableSpace() / 1024 + " KiB free";
      killSlave(slave);
      awaitOwnerOtherThan(seat, slave);
      waitFor(MASTER_PAUSE_NS);
    } finally {
      Files.deleteIfExists(ballast);
    }
  }
}
