package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.ipc.vhostuser.VhostUserBackendRequest;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.virtio.BlkRequest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A disk grows under a running guest, which is told so over the back-end channel. */
@Tag("once")
class ResizeTest {
  private static final int LENGTH = 4096;
  private static final int BLOCK_COUNT = 256;
  private static final int LIMIT_MS = 20_000;
  private static final int SECTORS_PER_BLOCK = Pair.BLOCK_BYTES / BlkRequest.SECTOR_BYTES;

  @RegisterExtension private final Pairs pairs = new Pairs();

  @ParameterizedTest
  @ValueSource(strings = {"mem", "uring"})
  void shouldTellTheGuestThatItsDiskHasGrown(final String bdev) {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler());
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", BLOCK_COUNT);
    }
    pair.createController("vm", "disk", false);
    final int slave = pair.activePidWithStandbys(1, 0);
    final RawGuest guest = pairs.add(RawGuest.running(pair.socket("vm"), false));
    final int[] channel = UnixSocket.streamPair();
    pairs.add(() -> Fds.close(channel[0]));
    guest
        .frontEnd()
        .sendAcknowledged(
            VhostUserMessage.request(VhostUserRequest.SET_BACKEND_REQ_FD, 0, 0), channel[1]);
    Fds.close(channel[1]);
    assertEquals(BLOCK_COUNT * SECTORS_PER_BLOCK, guest.capacitySectors());
    assertEquals(BlkRequest.STATUS_IOERR, writeBehind(guest, BLOCK_COUNT));

    resize(pair, bdev, 2 * BLOCK_COUNT);
    awaitConfigChange(channel[0]);
    assertEquals(2 * BLOCK_COUNT * SECTORS_PER_BLOCK, guest.capacitySectors());
    assertEquals(BlkRequest.STATUS_OK, writeBehind(guest, BLOCK_COUNT));
    assertEquals(BlkRequest.STATUS_IOERR, writeBehind(guest, 2 * BLOCK_COUNT));

    Victim.kill(slave);
    assertEquals(BlkRequest.STATUS_OK, writeBehind(guest, 2 * BLOCK_COUNT - 1), "the successor");
    resize(pair, bdev, 3 * BLOCK_COUNT);
    awaitConfigChange(channel[0]);
    assertEquals(BlkRequest.STATUS_OK, writeBehind(guest, 3 * BLOCK_COUNT - 1));

    pair.killMaster();
    pair.startMaster();
    assertEquals(
        3L * BLOCK_COUNT,
        pair.call("bdev_get_bdevs", Json.of("name", "disk")).path(0).path("num_blocks").asLong(),
        "the next master knows the new length");
    assertEquals(BlkRequest.STATUS_OK, writeBehind(guest, 3 * BLOCK_COUNT - 1));
  }

  private static void resize(final Pair pair, final String bdev, final int blockCount) {
    if (bdev.equals("mem")) {
      pair.call("virtnvme_bdev_resize", Json.of("name", "disk", "num_blocks", blockCount));
      return;
    }
    final int fd = Fds.open(pair.path().resolve("disk.img").toString(), Fds.O_RDWR, 0);
    try {
      Fds.truncate(fd, (long) blockCount * Pair.BLOCK_BYTES);
    } finally {
      Fds.close(fd);
    }
    pair.call("bdev_uring_rescan", Json.of("name", "disk"));
  }

  private static int writeBehind(final RawGuest guest, final int block) {
    return guest.transfer(BlkRequest.TYPE_OUT, (long) block * SECTORS_PER_BLOCK, LENGTH, false);
  }

  private static void awaitConfigChange(final int channelFd) {
    assertTrue(Fds.awaitReadable(channelFd, LIMIT_MS), "a message on the back-end channel");
    final long buffer = Mem.allocate(VhostUserMessage.HEADER_LENGTH);
    try {
      assertEquals(
          VhostUserMessage.HEADER_LENGTH,
          Fds.read(channelFd, buffer, VhostUserMessage.HEADER_LENGTH));
      assertEquals(
          VhostUserBackendRequest.CONFIG_CHANGE_MSG.code(),
          Mem.getInt(buffer + VhostUserMessage.REQUEST_OFFSET));
      assertEquals(0, Mem.getInt(buffer + VhostUserMessage.SIZE_OFFSET));
    } finally {
      Mem.free(buffer);
    }
    assertEquals(0, UnixSocket.unreadInputBytes(channelFd), "one message for one change");
  }
}
