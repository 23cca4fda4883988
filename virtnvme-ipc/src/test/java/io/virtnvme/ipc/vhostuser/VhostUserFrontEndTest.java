package io.virtnvme.ipc.vhostuser;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.ipc.virtio.BlkConfig;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a back-end that is not ours: qemu-storage-daemon, where it is installed. */
class VhostUserFrontEndTest {
  private static final Path DAEMON = Path.of("/usr/bin/qemu-storage-daemon");
  private static final int DISK_BYTES = 1 << 20;
  private static final Duration LIMIT = Duration.ofSeconds(10);

  @TempDir private Path folder;
  private Process daemon;

  @AfterEach
  void stopDaemon() throws InterruptedException {
    if (daemon != null) {
      daemon.destroyForcibly();
      assertTrue(daemon.waitFor(10, TimeUnit.SECONDS));
    }
  }

  private Path socket() {
    return folder.resolve("s");
  }

  private void startDaemon() throws IOException {
    assumeTrue(Files.isExecutable(DAEMON), "qemu-storage-daemon is not installed");
    final Path disk = folder.resolve("disk");
    if (!Files.exists(disk)) {
      try (RandomAccessFile file = new RandomAccessFile(disk.toFile(), "rw")) {
        file.setLength(DISK_BYTES);
      }
    }
    Files.deleteIfExists(socket());
    daemon =
        new ProcessBuilder(
                DAEMON.toString(),
                "--blockdev",
                "driver=file,node-name=d0,filename=" + disk,
                "--export",
                "type=vhost-user-blk,id=e0,node-name=d0,addr.type=unix,addr.path="
                    + socket()
                    + ",writable=on,num-queues=2")
            .redirectErrorStream(true)
            .redirectOutput(new File("/dev/null"))
            .start();
    Awaitility.await().atMost(LIMIT).until(() -> Files.exists(socket()));
  }

  private VhostUserFrontEndConfig config() {
    return new VhostUserFrontEndConfig().socketPath(socket().toString()).queueSize(64);
  }

  private static void transfer(
      final VhostUserFrontEnd frontEnd,
      final int queueIndex,
      final int type,
      final long sector,
      final int lengthBytes) {
    final DriverQueue queue = frontEnd.queue(queueIndex);
    final int token = queue.begin(type, sector);
    queue.data(frontEnd.dataGuestAddress(), lengthBytes, type == BlkRequest.TYPE_IN);
    assertTrue(queue.add());
    if (queue.publish()) {
      frontEnd.kick(queueIndex);
    }
    Awaitility.await().atMost(LIMIT).until(() -> queue.poll() == token);
    assertEquals(BlkRequest.STATUS_OK, queue.status(token));
    queue.reclaim(token);
  }

  private static void fillData(final VhostUserFrontEnd frontEnd, final byte value) {
    Mem.fill(frontEnd.toHost(frontEnd.dataGuestAddress()), 4096, value);
  }

  private static byte[] data(final VhostUserFrontEnd frontEnd) {
    final byte[] bytes = new byte[4096];
    Mem.copyOut(frontEnd.toHost(frontEnd.dataGuestAddress()), bytes, 0, bytes.length);
    return bytes;
  }

  private static byte[] filled(final int value) {
    final byte[] bytes = new byte[4096];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  @Test
  void shouldReadBackWhatItWroteThroughAnotherQueue() throws IOException {
    startDaemon();
    try (VhostUserFrontEnd frontEnd = VhostUserFrontEnd.connect(config().queueCount(2))) {
      fillData(frontEnd, (byte) 0x5A);
      transfer(frontEnd, 0, BlkRequest.TYPE_OUT, 8, 4096);
      fillData(frontEnd, (byte) 0);
      transfer(frontEnd, 1, BlkRequest.TYPE_IN, 8, 4096);
      assertArrayEquals(filled(0x5A), data(frontEnd));
      assertEquals(2, frontEnd.stop().length);
    }
  }

  @Test
  void shouldReadTheCapacityFromConfigurationSpace() throws IOException {
    startDaemon();
    try (VhostUserFrontEnd frontEnd = VhostUserFrontEnd.connect(config())) {
      final ByteBuffer space =
          ByteBuffer.wrap(frontEnd.readConfig(BlkConfig.LENGTH)).order(ByteOrder.LITTLE_ENDIAN);
      assertEquals(DISK_BYTES / BlkRequest.SECTOR_BYTES, space.getLong(BlkConfig.CAPACITY_OFFSET));
    }
  }

  @Test
  void shouldGoOnAfterTheBackEndWasReplaced() throws IOException, InterruptedException {
    startDaemon();
    try (VhostUserFrontEnd frontEnd = VhostUserFrontEnd.connect(config())) {
      fillData(frontEnd, (byte) 0x77);
      transfer(frontEnd, 0, BlkRequest.TYPE_OUT, 16, 4096);
      assertTrue(frontEnd.isConnected());
      stopDaemon();
      assertFalse(frontEnd.isConnected());
      assertTrue(
          assertThrows(VhostUserFrontEndException.class, frontEnd::reconnect).disconnected());
      startDaemon();
      Awaitility.await()
          .atMost(LIMIT)
          .ignoreExceptionsInstanceOf(VhostUserFrontEndException.class)
          .untilAsserted(frontEnd::reconnect);
      fillData(frontEnd, (byte) 0);
      transfer(frontEnd, 0, BlkRequest.TYPE_IN, 16, 4096);
      assertArrayEquals(filled(0x77), data(frontEnd));
    }
  }

  @Test
  void shouldSayWhatTheBackEndLacks() throws IOException {
    startDaemon();
    final VhostUserFrontEndException noPacked =
        assertThrows(
            VhostUserFrontEndException.class,
            () -> VhostUserFrontEnd.connect(config().packed(true)));
    assertTrue(noPacked.getMessage().contains("RING_PACKED"), noPacked.getMessage());
    final VhostUserFrontEndException tooMany =
        assertThrows(
            VhostUserFrontEndException.class,
            () -> VhostUserFrontEnd.connect(config().queueCount(3)));
    assertTrue(tooMany.getMessage().contains("wanted=3 most=2"), tooMany.getMessage());
    assertFalse(tooMany.disconnected());
  }

  @Test
  void shouldGiveUpOnABackEndThatDoesNotAnswer() {
    final int listener = UnixSocket.listenStream(socket().toString(), 1);
    try {
      final VhostUserFrontEndException failure =
          assertThrows(
              VhostUserFrontEndException.class,
              () -> VhostUserFrontEnd.connect(config().timeoutMs(50)));
      assertTrue(failure.getMessage().contains("no answer to GET_FEATURES"), failure.getMessage());
      assertTrue(failure.disconnected());
    } finally {
      Fds.close(listener);
    }
  }

  @Test
  void shouldRefuseAConfigurationOutOfRange() {
    assertThrows(
        IllegalArgumentException.class, () -> VhostUserFrontEnd.connect(config().queueSize(100)));
    assertThrows(
        IllegalArgumentException.class, () -> VhostUserFrontEnd.connect(config().queueCount(0)));
    assertThrows(
        IllegalArgumentException.class,
        () -> VhostUserFrontEnd.connect(new VhostUserFrontEndConfig()));
  }
}
