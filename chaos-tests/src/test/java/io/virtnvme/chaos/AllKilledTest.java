package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEnd;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEndConfig;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import java.util.BitSet;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * P3: every process is killed at once. The registry brings disks and controllers back, the
 * front-end connects again, and its inflight region brings back what was under way.
 */
@Tag("once")
class AllKilledTest {
  private static final int REQUESTS = 48;
  private static final int BLOCK_COUNT = 1024;
  private static final int SECTORS_PER_BLOCK = Pair.BLOCK_BYTES / BlkRequest.SECTOR_BYTES;

  @RegisterExtension private final Pairs pairs = new Pairs();

  private static void createDisk(
      final Pair pair, final String bdev, final boolean packed, final int blockCount) {
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", blockCount);
    } else {
      pair.createFileDisk("disk", blockCount);
    }
    pair.createController("vm", "disk", packed);
  }

  @ParameterizedTest
  @CsvSource({"mem,false", "mem,true", "uring,false", "uring,true"})
  void shouldResumeUnderLoadFromTheInflightRegion(final String bdev, final boolean packed) {
    final Pair pair = pairs.start(PairOptions.usual());
    createDisk(pair, bdev, packed, LoadOptions.BLOCK_COUNT);
    final LoadProcess load =
        pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()).withPacked(packed));
    for (int i = 0; i < 2; i++) {
      load.awaitIos(1000 + pairs.random().nextInt(2000));
      pair.killTogether(pair.pids());
      pair.startMaster();
      load.awaitIos(5000);
    }
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertEquals(LoadOptions.BLOCK_COUNT, result.path("readBackBlocks").asLong());
    assertTrue(result.path("reconnects").asLong() >= 2, result::toString);
  }

  /**
   * With a slave that does not run, nothing completes before the kill: each request that is under
   * way must complete afterwards, once.
   */
  @ParameterizedTest
  @CsvSource({"mem,false", "uring,true"})
  void shouldCompleteEveryRequestOnceAfterReconnecting(final String bdev, final boolean packed) {
    final Pair pair = pairs.start(PairOptions.usual().withStandbys(0));
    createDisk(pair, bdev, packed, BLOCK_COUNT);
    final int slave = pair.activePid();
    try (VhostUserFrontEnd frontEnd =
        VhostUserFrontEnd.connect(
            new VhostUserFrontEndConfig()
                .socketPath(pair.socket("vm"))
                .queueSize(128)
                .packed(packed)
                .timeoutMs(30_000))) {
      write(frontEnd, 0, REQUESTS, 1);
      awaitCompletions(frontEnd.queue(0), REQUESTS);
      try (Victim stopped = Victim.of(slave)) {
        stopped.signal(Processes.SIGSTOP);
      }
      write(frontEnd, 0, REQUESTS, 2);
      pair.killTogether(pair.pids());
      pair.startMaster();
      frontEnd.reconnect();
      awaitCompletions(frontEnd.queue(0), REQUESTS);
      checkData(frontEnd, 2);
      assertEquals(0, frontEnd.queue(0).faultCount(), "completions of what was not in flight");
    }
  }

  /** One request per block, each with its own data: the block's number and a version. */
  private static void write(
      final VhostUserFrontEnd frontEnd, final int from, final int to, final int version) {
    final DriverQueue queue = frontEnd.queue(0);
    for (int block = from; block < to; block++) {
      final long address = frontEnd.dataGuestAddress() + (long) block * Pair.BLOCK_BYTES;
      Mem.fill(frontEnd.toHost(address), Pair.BLOCK_BYTES, (byte) (block + version));
      assertTrue(
          queue.begin(BlkRequest.TYPE_OUT, (long) block * SECTORS_PER_BLOCK) != DriverQueue.NONE);
      queue.data(address, Pair.BLOCK_BYTES, false);
      assertTrue(queue.add());
    }
    queue.publish();
    frontEnd.kick(0);
  }

  private static void awaitCompletions(final DriverQueue queue, final int count) {
    final BitSet completed = new BitSet();
    Waiting.until(
        count + " completions",
        RawFrontEnd.LIMIT,
        () -> {
          final int token = queue.poll();
          if (token != DriverQueue.NONE) {
            assertEquals(BlkRequest.STATUS_OK, queue.status(token));
            assertTrue(!completed.get(token), "completed twice: token=" + token);
            completed.set(token);
          }
          return completed.cardinality() == count;
        });
    completed.stream().forEach(queue::reclaim);
    assertEquals(0, queue.inFlightCount());
  }

  private static void checkData(final VhostUserFrontEnd frontEnd, final int version) {
    final DriverQueue queue = frontEnd.queue(0);
    for (int block = 0; block < REQUESTS; block++) {
      final long address = frontEnd.dataGuestAddress();
      queue.begin(BlkRequest.TYPE_IN, (long) block * SECTORS_PER_BLOCK);
      queue.data(address, Pair.BLOCK_BYTES, true);
      assertTrue(queue.add());
      queue.publish();
      frontEnd.kick(0);
      awaitCompletions(queue, 1);
      final byte[] expected = new byte[Pair.BLOCK_BYTES];
      java.util.Arrays.fill(expected, (byte) (block + version));
      final byte[] found = new byte[Pair.BLOCK_BYTES];
      Mem.copyOut(frontEnd.toHost(address), found, 0, found.length);
      assertArrayEquals(expected, found, "block " + block);
    }
  }
}
