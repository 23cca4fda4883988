package io.virtnvme.chaos.guest;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * Proves the harness against a stock back-end, so that a failing test of ours is a fault of ours.
 */
@RequiresGuest
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class GuestHarnessTest {
  private static final long DISK_LENGTH = 128L << 20;
  private static final long REGION_LENGTH = 32L << 20;
  private static final int FEATURE_MQ = 12;
  private static final int FEATURE_VERSION_1 = 32;
  private static final Duration SHORT = Duration.ofSeconds(30);
  private static final Duration LONG = Duration.ofMinutes(2);

  @TempDir private static Path temp;

  private GuestImages images;
  private StorageDaemon daemon;
  private Guest shared;

  @BeforeAll
  void boot() throws IOException {
    images = GuestImages.in(GuestImages.defaultDirectory());
    daemon = StorageDaemon.start(image("d0"), temp.resolve("d0.sock"), 2);
    final Disk disk = Disk.of(daemon.socket()).queues(2);
    shared = Guest.builder(images, temp.resolve("g")).disk(disk).hotPlugSlots(1).boot();
  }

  @AfterAll
  void close() throws IOException {
    if (shared != null) {
      shared.close();
    }
    if (daemon != null) {
      daemon.close();
    }
    assertNoSocketLeft();
  }

  @Test
  void shouldBootInSecondsWithTheDiskAsDescribed() {
    System.out.println("guest boot: " + shared.bootTime().toMillis() + " ms");
    assertTrue(shared.bootTime().compareTo(SHORT) < 0);
    assertTrue(shared.hasFeature("vda", FEATURE_MQ));
    assertTrue(shared.hasFeature("vda", FEATURE_VERSION_1));
    assertEquals("2", shared.run("ls /sys/block/vda/mq | wc -l", SHORT).orThrow());
    final String length = shared.run("blockdev --getsize64 /dev/vda", SHORT).orThrow();
    assertEquals(Long.toString(DISK_LENGTH), length);
    assertEquals("running", shared.qmp("{\"execute\":\"query-status\"}").path("status").asText());
  }

  @Test
  void shouldVerifyMixedSizesAndKeepAnExt4Tree() {
    final FioJob job = FioJob.mixedVerify("/dev/vda").region("0", "32m").loops(2).build();
    final Running<FioResult> fio = shared.start(job);
    assertEquals("alive", shared.run("echo alive", SHORT).orThrow());
    final FioResult result = fio.await(LONG);
    assertEquals(0, result.errors(), result.messages());
    assertEquals(2 * REGION_LENGTH, result.writeBytes());
    assertEquals(2 * REGION_LENGTH, result.readBytes());

    shared
        .run("mkfs.ext4 -q -F /dev/vda && mkdir -p /mnt/a && mount /dev/vda /mnt/a", LONG)
        .orThrow();
    final String sums = shared.run(writeTree("/mnt/a") + "; " + sumTree("/mnt/a"), LONG).orThrow();
    shared.run("umount /mnt/a && e2fsck -f -n /dev/vda && mount /dev/vda /mnt/a", LONG).orThrow();
    assertEquals(sums, shared.run(sumTree("/mnt/a"), LONG).orThrow());
    assertEquals(30, sums.lines().count());
    shared.run("umount /mnt/a", LONG).orThrow();
    assertEquals(List.of(), shared.complaints());
  }

  @Test
  void shouldReportWrongBytes() {
    shared.run("dd if=/dev/zero of=/dev/vda bs=1M seek=64 count=4 oflag=direct", SHORT).orThrow();
    final FioJob job =
        FioJob.mixedVerify("/dev/vda").region("64m", "4m").option("verify_only", "1").build();
    final FioResult result = shared.start(job).await(LONG);
    assertTrue(result.errors() > 0, result::toString);
    assertNotEquals(0, result.exitStatus());
    assertTrue(result.messages().contains("verify"), result::toString);
  }

  @Test
  void shouldReportAnOptionThatFioDoesNotKnow() {
    final FioJob job = FioJob.on("/dev/vda").option("no_such_option", "1").build();
    final FioResult result = shared.start(job).await(LONG);
    assertTrue(result.errors() > 0, result::toString);
    assertTrue(result.messages().contains("no_such_option"), result::toString);
  }

  @Test
  void shouldCarryOutputAndStatusUnchanged() {
    assertEquals(new CommandResult(0, ""), shared.run("true", SHORT));
    assertEquals(
        new CommandResult(3, "a\\n b\n"), shared.run("printf 'a\\\\n b\\n'\nexit 3", SHORT));
    assertEquals(new CommandResult(0, "no line end"), shared.run("printf 'no line end'", SHORT));
    assertEquals(600_000, shared.run("seq 100000 199999 | cut -c1-5", SHORT).output().length());
    final CommandResult failed = shared.run("echo why >&2; exit 9", SHORT);
    final IllegalStateException thrown = assertThrows(IllegalStateException.class, failed::orThrow);
    assertTrue(thrown.getMessage().contains("why"), thrown::getMessage);
  }

  @Test
  void shouldCancelOneOfManyCommands() {
    final Running<CommandResult> first = shared.start("echo begun; sleep 100");
    final Running<CommandResult> second = shared.start("sleep 100");
    Awaitility.await().until(() -> first.outputSoFar().equals("begun\n"));
    assertThrows(
        GuestTimeoutException.class, () -> shared.run("sleep 100", Duration.ofMillis(200)));
    first.cancel();
    assertEquals(new CommandResult(137, "begun\n"), first.await(SHORT));
    assertFalse(second.isDone());
    second.cancel();
    assertEquals(137, second.await(SHORT).exitStatus());
  }

  @Test
  void shouldPlugAndUnplugADisk() throws IOException {
    try (StorageDaemon other = StorageDaemon.start(image("d1"), temp.resolve("d1.sock"), 1)) {
      final String device = shared.plug(Disk.of(other.socket()), 0);
      assertEquals("/dev/vdb", device);
      final String length = shared.run("blockdev --getsize64 " + device, SHORT).orThrow();
      assertEquals(Long.toString(DISK_LENGTH), length);
      shared.unplug(0);
      shared.run("test ! -e /sys/block/vdb", SHORT).orThrow();
    }
  }

  @Test
  void shouldSayWhyQemuEnded() {
    final GuestBuilder unreachable =
        Guest.builder(images, temp.resolve("n")).disk(Disk.of(temp.resolve("nobody.sock")));
    final GuestDiedException atStart = assertThrows(GuestDiedException.class, unreachable::boot);
    assertTrue(atStart.getMessage().contains("nobody.sock"), atStart::getMessage);

    try (Guest guest = Guest.builder(images, temp.resolve("h")).boot()) {
      final Running<CommandResult> running = guest.start("sleep 100");
      assertTrue(ProcessHandle.of(guest.pid()).orElseThrow().destroyForcibly());
      final GuestDiedException killed =
          assertThrows(GuestDiedException.class, () -> running.await(SHORT));
      assertTrue(killed.getMessage().contains("signal 9"), killed::getMessage);
      assertThrows(GuestDiedException.class, () -> guest.run("true", SHORT));
      assertThrows(GuestDiedException.class, () -> guest.qmp("{\"execute\":\"query-status\"}"));
    }
  }

  @Test
  void shouldTakeCommandsAgainAfterResetAndReboot() {
    try (Guest guest = Guest.builder(images, temp.resolve("r")).boot()) {
      final long pid = guest.pid();
      guest.run("touch /tmp/before", SHORT).orThrow();
      final Running<CommandResult> running = guest.start("printf 'half a line'; sleep 100");
      guest.reset(() -> assertThrows(GuestDiedException.class, () -> running.await(SHORT)));
      guest.run("test ! -e /tmp/before && touch /tmp/before", SHORT).orThrow();
      guest.reboot(() -> {});
      assertEquals("0", guest.run("ls /tmp | wc -l", SHORT).orThrow());
      assertEquals(pid, guest.pid());
    }
  }

  @Test
  void shouldMigrateWithACommandRunning() throws IOException {
    final Path image = image("d2");
    try (StorageDaemon here = StorageDaemon.start(image, temp.resolve("d2.sock"), 1);
        StorageDaemon there = StorageDaemon.start(image, temp.resolve("d2b.sock"), 1);
        Guest guest =
            Guest.builder(images, temp.resolve("m")).disk(Disk.of(here.socket())).boot()) {
      final long firstPid = guest.pid();
      final Running<CommandResult> counting =
          guest.start("i=0; until [ -e /tmp/go ]; do i=$((i+1)); echo $i; usleep 1000; done");
      final FioJob.Builder job = FioJob.mixedVerify("/dev/vda").region("0", "32m");
      assertEquals(0, guest.start(job.option("do_verify", "0").build()).await(LONG).errors());
      Awaitility.await().until(() -> counting.outputSoFar().length() > 100);

      guest.migrate(List.of(Disk.of(there.socket())), LONG);
      guest.run("touch /tmp/go", SHORT).orThrow();

      final List<String> counted = counting.await(SHORT).output().lines().toList();
      assertEquals(
          IntStream.rangeClosed(1, counted.size()).mapToObj(Integer::toString).toList(), counted);
      final FioJob check = job.option("do_verify", "1").option("verify_only", "1").build();
      final FioResult result = guest.start(check).await(LONG);
      assertEquals(0, result.errors(), result.messages());
      assertEquals(REGION_LENGTH, result.readBytes());
      assertNotEquals(firstPid, guest.pid());
      assertFalse(ProcessHandle.of(firstPid).isPresent());
      assertEquals(List.of(), guest.complaints());
    }
  }

  private static Path image(final String name) throws IOException {
    final Path file = temp.resolve(name);
    try (RandomAccessFile image = new RandomAccessFile(file.toFile(), "rw")) {
      image.setLength(DISK_LENGTH);
    }
    return file;
  }

  /** Thirty files of 7 to 210 KiB in three folders. */
  private static String writeTree(final String root) {
    return Stream.of("1", "2", "3")
            .map(folder -> "mkdir " + root + "/" + folder)
            .collect(Collectors.joining("; ", "", "; "))
        + "for d in 1 2 3; do for f in 1 2 3 4 5 6 7 8 9 10; do dd if=/dev/urandom of="
        + root
        + "/$d/$f bs=1k count=$((d * f * 7)) 2>/dev/null; done; done; sync";
  }

  private static String sumTree(final String root) {
    return "cd " + root + "; find . -type f | sort | grep -v lost+found | xargs sha256sum";
  }

  private static void assertNoSocketLeft() throws IOException {
    try (Stream<Path> files = Files.walk(temp)) {
      assertEquals(
          List.of(), files.filter(f -> !Files.isRegularFile(f) && !Files.isDirectory(f)).toList());
    }
  }
}
