package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.sys.Threads;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** P4: a slave that stands still is replaced, and can do nothing any more when it wakes up. */
class HungSlaveTest {
  private static final int HANG_LIMIT_MS = 1000;
  private static final Duration REPLACED_LIMIT = Duration.ofSeconds(30);
  private static final int WAKINGS = 4;
  private static final int HOGS_PER_CORE = 3;
  private static final int HANG_LIMITS_BESIDE_HOGS = 5;
  private static final int STARVED_HANG_LIMIT_MS = 400;
  private static final int STARVED_PERIOD_US = 1_000_000;
  private static final int STARVED_QUOTA_US = 1_000;
  private static final long WAKE_EVERY_NS = 200_000;
  private static final long QUIET_NS = TimeUnit.MILLISECONDS.toNanos(1500);

  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair start(final PairOptions options, final String bdev) {
    final Pair pair = pairs.start(options);
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", LoadOptions.BLOCK_COUNT);
    }
    pair.createController("vm", "disk", false);
    return pair;
  }

  private LoadProcess load(final Pair pair) {
    return pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()));
  }

  private static PairOptions options() {
    return PairOptions.ofFirstCompiler().withHangLimitMs(HANG_LIMIT_MS);
  }

  private static void awaitOwnerOtherThan(final SeatSegment seat, final int pid) {
    Waiting.until("another slave owns the seat", REPLACED_LIMIT, () -> seat.ownerPid() != pid);
  }

  private static JsonNode finish(final LoadProcess load) {
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertEquals(LoadOptions.BLOCK_COUNT, result.path("readBackBlocks").asLong());
    assertEquals(0, result.path("reconnects").asLong(), "the connection must survive");
    return result;
  }

  @ParameterizedTest
  @ValueSource(strings = {"mem", "uring"})
  void shouldReplaceASlaveThatIsStoppedAndSaveTheEvidence(final String bdev) throws IOException {
    final Pair pair = start(options(), bdev);
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = load(pair);
    try (Victim zombie = Victim.of(slave);
        SeatSegment seat = pair.openSeat()) {
      final ReactorTask reactor = ReactorTask.of(slave);
      zombie.signal(Processes.SIGSTOP);
      final long stoppedNs = System.nanoTime();
      awaitOwnerOtherThan(seat, slave);
      final long replacedNs = System.nanoTime();
      assertTrue(reactor.isGone(), "the seat was taken while its reactor could still run");
      zombie.signal(Processes.SIGCONT);
      zombie.awaitDeath();
      load.awaitIos(5000);
      System.out.printf(
          "%s disk: replaced %d ms after SIGSTOP, limit %d ms%n",
          bdev, TimeUnit.NANOSECONDS.toMillis(replacedNs - stoppedNs), HANG_LIMIT_MS);
    }
    finish(load);
    pair.activePidWithStandbys(1, slave);
    final JsonNode recovery = pair.recoveries().path(0);
    assertEquals("hung", recovery.path("cause").asText(), recovery::toString);
    assertEquals(slave, recovery.path("dead_pid").asInt(), recovery::toString);
    assertTrue(recovery.path("warm").asBoolean(), recovery::toString);
    final Path evidence = checkEvidence(pair, recovery, slave);
    assertTrue(Files.readString(evidence.resolve("process.txt")).contains("T (stopped)"));
    assertTrue(Files.readString(evidence.resolve("threads.txt")).startsWith("not asked"));
  }

  /** Named in the recovery, complete, and about that process. */
  private static Path checkEvidence(final Pair pair, final JsonNode recovery, final int slave)
      throws IOException {
    final Path evidence = Path.of(recovery.path("evidence").asText());
    assertEquals(pair.path().resolve("evidence"), evidence.getParent(), recovery::toString);
    final String process = Files.readString(evidence.resolve("process.txt"));
    assertTrue(process.contains("=== thread") && process.contains("reactor-0"), process);
    assertTrue(process.contains("\nPid:\t" + slave + "\n"), process);
    final JsonNode report = new ObjectMapper().readTree(evidence.resolve("report.json").toFile());
    assertEquals(slave, report.path("pid").asInt(), report::toString);
    assertTrue(report.path("reactors").path(0).path("duty_cycles").asLong() > 0, report::toString);
    assertTrue(report.path("counters").path("slaves_suspected").asLong() > 0, report::toString);
    final String events = Files.readString(evidence.resolve("events.txt"));
    assertTrue(events.contains("seat_taken"), events);
    assertTrue(Files.size(evidence.resolve("slave.log")) > 0);
    assertTrue(pair.logText().contains("evidence in " + evidence), "the log names the folder");
    return evidence;
  }

  @Test
  @EnabledForJreRange(max = JRE.JAVA_19, disabledReason = "threads cannot be suspended since 20")
  void shouldSaveWhatTheThreadsOfAHungSlaveWereDoing() throws IOException {
    final Pair pair = start(options().withMain(FragileMaster.class), "mem");
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = load(pair);
    try (SeatSegment seat = pair.openSeat()) {
      Files.writeString(pair.path().resolve("die"), "hang");
      awaitOwnerOtherThan(seat, slave);
    }
    load.awaitIos(5000);
    finish(load);
    pair.activePidWithStandbys(0, slave);
    final JsonNode recovery = pair.recoveries().path(0);
    assertEquals("hung", recovery.path("cause").asText(), recovery::toString);
    final Path evidence = checkEvidence(pair, recovery, slave);
    final String threads = Files.readString(evidence.resolve("threads.txt"));
    assertTrue(threads.contains("\"reactor-0\""), threads);
    assertTrue(threads.contains("io.virtnvme.slave.reactor.SeatThread.run"), threads);
  }

  /**
   * The slave sleeps about as long as it takes to be given up, then somebody wakes it up again and
   * again, until it lives or is dead: whichever comes first, the disk must not notice.
   */
  @Test
  void shouldLoseNothingWhenASlaveWakesUpWhileItIsReplaced() {
    final Pair pair = start(PairOptions.usual().withHangLimitMs(HANG_LIMIT_MS), "mem");
    final LoadProcess load = load(pair);
    int replaced = 0;
    int dead = 0;
    for (int i = 0; i < WAKINGS; i++) {
      final int slave = load.awaitStandbys(pair, 1, dead);
      final long asleepNs =
          TimeUnit.MILLISECONDS.toNanos(HANG_LIMIT_MS * 9 / 10 + pairs.random().nextInt(400));
      if (isReplacedWhileItIsWokenUp(pair, slave, asleepNs)) {
        replaced++;
        dead = slave;
      }
      load.awaitIos(2000);
    }
    System.out.printf("woken up %d times, %d times too late%n", WAKINGS, replaced);
    finish(load);
    assertEquals(replaced, pair.recoveries().size());
  }

  private static boolean isReplacedWhileItIsWokenUp(
      final Pair pair, final int slave, final long asleepNs) {
    try (Victim sleeper = Victim.of(slave);
        SeatSegment seat = pair.openSeat()) {
      final ReactorTask reactor = ReactorTask.of(slave);
      sleeper.signal(Processes.SIGSTOP);
      final long untilNs = System.nanoTime() + asleepNs;
      final long limitNs = System.nanoTime() + REPLACED_LIMIT.toNanos();
      while (System.nanoTime() - untilNs < 0) {
        LockSupport.parkNanos(WAKE_EVERY_NS);
      }
      final long stoppedBeatNs = seat.heartbeatNs(0);
      while (seat.ownerPid() == slave && seat.heartbeatNs(0) == stoppedBeatNs) {
        assertTrue(System.nanoTime() - limitNs < 0, "neither awake nor replaced");
        sleeper.signal(Processes.SIGCONT);
        LockSupport.parkNanos(WAKE_EVERY_NS);
      }
      if (seat.ownerPid() == slave && Processes.isAlive(slave)) {
        // It moved first. The verdict may still have been on its way to it.
        return Waiting.holdsWithin(
            Duration.ofMillis(HANG_LIMIT_MS), () -> !Processes.isAlive(slave));
      }
      awaitOwnerOtherThan(seat, slave);
      assertTrue(reactor.isGone(), "the seat was taken while its reactor could still run");
      return true;
    }
  }

  /**
   * SIGKILL is not death. A reactor that the kernel keeps frozen survives it, and until it is gone
   * nobody may touch its rings: the guest waits.
   */
  @ParameterizedTest
  @Tag("once")
  @ValueSource(strings = {"mem", "uring"})
  void shouldNotBeReplacedBeforeItIsDead(final String bdev) {
    Assumptions.assumeTrue(
        ControlGroup.isAvailable("freezer", "freezer.state"),
        "no freezer of cgroup v1: a killed thread cannot be kept from dying");
    final Pair pair = start(options(), bdev);
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = load(pair);
    final ReactorTask reactor = ReactorTask.of(slave);
    try (Victim zombie = Victim.of(slave);
        SeatSegment seat = pair.openSeat();
        ControlGroup freezer = ControlGroup.create("freezer")) {
      freezer.addThread(reactor.tid());
      freezer.set("freezer.state", "FROZEN");
      try {
        Waiting.until("it is killed", REPLACED_LIMIT, () -> pair.counter("slaves_killed") == 1);
        final long ios = load.progress().ios();
        final long quietUntilNs = System.nanoTime() + QUIET_NS;
        while (System.nanoTime() - quietUntilNs < 0) {
          assertEquals(slave, seat.ownerPid(), "the seat was taken from a living reactor");
          LockSupport.parkNanos(WAKE_EVERY_NS);
        }
        assertTrue(!reactor.isGone(), "it died although it was frozen: nothing was tested");
        assertEquals(ios, load.progress().ios(), "somebody else served its rings");
      } finally {
        freezer.set("freezer.state", "THAWED");
      }
      awaitOwnerOtherThan(seat, slave);
      zombie.awaitDeath();
    }
    load.awaitIos(5000);
    finish(load);
    // What guests feel does not wait for the master, which hears of a takeover from the successor.
    Waiting.until("the takeover is told", REPLACED_LIMIT, () -> !pair.recoveries().isEmpty());
    assertEquals("hung", pair.recoveries().path(0).path("cause").asText());
  }

  @Test
  @Tag("once")
  void shouldNotTakeABusyMachineForAHungSlave() {
    final Pair pair = start(options(), "mem");
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = load(pair);
    final AtomicBoolean enough = new AtomicBoolean();
    final List<Thread> hogs = new ArrayList<>();
    for (int i = 0; i < HOGS_PER_CORE * Runtime.getRuntime().availableProcessors(); i++) {
      hogs.add(hog(i % Runtime.getRuntime().availableProcessors(), enough));
    }
    try {
      final long untilNs =
          System.nanoTime()
              + TimeUnit.MILLISECONDS.toNanos((long) HANG_LIMITS_BESIDE_HOGS * HANG_LIMIT_MS);
      do {
        load.awaitIos(1000);
      } while (System.nanoTime() - untilNs < 0);
    } finally {
      enough.set(true);
    }
    finish(load);
    assertEquals(slave, pair.activePid());
    assertEquals(0, pair.counter("slaves_killed"));
    assertEquals(0, pair.recoveries().size());
    System.out.printf(
        "beside %d hogs: suspected %d times, starving %d times%n",
        hogs.size(), pair.counter("slaves_suspected"), pair.counter("slaves_starved"));
  }

  private static Thread hog(final int core, final AtomicBoolean enough) {
    final Thread thread =
        new Thread(
            () -> {
              Threads.pinTo(core);
              while (!enough.get()) {
                Thread.onSpinWait();
              }
            },
            "hog");
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  /** It wants to run and may not: a successor could not do better. */
  @Test
  @Tag("once")
  void shouldSpareASlaveThatGetsNoCore() {
    Assumptions.assumeTrue(
        ControlGroup.isAvailable("cpu", "cpu.cfs_quota_us"),
        "no cpu controller of cgroup v1: a process cannot be starved");
    final Pair pair =
        start(PairOptions.ofFirstCompiler().withHangLimitMs(STARVED_HANG_LIMIT_MS), "mem");
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = load(pair);
    try (ControlGroup group = ControlGroup.create("cpu")) {
      group.set("cpu.cfs_period_us", Integer.toString(STARVED_PERIOD_US));
      group.set("cpu.cfs_quota_us", Integer.toString(STARVED_QUOTA_US));
      group.addProcess(slave);
      Waiting.until(
          "it starves", REPLACED_LIMIT, () -> pair.counter("slaves_starved") > 0 || isKilled(pair));
      assertEquals(0, pair.counter("slaves_killed"), "a starved slave was killed");
      group.set("cpu.cfs_quota_us", "-1");
    }
    load.awaitIos(5000);
    finish(load);
    assertEquals(slave, pair.activePid());
    assertNotEquals(0, pair.counter("slaves_suspected"));
    assertEquals(0, pair.recoveries().size());
  }

  private static boolean isKilled(final Pair pair) {
    return pair.counter("slaves_killed") > 0;
  }
}
