package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.chaos.guest.Disk;
import io.virtnvme.chaos.guest.Guest;
import io.virtnvme.chaos.guest.GuestBuilder;
import io.virtnvme.chaos.guest.GuestImages;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.tools.pair.Leftovers;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A pair and a stock guest whose disks it serves, for all tests of a class. What they leave behind
 * when a test fails goes to {@code target/evidence/CLASS}. One thread.
 */
final class GuestRig implements AfterTestExecutionCallback, AfterAllCallback {
  static final int QUEUES = 2;
  static final int FEATURE_RING_PACKED = 34;
  static final Duration SHORT = Duration.ofSeconds(60);
  static final Duration LONG = Duration.ofMinutes(3);

  private static final long FILL_NS = TimeUnit.MILLISECONDS.toNanos(80);
  private static final int BUSY_MS = 4;
  private static final long BUSY_NS_MAX = 250_000;

  /** A standby warms up beside a guest on two cores. */
  private static final List<String> UPGRADE_OPTIONS =
      List.of("--warm-limit", "120", "--slaves-only");

  private static final Duration STOPPED_LIMIT = Duration.ofSeconds(8);
  private static final Duration PROGRESS_LIMIT = Duration.ofSeconds(60);

  private final long seed = Long.getLong("virtnvme.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private final Map<Long, JsonNode> recoveries = new TreeMap<>();
  private Path directory;
  private Path guestDirectory;
  private int guestCount;
  private Pair pair;
  private Guest guest;
  private OtherInstallation other;
  private boolean hasVfioUser;
  private int deadPid;

  /** Starts the pair; disks and the guest are next. */
  Pair startPair() {
    try {
      // Short: the sockets below it must fit 107 bytes.
      directory = Files.createTempDirectory(Path.of("/tmp"), "vg-");
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    pair = Pair.start(PairOptions.usual());
    return pair;
  }

  /** Boots a guest with these disks once the pair is warm. */
  Guest boot(final List<Disk> disks) {
    return boot(builder -> disks.forEach(builder::disk));
  }

  /** Boots a guest with what is plugged in once the pair is warm; the one before must be gone. */
  Guest boot(final Consumer<GuestBuilder> plugIn) {
    pair.activePidWithStandbys(1, deadPid);
    final GuestImages images = GuestImages.in(GuestImages.defaultDirectory());
    guestDirectory = directory.resolve("g" + guestCount++);
    final GuestBuilder builder = Guest.builder(images, guestDirectory);
    plugIn.accept(builder);
    guest = builder.boot();
    return guest;
  }

  /** A directory of its own for the socket of an NVMe subsystem. */
  Path newListenerDirectory(final String name) {
    hasVfioUser = true;
    try {
      return Files.createDirectory(directory.resolve(name));
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A disk at a controller's socket; it connects again when everything on our side has died. */
  Disk disk(final String controller) {
    return Disk.of(Path.of(pair.socket(controller))).queues(QUEUES).reconnect(1);
  }

  Pair pair() {
    return pair;
  }

  Guest guest() {
    return guest;
  }

  Random random() {
    return random;
  }

  long seed() {
    return seed;
  }

  /** Waits for a random time up to a limit: the instant of the next kill. */
  void pauseAtRandom(final int limitMs) {
    LockSupport.parkNanos((long) (random.nextDouble() * TimeUnit.MILLISECONDS.toNanos(limitMs)));
  }

  /** The slave that serves, once as many warm standbys as wanted are there. */
  int awaitSlave(final int standbyCount) {
    if (standbyCount > 0 && !hasVfioUser) {
      warmUpBesideAStoppedGuest(standbyCount);
    }
    return pair.activePidWithStandbys(standbyCount, deadPid);
  }

  /**
   * An emulated processor leaves a standby little of two cores. The guest stands still meanwhile,
   * with its requests where they are, but not for so long that its kernel takes a core for hung.
   * Not over vfio-user: QEMU gives up a device when it has waited 5 s for an answer, its own stop
   * included.
   */
  private void warmUpBesideAStoppedGuest(final int standbyCount) {
    try (Victim qemu = Victim.of(Math.toIntExact(guest.pid()))) {
      qemu.signal(Processes.SIGSTOP);
      try {
        pair.isWarmWithin(STOPPED_LIMIT, standbyCount, deadPid);
      } finally {
        qemu.signal(Processes.SIGCONT);
      }
    }
  }

  /** SIGKILL to the slave that serves, at a random instant within the limit. */
  void killSlave(final int standbyCount, final int limitMs) {
    final int active = awaitSlave(standbyCount);
    pauseAtRandom(limitMs);
    Victim.kill(active);
    deadPid = active;
  }

  /**
   * SIGKILL to the slave that serves while it works through full rings: software emulation keeps a
   * guest so slow that they are nearly empty at most instants.
   */
  void killBusySlave(final int limitMs) {
    final int active = awaitSlave(1);
    pauseAtRandom(limitMs);
    pair.killAtWork(
        active, () -> LockSupport.parkNanos(FILL_NS), (long) (random.nextDouble() * BUSY_NS_MAX));
    deadPid = active;
  }

  /** Holds the slave up for a moment, much shorter than a hang, while the guest goes on asking. */
  private void fillRings(final Victim slave) {
    slave.signal(Processes.SIGSTOP);
    LockSupport.parkNanos(FILL_NS);
    slave.signal(Processes.SIGCONT);
  }

  /** SIGKILL to the slave that serves and to its standby at the same time. */
  void killSlaveAndStandby(final int limitMs) {
    final int active = awaitSlave(1);
    final List<Integer> pids = pair.slaves().stream().map(SlaveView::pid).toList();
    pauseAtRandom(limitMs);
    pair.killTogether(pids);
    deadPid = active;
  }

  /**
   * SIGKILL to every process of the pair at the same time, while the slave works through full
   * rings; then a new master.
   */
  void killEverything(final int limitMs) {
    final int active = awaitSlave(1);
    rememberRecoveries();
    final List<Integer> pids = pair.pids();
    pauseAtRandom(limitMs);
    try (Victim slave = Victim.of(active)) {
      fillRings(slave);
    }
    pauseAtRandom(BUSY_MS);
    pair.killTogether(pids);
    pair.startMaster();
  }

  /** Moves the slaves to another build, which is there until the rig ends. */
  void upgrade(final int limitMs) {
    awaitSlave(1);
    other = OtherInstallation.with(OtherInstallation.VERSION, List.of());
    pauseAtRandom(limitMs);
    Upgrading.run(pair, other.path(), UPGRADE_OPTIONS).result();
  }

  /** The master forgets what it saw when it dies. */
  void rememberRecoveries() {
    pair.recoveries().forEach(node -> recoveries.put(node.path("time_ms").asLong(), node));
  }

  /** All takeovers so far, the oldest first. */
  List<JsonNode> recoveries() {
    rememberRecoveries();
    return List.copyOf(recoveries.values());
  }

  /** Returns when the guest has seen requests of each of its devices complete since the call. */
  void awaitProgressInGuest(final List<String> devices) {
    for (final String device : devices) {
      final long before = completedInGuest(device);
      Waiting.until(
          "requests of " + device + " complete",
          PROGRESS_LIMIT,
          () -> completedInGuest(device) > before);
    }
  }

  /** Reads and writes of a block device, the first and the fifth column of its counters. */
  private long completedInGuest(final String device) {
    final String name = device.substring(device.lastIndexOf('/') + 1);
    final String sum = "awk '{print $1 + $5}' /sys/block/" + name + "/stat";
    return Long.parseLong(guest.run(sum, SHORT).orThrow());
  }

  /** Returns when each of the disks has completed requests since the call. */
  void awaitProgress(final List<String> bdevs) {
    for (final String bdev : bdevs) {
      final long before = completed(bdev);
      Waiting.until(
          "requests of " + bdev + " complete", PROGRESS_LIMIT, () -> completed(bdev) > before);
    }
  }

  private long completed(final String bdev) {
    final JsonNode counts =
        pair.call("bdev_get_iostat", Json.of("name", bdev)).path("bdevs").path(0);
    return counts.path("num_read_ops").asLong() + counts.path("num_write_ops").asLong();
  }

  @Override
  public void afterTestExecution(final ExtensionContext context) {
    context.getExecutionException().ifPresent(failure -> keepEvidence(context, failure));
  }

  private void keepEvidence(final ExtensionContext context, final Throwable failure) {
    final Path target =
        GuestImages.defaultDirectory()
            .resolveSibling("evidence")
            .resolve(context.getRequiredTestClass().getSimpleName());
    System.err.println(
        context.getDisplayName() + " failed: -Dvirtnvme.seed=" + seed + ", evidence in " + target);
    try {
      Leftovers.delete(target);
      Files.createDirectories(target);
      Files.writeString(target.resolve("failure.txt"), "seed " + seed + "\n" + failure + "\n");
      if (pair != null) {
        Files.writeString(target.resolve("pair.txt"), pair.evidence());
        Files.writeString(target.resolve("master.log"), pair.logText());
      }
      if (guest != null) {
        for (final String log : List.of("command", "qemu.log", "console.log")) {
          Files.copy(guestDirectory.resolve(log), target.resolve(log));
        }
        Files.writeString(target.resolve("dmesg"), guest.dmesg());
      }
    } catch (final IOException | RuntimeException e) {
      System.err.println("evidence is not complete: " + e.getMessage());
    }
  }

  @Override
  public void afterAll(final ExtensionContext context) throws IOException {
    context.getExecutionException().ifPresent(failure -> keepEvidence(context, failure));
    try {
      if (guest != null) {
        guest.close();
      }
    } finally {
      try {
        if (pair != null) {
          pair.close();
        }
      } finally {
        if (other != null) {
          other.close();
        }
        if (directory != null) {
          Leftovers.delete(directory);
        }
      }
    }
  }
}
