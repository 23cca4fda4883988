package io.virtnvme.chaos.guest;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * Proves the newer QEMU and the checks of an NVMe controller against QEMU's own, so that a failing
 * test of ours is a fault of ours.
 */
@RequiresGuest
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class NvmeHarnessTest {
  private static final int BLOCK_LENGTH = 512;
  private static final long BLOCK_COUNT = 1 << 17;
  private static final String SERIAL = "harness-1";
  private static final Duration LONG = Duration.ofMinutes(2);

  @TempDir private static Path temp;

  private GuestImages images;
  private Guest guest;
  private NvmeChecks checks;

  @BeforeAll
  void boot() throws IOException {
    final Path image = temp.resolve("n0");
    try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
      file.setLength(BLOCK_COUNT * BLOCK_LENGTH);
    }
    images = GuestImages.in(GuestImages.defaultDirectory());
    guest =
        Guest.builder(images, temp.resolve("g")).nvmeDisk(NvmeDisk.emulated(image, SERIAL)).boot();
    checks = new NvmeChecks(guest);
  }

  @AfterAll
  void close() {
    if (guest != null) {
      guest.close();
    }
  }

  @AfterEach
  void assertNoComplaint() {
    assertEquals(List.of(), guest.complaints());
  }

  @Test
  void shouldFindTheControllerAndItsNamespace() {
    checks.hasTwoQueuePairsByMsix();
    checks.identifiesController(SERIAL, 1, false);
    checks.identifiesNamespace(1, SERIAL, BLOCK_COUNT, BLOCK_LENGTH);
  }

  @Test
  void shouldReadLogsAndFeatures() {
    checks.countsInTheHealthLog();
    checks.readsItsFeatures();
    checks.refusesABlockBeyondTheEnd(false);
  }

  @Test
  void shouldRunTheOtherIoCommands() {
    checks.runsTheOtherIoCommands(1);
  }

  @Test
  void shouldSurviveAReset() {
    checks.survivesAReset();
  }

  /**
   * QEMU's own controller keeps its size, so this tries no more than that a rescan is understood.
   */
  @Test
  void shouldSeeTheSameSizeAfterARescan() {
    checks.seesANewSizeAfterRescan(1, () -> {}, BLOCK_COUNT);
  }

  @Test
  void shouldVerifyMixedSizesAndComeUpFromAReboot() {
    final FioJob.Builder job = FioJob.mixedVerify(NvmeCli.device(1)).region("8m", "16m");
    final FioResult result = guest.start(job.build()).await(LONG);
    assertEquals(0, result.errors(), result.messages());
    guest.reboot(() -> {});
    final FioJob again = job.option("verify_only", "1").build();
    final FioResult verified = guest.start(again).await(LONG);
    assertEquals(0, verified.errors(), verified.messages());
    assertEquals(16L << 20, verified.readBytes());
  }

  @Test
  void shouldHaveADeviceForServersOfVfioUser() {
    final GuestBuilder unreachable =
        Guest.builder(images, temp.resolve("u")).nvmeDisk(NvmeDisk.servedIn(temp.resolve("none")));
    final GuestDiedException death = assertThrows(GuestDiedException.class, unreachable::boot);
    assertTrue(death.getMessage().contains("none/cntrl"), death::getMessage);
  }
}
