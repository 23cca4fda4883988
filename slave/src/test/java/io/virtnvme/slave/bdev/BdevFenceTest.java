package io.virtnvme.slave.bdev;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The lock of a killed owner comes free when its last write has landed, and not before. */
class BdevFenceTest {
  private static final Path BLKIO = Path.of("/sys/fs/cgroup/blkio");
  private static final int BYTES_PER_SECOND = 1 << 20;
  private static final long DISK_BYTES = 8L << 20;
  private static final int DEADLINE_MS = 10_000;

  @TempDir private Path folder;
  private Path file;
  private Process victim;
  private Path group;

  @BeforeEach
  void createFile() throws IOException {
    file = BdevHarness.sparseFile(folder.resolve("disk"), DISK_BYTES);
  }

  @AfterEach
  void endVictim() throws IOException, InterruptedException {
    if (victim != null) {
      victim.destroyForcibly();
      assertTrue(victim.waitFor(DEADLINE_MS, TimeUnit.MILLISECONDS));
    }
    if (group != null) {
      Files.delete(group);
    }
  }

  private BufferedReader startVictim(final Path device) throws IOException {
    victim =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                FenceVictim.class.getName(),
                device.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    final BufferedReader output = victim.inputReader(UTF_8);
    awaitLine(output, FenceVictim.LOCKED);
    return output;
  }

  private static void awaitLine(final BufferedReader output, final String wanted)
      throws IOException {
    String line = output.readLine();
    while (line != null && !line.equals(wanted)) {
      line = output.readLine();
    }
    assertEquals(wanted, line, "the other process ended too early");
  }

  private void submit(final BufferedReader output) throws IOException {
    victim.outputWriter(UTF_8).append('\n').flush();
    awaitLine(output, FenceVictim.SUBMITTED);
  }

  /** Kills the other process and returns when the kernel says that it is gone. */
  private void kill() {
    final int pidfd = Processes.pidfdOpen((int) victim.pid());
    assertTrue(pidfd >= 0);
    assertEquals(0, Processes.signal(pidfd, Processes.SIGKILL));
    assertTrue(Fds.awaitReadable(pidfd, DEADLINE_MS));
    Fds.close(pidfd);
  }

  @Test
  void shouldGetTheLockOfAKilledOwner() throws IOException {
    final BufferedReader output = startVictim(file);
    try (UringBdev bdev = UringBdev.open(BdevHarness.file(file))) {
      assertFalse(bdev.tryFence());
      assertTrue(
          bdev.fenceHolder().startsWith("process " + victim.pid() + " ("), bdev.fenceHolder());
      submit(output);
      kill();
      awaitFence(bdev);
      assertEquals(FenceVictim.PIECE_COUNT, landed(bdev));
    }
  }

  @Test
  void shouldNotGetTheLockBeforeTheLastWriteLanded() throws IOException {
    try (LoopDevice loop = LoopDevice.over(file)) {
      final BufferedReader output = startVictim(loop.path());
      slowDown(loop.number());
      try (UringBdev bdev = UringBdev.open(BdevHarness.file(loop.path()))) {
        assertFalse(bdev.tryFence());
        submit(output);
        final long killedNs = System.nanoTime();
        kill();
        final long deadNs = System.nanoTime();
        final int landedAtDeath = landed(bdev);
        assertFalse(bdev.tryFence());
        assertTrue(
            landedAtDeath < FenceVictim.PIECE_COUNT,
            "nothing was in flight: the test says nothing");
        awaitFence(bdev);
        final long lockedNs = System.nanoTime();
        assertEquals(FenceVictim.PIECE_COUNT, landed(bdev));
        System.out.printf(
            "killed with writes in flight: dead after %d us with %d of %d landed, lock after %d us%n",
            (deadNs - killedNs) / 1000,
            landedAtDeath,
            FenceVictim.PIECE_COUNT,
            (lockedNs - killedNs) / 1000);
      }
    }
  }

  private static void awaitFence(final UringBdev bdev) {
    Awaitility.await()
        .atMost(DEADLINE_MS, TimeUnit.MILLISECONDS)
        .pollInSameThread()
        .pollDelay(0, TimeUnit.MILLISECONDS)
        .pollInterval(1, TimeUnit.MILLISECONDS)
        .until(bdev::tryFence);
  }

  /** Puts the other process into a group of its own that may write only slowly to the device. */
  private void slowDown(final String deviceNumber) throws IOException {
    final Path limit = BLKIO.resolve("blkio.throttle.write_bps_device");
    Assumptions.assumeTrue(
        Files.isWritable(limit), "no blkio controller of cgroup v1: devices cannot be slowed down");
    group = Files.createDirectory(BLKIO.resolve("virtnvme-test-" + victim.pid()));
    Files.writeString(
        group.resolve("blkio.throttle.write_bps_device"), deviceNumber + " " + BYTES_PER_SECOND);
    Files.writeString(group.resolve("cgroup.procs"), Long.toString(victim.pid()));
  }

  /** Pieces that are on the device in full. */
  private static int landed(final UringBdev bdev) {
    final long memory = Mem.allocate(2L * FenceVictim.PIECE_BYTES);
    final long buffer = (memory + FenceVictim.PIECE_BYTES - 1) & -FenceVictim.PIECE_BYTES;
    int count = 0;
    for (int piece = 0; piece < FenceVictim.PIECE_COUNT; piece++) {
      final long offset = (long) piece * FenceVictim.PIECE_BYTES;
      assertEquals(
          FenceVictim.PIECE_BYTES, Fds.pread(bdev.fd(), buffer, FenceVictim.PIECE_BYTES, offset));
      boolean whole = true;
      for (int i = 0; i < FenceVictim.PIECE_BYTES; i += Long.BYTES) {
        whole &= Mem.getLong(buffer + i) == FenceVictim.mark(piece);
      }
      count += whole ? 1 : 0;
    }
    Mem.free(memory);
    return count;
  }
}
