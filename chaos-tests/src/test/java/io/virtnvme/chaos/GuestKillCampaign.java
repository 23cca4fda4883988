package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.chaos.guest.CommandResult;
import io.virtnvme.chaos.guest.FioJob;
import io.virtnvme.chaos.guest.FioResult;
import io.virtnvme.chaos.guest.Guest;
import io.virtnvme.chaos.guest.RequiresGuest;
import io.virtnvme.chaos.guest.Running;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * A stock guest with a memory disk and a file disk works on both at once while the pair under it is
 * killed: P1, P2 and P3 as a guest sees them.
 */
@RequiresGuest
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class GuestKillCampaign {
  private static final String MEM = "mem0";
  private static final String FILE = "file0";
  private static final List<String> BDEVS = List.of(MEM, FILE);
  private static final int DISK_MIB = 128;
  private static final int INSTANT_MS_MAX = 1200;
  private static final int MASTER_AWAY_MS_MAX = 400;

  /** What dies at one instant. */
  private enum Blow {
    /** The slave; a warm standby waits. */
    SLAVE,
    /** The same while it works through full rings. */
    BUSY_SLAVE,
    /** The slave as soon as there is one again: its successor may have to start cold. */
    SLAVE_AT_ONCE,
    SLAVE_AND_STANDBY,
    MASTER,
    /** The slave while there is no master. */
    MASTER_THEN_SLAVE,
    EVERYTHING,
    /** Nothing dies: slaves move to another build. */
    UPGRADE
  }

  @RegisterExtension final GuestRig rig = new GuestRig();

  private final GuestFrontEnd frontEnd;

  GuestKillCampaign(final GuestFrontEnd frontEnd) {
    this.frontEnd = frontEnd;
  }

  @BeforeAll
  void boot() {
    final Pair pair = rig.startPair();
    // The two block sizes that disks have.
    pair.call(
        "bdev_malloc_create",
        Json.of("name", MEM, "block_size", 512, "num_blocks", DISK_MIB * 2048));
    pair.createFileDisk(FILE, DISK_MIB * 256);
    frontEnd.boot(rig, BDEVS);
  }

  @Test
  void shouldCompleteAndVerifyAllIoWhateverIsKilled() {
    final Guest guest = rig.guest();
    final List<Blow> plan = plan();
    System.out.println("guest campaign: " + frontEnd.name() + " seed=" + rig.seed() + " " + plan);
    final List<FioResult> before = frontEnd.devices().stream().map(this::readAtDepth).toList();
    final List<FioRounds> rounds =
        frontEnd.devices().stream()
            .map(
                d ->
                    new FioRounds(guest, FioJob.mixedVerify(d).region("0", "32m").loops(3).build()))
            .toList();
    frontEnd.awaitProgress(rig, BDEVS);
    String qemuLog = guest.qemuLog();
    for (final Blow blow : plan) {
      strike(blow);
      final long struckNs = System.nanoTime();
      frontEnd.awaitProgress(rig, BDEVS);
      System.out.printf("  %s: both disks go on after %d ms%n", blow, elapsedMs(struckNs));
      rounds.forEach(FioRounds::check);
      if (blow == Blow.EVERYTHING) {
        // QEMU tells that it lost its connections, this once.
        qemuLog = guest.qemuLog();
      }
      assertEquals(qemuLog, guest.qemuLog(), () -> "QEMU must not notice: " + blow);
    }
    final List<FioRounds.Total> totals = FioRounds.finishAll(rounds);
    final List<FioResult> after = frontEnd.devices().stream().map(this::readAtDepth).toList();
    report(totals, before, after);
    for (final FioRounds.Total total : totals) {
      assertEquals(0, total.errors(), total::toString);
      assertEquals(total.writeBytes(), total.readBytes(), "every byte written is read back");
    }
    assertTrue(resubmitted() > 0, "no kill hit a request");
    assertEquals(List.of(), guest.complaints());
    assertStillUsable();
  }

  private static long elapsedMs(final long sinceNs) {
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - sinceNs);
  }

  /** Ten kills of the slave and two of the master, beside the one of everything. */
  private List<Blow> plan() {
    final List<Blow> plan =
        new ArrayList<>(
            Stream.of(
                    Collections.nCopies(3, Blow.SLAVE),
                    Collections.nCopies(4, Blow.BUSY_SLAVE),
                    Collections.nCopies(2, Blow.SLAVE_AT_ONCE),
                    List.of(Blow.SLAVE_AND_STANDBY),
                    List.of(Blow.MASTER),
                    List.of(Blow.MASTER_THEN_SLAVE),
                    frontEnd.reconnects() ? List.of(Blow.EVERYTHING) : List.<Blow>of())
                .flatMap(List::stream)
                .toList());
    Collections.shuffle(plan, rig.random());
    if (!frontEnd.reconnects()) {
      // Last, since what comes after it runs on the other build.
      plan.add(Blow.UPGRADE);
    }
    return plan;
  }

  private void strike(final Blow blow) {
    final Pair pair = rig.pair();
    switch (blow) {
      case SLAVE -> rig.killSlave(1, INSTANT_MS_MAX);
      case BUSY_SLAVE -> rig.killBusySlave(INSTANT_MS_MAX);
      case SLAVE_AT_ONCE -> rig.killSlave(0, INSTANT_MS_MAX);
      case SLAVE_AND_STANDBY -> rig.killSlaveAndStandby(INSTANT_MS_MAX);
      case MASTER -> {
        rig.rememberRecoveries();
        rig.pauseAtRandom(INSTANT_MS_MAX);
        pair.killMaster();
        rig.pauseAtRandom(MASTER_AWAY_MS_MAX);
        pair.startMaster();
      }
      case MASTER_THEN_SLAVE -> {
        final int active = rig.awaitSlave(1);
        rig.rememberRecoveries();
        rig.pauseAtRandom(INSTANT_MS_MAX);
        pair.killMaster();
        rig.pauseAtRandom(MASTER_AWAY_MS_MAX);
        Victim.kill(active);
        rig.pauseAtRandom(MASTER_AWAY_MS_MAX);
        pair.startMaster();
      }
      case EVERYTHING -> rig.killEverything(INSTANT_MS_MAX);
      case UPGRADE -> rig.upgrade(INSTANT_MS_MAX);
      default -> throw new IllegalStateException("no such blow: " + blow);
    }
  }

  private long resubmitted() {
    long count = 0;
    for (final JsonNode recovery : rig.recoveries()) {
      count += recovery.path("resubmitted").asLong();
    }
    return count;
  }

  /** How fast a disk is when nothing is killed: random reads of 4 KiB, 32 in flight. */
  private FioResult readAtDepth(final String device) {
    final FioJob job = FioJob.on(device).rw("randread").depth(32).region("0", "32m").build();
    final FioResult result = rig.guest().start(job).await(GuestRig.LONG);
    assertEquals(0, result.errors(), result::messages);
    return result;
  }

  private void report(
      final List<FioRounds.Total> totals,
      final List<FioResult> before,
      final List<FioResult> after) {
    System.out.println(
        "guest campaign: "
            + frontEnd.name()
            + " takeovers seen="
            + rig.recoveries().size()
            + " resubmitted="
            + resubmitted()
            + "\n  mem:  "
            + total(0, totals, before, after)
            + "\n  file: "
            + total(1, totals, before, after));
  }

  private static String total(
      final int disk,
      final List<FioRounds.Total> totals,
      final List<FioResult> before,
      final List<FioResult> after) {
    return String.format(
        "%s; 4 KiB randread at QD 32: %.0f/s before, %.0f/s after",
        totals.get(disk), before.get(disk).perSecond(), after.get(disk).perSecond());
  }

  private void assertStillUsable() {
    for (final String device : frontEnd.devices()) {
      final FioJob job = FioJob.mixedVerify(device).region("32m", "16m").build();
      final FioRounds.Total total = new FioRounds(rig.guest(), job).finish();
      assertEquals(0, total.errors(), total::toString);
    }
  }

  @Test
  void shouldKeepAnExt4TreeThroughKills() {
    final Guest guest = rig.guest();
    for (final String device : frontEnd.devices()) {
      guest
          .run("mkfs.ext4 -q -F " + device + " && mount " + device + " /mnt", GuestRig.LONG)
          .orThrow();
      final Running<CommandResult> writing = guest.start(writeTree("/mnt"));
      rig.killSlave(1, INSTANT_MS_MAX);
      rig.killSlave(0, INSTANT_MS_MAX);
      writing.await(GuestRig.LONG).orThrow();
      final String sums = sumTree(guest);
      assertEquals(60, sums.lines().count());
      rig.killSlave(0, INSTANT_MS_MAX);
      guest.run("sync; echo 3 >/proc/sys/vm/drop_caches", GuestRig.LONG).orThrow();
      final Running<CommandResult> reading = guest.start(SUM_TREE);
      rig.killSlave(0, INSTANT_MS_MAX / 4);
      assertEquals(sums, reading.await(GuestRig.LONG).orThrow(), device);
      final String remount =
          String.format("umount /mnt && e2fsck -f -n %s && mount %s /mnt", device, device);
      guest.run(remount, GuestRig.LONG).orThrow();
      assertEquals(sums, sumTree(guest), device);
      guest.run("umount /mnt", GuestRig.LONG).orThrow();
    }
    assertEquals(List.of(), guest.complaints());
    assertTrue(rig.recoveries().size() >= 4, () -> "takeovers: " + rig.recoveries());
  }

  private static final String SUM_TREE = "cd /mnt; find . -type f | sort | xargs sha256sum";

  private static String sumTree(final Guest guest) {
    return guest.run(SUM_TREE, GuestRig.LONG).orThrow();
  }

  /** Sixty files of 10 KiB to 1 MiB, with flushes in between so that the journal works as well. */
  private static String writeTree(final String root) {
    return "for d in 1 2 3; do mkdir "
        + root
        + "/$d; for f in $(seq 20); do dd if=/dev/urandom of="
        + root
        + "/$d/$f bs=1k count=$((d * f * 17)) 2>/dev/null || exit 1; "
        + "[ $((f % 4)) != 0 ] || sync; done; done; sync";
  }
}
