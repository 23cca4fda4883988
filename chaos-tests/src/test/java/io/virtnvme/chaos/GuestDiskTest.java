package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.chaos.guest.CommandResult;
import io.virtnvme.chaos.guest.FioJob;
import io.virtnvme.chaos.guest.RequiresGuest;
import io.virtnvme.chaos.guest.Running;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What a stock guest sees of its disks beside reads and writes. Each test leaves them usable. */
@RequiresGuest
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class GuestDiskTest {
  private static final String MEM = "mem0";
  private static final String FILE = "a-disk-in-a-file";
  private static final String READ_ONLY = "golden";
  private static final int BLOCKS_PER_MIB = 256;
  private static final int SECTORS_PER_MIB = 2048;

  /** The host's file system may need blocks of its own to describe a hole. */
  private static final int EXTENT_KIB_MAX = 64;

  @RegisterExtension final GuestRig rig = new GuestRig();

  @BeforeAll
  void boot() {
    final Pair pair = rig.startPair();
    pair.createMemDisk(MEM, 64 * BLOCKS_PER_MIB);
    pair.createFileDisk(FILE, 128 * BLOCKS_PER_MIB);
    pair.createMemDisk(READ_ONLY, 16 * BLOCKS_PER_MIB);
    pair.createController(MEM, MEM, false);
    pair.createController(FILE, FILE, false);
    pair.call(
        "vhost_create_blk_controller",
        Json.of("ctrlr", READ_ONLY, "dev_name", READ_ONLY, "readonly", true, "num_queues", 2));
    rig.boot(List.of(rig.disk(MEM), rig.disk(FILE), rig.disk(READ_ONLY)));
  }

  private String run(final String command) {
    return rig.guest().run(command, GuestRig.LONG).orThrow();
  }

  @Test
  void shouldShowTheNameOfTheDiskAsItsSerialNumber() {
    assertEquals(MEM, run("cat /sys/block/vda/serial"));
    assertEquals(FILE, run("cat /sys/block/vdb/serial"));
    assertEquals("4096", run("cat /sys/block/vdb/queue/logical_block_size"));
    rig.killSlave(1, 1);
    assertEquals(READ_ONLY, run("cat /sys/block/vdc/serial"));
  }

  @Test
  void shouldSeeANewCapacityWhileItWorks() throws IOException {
    final FioRounds rounds =
        new FioRounds(
            rig.guest(), FioJob.mixedVerify("/dev/vdb").region("0", "16m").loops(2).build());
    rig.pair()
        .call("virtnvme_bdev_resize", Json.of("name", MEM, "num_blocks", 80 * BLOCKS_PER_MIB));
    awaitCapacity("vda", 80);
    writeAndReadBack("/dev/vda", 79);

    try (RandomAccessFile file = new RandomAccessFile(imageOf(FILE).toFile(), "rw")) {
      file.setLength(160L << 20);
    }
    rig.pair().call("bdev_uring_rescan", Json.of("name", FILE));
    awaitCapacity("vdb", 160);
    writeAndReadBack("/dev/vdb", 159);

    rig.killSlave(1, 1);
    writeAndReadBack("/dev/vda", 78);
    writeAndReadBack("/dev/vdb", 158);
    final FioRounds.Total total = rounds.finish();
    assertEquals(0, total.errors(), total::toString);
    assertEquals(List.of(), rig.guest().complaints());
  }

  private void awaitCapacity(final String device, final int mib) {
    final String expected = Integer.toString(mib * SECTORS_PER_MIB);
    Waiting.until(
        device + " has " + expected + " sectors",
        GuestRig.SHORT,
        () -> run("cat /sys/block/" + device + "/size").equals(expected));
  }

  /** One MiB of random bytes at an offset. */
  private void writeAndReadBack(final String device, final int offsetMib) {
    final String at = " bs=1M count=1 ";
    run(
        "dd if=/dev/urandom of=/tmp/block 2>/dev/null"
            + at
            + "&& dd if=/tmp/block oflag=direct conv=fsync 2>/dev/null of="
            + device
            + at
            + "seek="
            + offsetMib
            + " && dd of=/tmp/again iflag=direct 2>/dev/null if="
            + device
            + at
            + "skip="
            + offsetMib
            + " && cmp /tmp/block /tmp/again");
  }

  @Test
  void shouldRefuseWritesToAReadOnlyController() {
    assertEquals("1", run("cat /sys/block/vdc/ro"));
    final CommandResult write =
        rig.guest().run("dd if=/dev/zero of=/dev/vdc bs=4k count=1 oflag=direct", GuestRig.SHORT);
    assertNotEquals(0, write.exitStatus(), write::output);
    run("dd if=/dev/vdc of=/dev/null bs=1M iflag=direct 2>/dev/null");
    assertEquals(List.of(), rig.guest().complaints());
  }

  @Test
  void shouldGiveDiscardedSpaceBackToTheFile() {
    run("dd if=/dev/urandom of=/dev/vdb bs=1M count=32 oflag=direct conv=fsync 2>/dev/null");
    final long full = allocatedKib(FILE);
    run("/bin/blkdiscard -o 0 -l $((16 << 20)) /dev/vdb");
    final long discarded = allocatedKib(FILE);
    assertTrue(
        full - discarded >= (16 << 10) - EXTENT_KIB_MAX,
        () -> "KiB: full=" + full + " discarded=" + discarded);
    assertEquals("0", run("head -c 16777216 /dev/vdb | tr -d '\\0' | wc -c"));
    assertNotEquals(
        "0", run("dd if=/dev/vdb bs=1M skip=16 count=1 2>/dev/null | tr -d '\\0' | wc -c"));

    run("/bin/blkdiscard -z -o $((16 << 20)) -l $((16 << 20)) /dev/vdb");
    assertEquals("0", run("dd if=/dev/vdb bs=1M count=32 2>/dev/null | tr -d '\\0' | wc -c"));
  }

  @Test
  void shouldTrimWhatAFileSystemDeleted() {
    run("mkfs.ext4 -q -F /dev/vdb && mount /dev/vdb /mnt");
    run("dd if=/dev/urandom of=/mnt/a bs=1M count=40 2>/dev/null; sync");
    final long full = allocatedKib(FILE);
    run("rm /mnt/a; sync");
    final Running<CommandResult> trim = rig.guest().start("/bin/fstrim /mnt");
    rig.killSlave(0, 20);
    trim.await(GuestRig.LONG).orThrow();
    final long trimmed = allocatedKib(FILE);
    assertTrue(full - trimmed >= 40 << 10, () -> "KiB: full=" + full + " trimmed=" + trimmed);
    run("umount /mnt && e2fsck -f -n /dev/vdb");
    assertEquals(List.of(), rig.guest().complaints());
  }

  @Test
  void shouldComeUpFromAResetWhoseSlavesAreKilled() {
    restart().during(rig.guest()::reset);
  }

  @Test
  void shouldComeUpFromARebootWhoseSlavesAreKilled() {
    restart().during(rig.guest()::reboot);
  }

  private GuestRestart restart() {
    return new GuestRestart(rig, MEM, "/dev/vda", "/dev/vdb");
  }

  private Path imageOf(final String bdev) {
    return rig.pair().path().resolve(bdev + ".img");
  }

  private long allocatedKib(final String bdev) {
    try {
      final Process du =
          new ProcessBuilder("du", "-k", imageOf(bdev).toString())
              .redirectErrorStream(true)
              .start();
      final String text =
          new String(du.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      return Long.parseLong(text.substring(0, text.indexOf('\t')));
    } catch (final IOException e) {
      throw new AssertionError("du", e);
    }
  }
}
