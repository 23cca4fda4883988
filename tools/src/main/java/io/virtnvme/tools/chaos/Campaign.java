package io.virtnvme.tools.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.load.LoadProgress;
import io.virtnvme.tools.pair.Leftovers;
import io.virtnvme.tools.pair.PairRun;
import io.virtnvme.tools.pair.TemporaryPair;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * One campaign from start to end. {@link #run} on the main thread; {@link #close} from there or
 * from the shutdown hook.
 */
final class Campaign extends PairRun {
  private static final long TICK_NS = TimeUnit.SECONDS.toNanos(1);
  private static final long POLL_NS = TimeUnit.MILLISECONDS.toNanos(20);
  private static final long STANDBY_LIMIT_NS = TimeUnit.SECONDS.toNanos(180);
  private static final long SETTLE_NS = TimeUnit.MILLISECONDS.toNanos(400);
  private static final long REST_NS_MAX = TimeUnit.MILLISECONDS.toNanos(1500);

  /** A pause that begins up to this long after the fault's last step still belongs to it. */
  private static final long GAP_START_NS = TimeUnit.MILLISECONDS.toNanos(50);

  private final ChaosSettings settings;
  private final Random random;
  private final List<Disk> disks = new ArrayList<>();
  private final List<FaultResult> results = new ArrayList<>();
  private final List<Long> ticks = new ArrayList<>();
  private final Map<FaultKind, String> obstacles = new EnumMap<>(FaultKind.class);
  private final List<FaultKind> deck = new ArrayList<>();
  private final Takeovers takeovers = new Takeovers();
  private Path diskFolder;
  private volatile TemporaryPair pair;
  private Faults faults;
  private long startNs;
  private long lastTickNs;
  private long lastTickIos;

  Campaign(final ChaosSettings settings, final PrintWriter err) {
    super(err);
    this.settings = settings;
    this.random = new Random(settings.seed());
    for (final FaultKind kind : settings.kinds()) {
      final String obstacle = Faults.obstacle(kind, settings);
      if (!obstacle.isEmpty()) {
        obstacles.put(kind, obstacle);
      }
    }
    for (final DiskGroup group : DiskGroup.values()) {
      disks.add(new Disk(group, false));
      disks.add(new Disk(group, true));
    }
    if (settings.kinds().contains(FaultKind.DEVICE_ERROR)
        && !obstacles.containsKey(FaultKind.DEVICE_ERROR)) {
      disks.add(Disk.withBrokenPart());
    }
  }

  CampaignReport run() throws IOException {
    final long startedAtMs = System.currentTimeMillis();
    final Path parent =
        settings.privateFolder() == null ? Path.of("/tmp") : settings.privateFolder();
    pair =
        new TemporaryPair(
            parent,
            List.of(
                "--cores",
                Integer.toString(settings.slaveCore()),
                "--hang-limit-ms",
                Integer.toString(settings.hangLimitMs())));
    diskFolder = Files.createTempDirectory(settings.out(), "disks-");
    say("seed %d, run directory %s", settings.seed(), pair.runDirectory().path());
    pair.startMaster();
    pair.awaitMaster();
    for (final Disk disk : disks) {
      disk.create(pair, diskFolder, settings.blockCount());
    }
    pair.awaitStandby();
    for (final Disk disk : disks) {
      disk.startLoad(pair, settings.blockCount(), random.nextLong(), settings.clientCore());
    }
    Killer.practise();
    startNs = System.nanoTime();
    lastTickNs = startNs;
    faults = new Faults(settings, pair, disks, random, takeovers);
    injectUntil(startNs + TimeUnit.SECONDS.toNanos(settings.seconds()));
    countTakeovers();
    final double loadSeconds = (System.nanoTime() - startNs) / 1e9;
    say("load done; reading every disk back");
    final List<JsonNode> clients = new ArrayList<>();
    for (final Disk disk : disks) {
      clients.add(disk.client().finish());
    }
    return new CampaignReport(
        settings,
        startedAtMs,
        loadSeconds,
        disks.stream().map(Disk::name).toList(),
        clients,
        results,
        ticks,
        obstacles,
        takeovers);
  }

  private void injectUntil(final long endNs) throws IOException {
    int dead = 0;
    while (System.nanoTime() - endNs < 0) {
      final int slave = pair.awaitStandby(dead, STANDBY_LIMIT_NS, this::watch);
      final FaultKind kind = draw();
      watchFor((long) (random.nextDouble() * REST_NS_MAX));
      dead = strike(kind, slave);
    }
    pair.awaitStandby(dead, STANDBY_LIMIT_NS, this::watch);
    watchFor(TICK_NS);
  }

  /** Each kind as often as its share says, in an order that the seed decides. */
  private FaultKind draw() {
    if (deck.isEmpty()) {
      for (final FaultKind kind : settings.kinds()) {
        if (!obstacles.containsKey(kind)) {
          deck.addAll(Collections.nCopies(kind.share(), kind));
        }
      }
      if (deck.isEmpty()) {
        throw new CommandFailedException("this machine can do none of the faults: " + obstacles);
      }
      Collections.shuffle(deck, random);
    }
    return deck.remove(deck.size() - 1);
  }

  /** Returns the slave if it is dead now, which the master may not have noticed yet; else 0. */
  private int strike(final FaultKind kind, final int slave) throws IOException {
    // A master that is killed takes what it knows along.
    countTakeovers();
    faults.strike(kind, slave);
    final long struckNs = faults.struckNs();
    final long doneNs = System.nanoTime();
    for (final Disk disk : disks) {
      final LoadProgress progress = disk.client().progress();
      while (progress.lastCompletionNs() - doneNs < SETTLE_NS) {
        disk.client().check();
        LockSupport.parkNanos(POLL_NS);
      }
    }
    record(kind, struckNs, doneNs);
    return Processes.isAlive(slave) ? 0 : slave;
  }

  private void record(final FaultKind kind, final long struckNs, final long doneNs) {
    final Map<DiskGroup, FaultResult.Felt> felt = new EnumMap<>(DiskGroup.class);
    for (final DiskGroup group : DiskGroup.values()) {
      felt.put(group, felt(group, struckNs, doneNs));
    }
    final FaultResult result =
        new FaultResult(
            kind,
            results.size() + 1,
            TimeUnit.NANOSECONDS.toMillis(struckNs - startNs),
            felt,
            faults.note());
    results.add(result);
    say(
        "%7.1f s  fault %d: %s, blackout %.2f ms (memory), %.2f ms (file)%s",
        result.atMs() / 1e3,
        result.number(),
        kind.label(),
        felt.get(DiskGroup.MEMORY).blackoutMs(),
        felt.get(DiskGroup.FILE).blackoutMs(),
        result.note().isEmpty() ? "" : " (" + result.note() + ")");
  }

  private FaultResult.Felt felt(final DiskGroup group, final long struckNs, final long doneNs) {
    long blackoutNs = 0;
    final int[] counts = new int[FaultResult.BEFORE_MS + FaultResult.AFTER_MS];
    for (final Disk disk : disks) {
      if (disk.group() == group) {
        final LoadProgress progress = disk.client().progress();
        blackoutNs =
            Math.max(blackoutNs, progress.blackoutNs(struckNs, doneNs - struckNs + GAP_START_NS));
        final int[] own =
            progress.iosPerMilli(struckNs, FaultResult.BEFORE_MS, FaultResult.AFTER_MS);
        for (int i = 0; i < counts.length; i++) {
          counts[i] += own[i];
        }
      }
    }
    return new FaultResult.Felt(blackoutNs / 1e6, Arrays.stream(counts).boxed().toList());
  }

  private void countTakeovers() throws IOException {
    final int before = takeovers.unexplained().size();
    takeovers.add(pair.recoveries());
    takeovers.unexplained().stream()
        .skip(before)
        .forEach(sentence -> say("unexplained takeover: %s", sentence));
  }

  private void watch() {
    watchFor(POLL_NS);
  }

  private void watchFor(final long ns) {
    final long deadlineNs = System.nanoTime() + ns;
    for (; ; ) {
      final long nowNs = System.nanoTime();
      disks.forEach(disk -> disk.client().check());
      while (nowNs - lastTickNs >= TICK_NS) {
        tick();
      }
      final long leftNs = deadlineNs - nowNs;
      if (leftNs <= 0) {
        return;
      }
      LockSupport.parkNanos(Math.min(leftNs, POLL_NS));
    }
  }

  private void tick() {
    long ios = 0;
    for (final Disk disk : disks) {
      ios += disk.client().progress().ios();
    }
    ticks.add(ios - lastTickIos);
    lastTickIos = ios;
    lastTickNs += TICK_NS;
  }

  @Override
  protected void end() {
    disks.forEach(Disk::close);
    if (pair != null) {
      pair.close();
    }
    disks.forEach(Disk::remove);
    try {
      if (diskFolder != null) {
        Leftovers.delete(diskFolder);
      }
    } catch (final IOException e) {
      complain("cannot remove " + diskFolder + ": " + e.getMessage());
    }
  }
}
