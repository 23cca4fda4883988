package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEnd;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEndConfig;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.tools.chaos.BadDisk;
import io.virtnvme.tools.chaos.LoopDevice;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * An error of the device reaches the guest as the status of the request that met it, once, also
 * across a kill; whatever the device still does goes on.
 */
@Tag("once")
class DeviceErrorTest {
  private static final int PIECES = 16;
  private static final int PIECE_BYTES = 64 * 1024;
  private static final long GOOD_BYTES = 4L << 20;
  private static final int QUEUE_SIZE = 128;

  @RegisterExtension private final Pairs pairs = new Pairs();

  /** Of the request with this token. */
  private final int[] expectedStatus = new int[QUEUE_SIZE];

  @Test
  void shouldAnswerErrorsOfTheDeviceOnceAndServeTheRest() {
    Assumptions.assumeTrue(LoopDevice.obstacle().isEmpty(), LoopDevice.obstacle());
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler());
    final BadDisk disk = pairs.add(BadDisk.of(GOOD_BYTES));
    pair.call(
        "bdev_uring_create",
        Json.of("name", "bad", "filename", disk.device(), "block_size", Pair.BLOCK_BYTES));
    pair.createController("vm", "bad", false);
    final int slave = pair.activePidWithStandbys(1, 0);
    try (VhostUserFrontEnd frontEnd =
            VhostUserFrontEnd.connect(
                new VhostUserFrontEndConfig().socketPath(pair.socket("vm")).queueSize(QUEUE_SIZE));
        Victim victim = Victim.of(slave)) {
      write(frontEnd, (byte) 1);
      assertAnswered(frontEnd);
      assertEquals(slave, pair.activePid(), "an error of the device ended the slave");
      assertEquals(PIECES, failedCount(pair));

      write(frontEnd, (byte) 2);
      victim.signal(Processes.SIGKILL);
      victim.awaitDeath();
      assertAnswered(frontEnd);
      assertTrue(pair.activePidWithStandbys(1, slave) != slave);

      read(frontEnd);
      assertAnswered(frontEnd);
      for (int piece = 0; piece < PIECES; piece++) {
        final long address = frontEnd.toHost(address(frontEnd, piece));
        for (int offset = 0; offset < PIECE_BYTES; offset++) {
          assertEquals(2, Mem.getByte(address + offset), "piece " + piece + " offset " + offset);
        }
      }
    }
  }

  private static long failedCount(final Pair pair) {
    return pair.call("bdev_get_iostat", Json.of("name", "bad"))
        .path("bdevs")
        .path(0)
        .path("io_error")
        .path("failed")
        .asLong();
  }

  private static long address(final VhostUserFrontEnd frontEnd, final int piece) {
    return frontEnd.dataGuestAddress() + (long) piece * PIECE_BYTES;
  }

  private void write(final VhostUserFrontEnd frontEnd, final byte value) {
    for (int piece = 0; piece < 2 * PIECES; piece++) {
      Mem.fill(frontEnd.toHost(address(frontEnd, piece)), PIECE_BYTES, value);
    }
    submit(frontEnd, BlkRequest.TYPE_OUT);
  }

  private void read(final VhostUserFrontEnd frontEnd) {
    for (int piece = 0; piece < 2 * PIECES; piece++) {
      Mem.fill(frontEnd.toHost(address(frontEnd, piece)), PIECE_BYTES, (byte) 0);
    }
    submit(frontEnd, BlkRequest.TYPE_IN);
  }

  /** Pieces of the good half and of the bad one, sent alternately. */
  private void submit(final VhostUserFrontEnd frontEnd, final int type) {
    final DriverQueue queue = frontEnd.queue(0);
    for (int i = 0; i < PIECES; i++) {
      add(frontEnd, type, i, (long) i * PIECE_BYTES, BlkRequest.STATUS_OK);
      add(frontEnd, type, PIECES + i, GOOD_BYTES + (long) i * PIECE_BYTES, BlkRequest.STATUS_IOERR);
    }
    queue.publish();
    frontEnd.kick(0);
  }

  private void add(
      final VhostUserFrontEnd frontEnd,
      final int type,
      final int piece,
      final long offsetBytes,
      final int status) {
    final DriverQueue queue = frontEnd.queue(0);
    final int token = queue.begin(type, offsetBytes / BlkRequest.SECTOR_BYTES);
    expectedStatus[token] = status;
    queue.data(address(frontEnd, piece), PIECE_BYTES, type == BlkRequest.TYPE_IN);
    assertTrue(queue.add());
  }

  private void assertAnswered(final VhostUserFrontEnd frontEnd) {
    final DriverQueue queue = frontEnd.queue(0);
    Waiting.until(
        "an answer to every request",
        RawFrontEnd.LIMIT,
        () -> {
          int token = queue.poll();
          while (token != DriverQueue.NONE) {
            assertEquals(expectedStatus[token], queue.status(token));
            queue.reclaim(token);
            token = queue.poll();
          }
          return queue.inFlightCount() == 0;
        });
    assertEquals(0, queue.faultCount());
  }
}
