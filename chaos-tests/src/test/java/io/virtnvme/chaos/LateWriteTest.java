package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEnd;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEndConfig;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Writes that the kernel holds for a dead slave go on landing for seconds. Its successor waits for
 * the last of them: what is written afterwards is never overtaken by what was written before.
 */
@Tag("once")
class LateWriteTest {
  private static final int PIECES = 32;
  private static final int PIECE_BYTES = 32 * 1024;
  private static final int BYTES_PER_SECOND = 512 * 1024;
  private static final long DISK_BYTES = 8L << 20;
  private static final long OLD = 0x0101_0101_0101_0101L;
  private static final long NEW = 0x0202_0202_0202_0202L;

  /** All of them at that speed, and as long again. */
  private static final long WATCH_NS =
      2 * TimeUnit.SECONDS.toNanos(1) * PIECES * PIECE_BYTES / BYTES_PER_SECOND;

  private static final long POLL_NS = TimeUnit.MILLISECONDS.toNanos(50);

  @RegisterExtension private final Pairs pairs = new Pairs();

  @Test
  void shouldNeverLetAnOldWriteLandAfterANewerOne() {
    Assumptions.assumeTrue(SlowDisk.obstacle().isEmpty(), SlowDisk.obstacle());
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler());
    final Path file = pair.path().resolve("slow.img");
    Pair.createFile(file, DISK_BYTES);
    final SlowDisk disk = pairs.add(SlowDisk.over(file, BYTES_PER_SECOND));
    pair.call(
        "bdev_uring_create",
        Json.of("name", "slow", "filename", disk.device(), "block_size", Pair.BLOCK_BYTES));
    pair.createController("vm", "slow", false);
    final int slave = pair.activePidWithStandbys(1, 0);
    disk.slowDown(slave);
    try (VhostUserFrontEnd frontEnd =
            VhostUserFrontEnd.connect(
                new VhostUserFrontEndConfig().socketPath(pair.socket("vm")).queueSize(128));
        Victim victim = Victim.of(slave)) {
      write(frontEnd, OLD);
      awaitCompletions(frontEnd.queue(0), 1);
      victim.signal(Processes.SIGKILL);
      victim.awaitDeath();
      final long killedNs = System.nanoTime();
      final long landed = count(disk, OLD);
      assertTrue(landed < PIECES, "the kernel held nothing: the test says nothing");

      awaitCompletions(frontEnd.queue(0), PIECES - 1);
      assertEquals(PIECES, count(disk, OLD));
      System.out.printf(
          "%d of %d writes had landed when the slave was dead, all were answered %d ms later%n",
          landed, PIECES, TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - killedNs));
      write(frontEnd, NEW);
      awaitCompletions(frontEnd.queue(0), PIECES);
      final long untilNs = System.nanoTime() + WATCH_NS;
      do {
        assertEquals(PIECES, count(disk, NEW), "an old write landed after a newer one");
        LockSupport.parkNanos(POLL_NS);
      } while (System.nanoTime() - untilNs < 0);
      assertEquals(0, frontEnd.queue(0).faultCount());
    }
    final JsonNode recovery = pair.recoveries().path(0);
    assertEquals(slave, recovery.path("dead_pid").asInt(), recovery::toString);
  }

  private static long count(final SlowDisk disk, final long word) {
    return LongStream.of(disk.firstWords(PIECES, PIECE_BYTES))
        .filter(found -> found == word)
        .count();
  }

  private static void write(final VhostUserFrontEnd frontEnd, final long word) {
    final DriverQueue queue = frontEnd.queue(0);
    for (int piece = 0; piece < PIECES; piece++) {
      final long address = frontEnd.dataGuestAddress() + (long) piece * PIECE_BYTES;
      Mem.fill(frontEnd.toHost(address), PIECE_BYTES, (byte) word);
      final long sector = (long) piece * PIECE_BYTES / BlkRequest.SECTOR_BYTES;
      assertTrue(queue.begin(BlkRequest.TYPE_OUT, sector) != DriverQueue.NONE);
      queue.data(address, PIECE_BYTES, false);
      assertTrue(queue.add());
    }
    queue.publish();
    frontEnd.kick(0);
  }

  private static void awaitCompletions(final DriverQueue queue, final int count) {
    final int[] seen = {0};
    Waiting.until(
        count + " completions",
        RawFrontEnd.LIMIT,
        () -> {
          while (seen[0] < count) {
            final int token = queue.poll();
            if (token == DriverQueue.NONE) {
              return false;
            }
            assertEquals(BlkRequest.STATUS_OK, queue.status(token));
            queue.reclaim(token);
            seen[0]++;
          }
          return true;
        });
  }
}
