package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.chaos.guest.FioJob;
import io.virtnvme.chaos.guest.FioResult;
import io.virtnvme.chaos.guest.Guest;
import io.virtnvme.chaos.guest.GuestDiedException;
import io.virtnvme.chaos.guest.NvmeChecks;
import io.virtnvme.chaos.guest.NvmeCli;
import io.virtnvme.chaos.guest.NvmeDisk;
import io.virtnvme.chaos.guest.RequiresGuest;
import io.virtnvme.chaos.guest.Running;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What a stock guest sees of its NVMe controller beside reads and writes, with doorbells that come
 * as messages. Each test leaves the controller usable.
 */
@RequiresGuest
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class GuestNvmeDiskTest {
  private static final String MEM = "mem0";
  private static final String FILE = "file0";
  private static final List<String> DEVICES = List.of(NvmeCli.device(1), NvmeCli.device(2));
  private static final String SPARE = "spare0";
  private static final String NAME = "vm0";
  private static final int SMALL = 512;
  private static final int LARGE = Pair.BLOCK_BYTES;
  private static final int MIB = 1 << 20;
  private static final int TEMPERATURE_THRESHOLD = 0x04;

  @RegisterExtension final GuestRig rig = new GuestRig();

  private NvmeSubsystem subsystem;

  @BeforeAll
  void boot() {
    final Pair pair = rig.startPair();
    pair.call(
        "bdev_malloc_create",
        Json.of("name", MEM, "block_size", SMALL, "num_blocks", 64 * MIB / SMALL));
    pair.createFileDisk(FILE, 128 * MIB / LARGE);
    pair.createMemDisk(SPARE, 16 * MIB / LARGE);
    NvmeSubsystem.createTransport(pair, false);
    subsystem = NvmeSubsystem.create(pair, NAME, rig.newListenerDirectory("n"), List.of(MEM, FILE));
    bootGuest();
  }

  private void bootGuest() {
    rig.boot(builder -> builder.nvmeDisk(NvmeDisk.servedIn(subsystem.directory())));
  }

  private NvmeChecks checks() {
    return new NvmeChecks(rig.guest());
  }

  private long blockCount(final String bdev) {
    final JsonNode node = rig.pair().call("bdev_get_bdevs", Json.of("name", bdev)).path(0);
    return node.path("num_blocks").asLong();
  }

  private void assertIdentified() {
    final NvmeChecks checks = checks();
    checks.hasTwoQueuePairsByMsix();
    checks.identifiesController(subsystem.serial(), 2, true);
    checks.identifiesNamespace(1, subsystem.serial(), blockCount(MEM), SMALL);
    checks.identifiesNamespace(2, subsystem.serial(), blockCount(FILE), LARGE);
  }

  @Test
  void shouldAnswerWhatNvmeCliAsksBeforeAndAfterAKill() {
    final NvmeChecks checks = checks();
    for (int round = 0; round < 2; round++) {
      assertIdentified();
      checks.readsItsFeatures();
      checks.countsInTheHealthLog();
      checks.refusesABlockBeyondTheEnd(true);
      checks.runsTheOtherIoCommands(1);
      checks.runsTheOtherIoCommands(2);
      rig.killSlave(1, 1);
    }
    checks.survivesAReset();
    assertEquals(List.of(), rig.guest().complaints());
  }

  @Test
  void shouldVerifyMixedSizesWhileSlavesAndMasterDie() {
    final List<FioRounds> rounds =
        DEVICES.stream()
            .map(device -> FioJob.mixedVerify(device).region("0", "32m").loops(2).build())
            .map(job -> new FioRounds(rig.guest(), job))
            .toList();
    rig.awaitProgressInGuest(DEVICES);
    final String qemuLog = rig.guest().qemuLog();
    for (int i = 0; i < 4; i++) {
      rig.killBusySlave(500);
      rig.awaitProgressInGuest(DEVICES);
    }
    rig.rememberRecoveries();
    rig.pair().killMaster();
    rig.pauseAtRandom(200);
    rig.pair().startMaster();
    rig.awaitProgressInGuest(DEVICES);
    for (final FioRounds.Total total : FioRounds.finishAll(rounds)) {
      assertEquals(0, total.errors(), total::toString);
      assertEquals(total.writeBytes(), total.readBytes(), "every byte written is read back");
    }
    assertEquals(qemuLog, rig.guest().qemuLog(), "QEMU must not notice");
    assertEquals(List.of(), rig.guest().complaints());
  }

  @Test
  void shouldTellTheDriverOfNewSizesAndNamespaces() {
    final NvmeChecks checks = checks();
    resize(72);
    checks.awaitSize(1, 72L * MIB);
    rig.killSlave(1, 1);
    resize(80);
    checks.awaitSize(1, 80L * MIB);
    checks.seesANewSizeAfterRescan(1, () -> resize(88), 88L * MIB / SMALL);

    subsystem.addNamespace(SPARE);
    checks.awaitSize(3, 16L * MIB);
    checks.runsTheOtherIoCommands(3);
    rig.killSlave(1, 1);
    subsystem.removeNamespace(3);
    final String gone =
        "for i in $(seq 1000); do [ -e /sys/block/nvme0n3 ] || exit 0; usleep 10000; done; exit 1";
    rig.guest().run(gone, GuestRig.SHORT).orThrow();
    assertEquals(List.of(), rig.guest().complaints());
  }

  private void resize(final int mebibytes) {
    rig.pair()
        .call("virtnvme_bdev_resize", Json.of("name", MEM, "num_blocks", mebibytes * MIB / SMALL));
  }

  private GuestRestart restart() {
    return new GuestRestart(rig, MEM, NvmeCli.device(1), NvmeCli.device(2));
  }

  @Test
  void shouldComeUpFromAResetWhoseSlavesAreKilled() {
    restart().during(rig.guest()::reset);
    assertIdentified();
  }

  @Test
  void shouldGiveAFreshControllerToARebootedGuestWhoseSlavesAreKilled() {
    final long threshold = changeAFeature();
    restart().during(rig.guest()::reboot);
    assertEquals(threshold, new NvmeCli(rig.guest()).getFeature(TEMPERATURE_THRESHOLD));
    assertIdentified();
  }

  @Test
  void shouldGiveAFreshControllerToAnotherQemu() {
    final GuestRestart restart = restart();
    final long threshold = changeAFeature();
    final FioJob.Builder kept = restart.writeWhatIsKept();
    final Running<FioResult> cut = restart.beginWhatIsCut();
    final Guest before = rig.guest();
    Victim.kill(Math.toIntExact(before.pid()));
    assertThrows(GuestDiedException.class, () -> cut.await(GuestRig.SHORT));
    before.close();

    bootGuest();
    restart.assertKeptAndUsable(kept);
    assertEquals(threshold, new NvmeCli(rig.guest()).getFeature(TEMPERATURE_THRESHOLD));
    assertIdentified();
    assertTrue(rig.guest().pid() != before.pid());
  }

  /** Sets a feature that is not saved, and gives the value that a fresh controller has. */
  private long changeAFeature() {
    final NvmeCli nvme = new NvmeCli(rig.guest());
    final long before = nvme.getFeature(TEMPERATURE_THRESHOLD);
    final long changed = before - 3;
    nvme.run("set-feature /dev/nvme0 -f " + TEMPERATURE_THRESHOLD + " -v " + changed);
    assertNotEquals(before, nvme.getFeature(TEMPERATURE_THRESHOLD));
    return before;
  }
}
