package io.virtnvme.chaos.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A stock {@code qemu-storage-daemon} that serves one raw file over vhost-user-blk: the peer that
 * the harness is proven with.
 */
public final class StorageDaemon implements AutoCloseable {
  private static final Duration START_TIMEOUT = Duration.ofSeconds(20);
  private static final long POLL_INTERVAL_NS = TimeUnit.MILLISECONDS.toNanos(5);

  private final ChildProcess process;
  private final Path socket;

  private StorageDaemon(final ChildProcess process, final Path socket) {
    this.process = process;
    this.socket = socket;
  }

  /**
   * Starts the daemon and waits until it listens.
   *
   * @param image an existing raw file, a multiple of 512 bytes long
   * @param socket where to listen; its folder gets the daemon's log too
   * @param queueCount request queues
   * @return the running daemon; close it
   * @throws IOException when it cannot be started
   * @throws IllegalStateException when it ends at once; the message has what it said
   */
  public static StorageDaemon start(final Path image, final Path socket, final int queueCount)
      throws IOException {
    Disk.checkSocket(socket);
    Files.deleteIfExists(socket);
    final Path log = socket.resolveSibling(socket.getFileName() + ".log");
    final List<String> command =
        List.of(
            "qemu-storage-daemon",
            "--object",
            "iothread,id=io0",
            "--blockdev",
            "driver=file,filename="
                + image
                + ",node-name=d0,aio=io_uring,cache.direct=on,discard=unmap,locking=off",
            "--export",
            "type=vhost-user-blk,id=e0,node-name=d0,addr.type=unix,addr.path="
                + socket
                + ",writable=on,num-queues="
                + queueCount
                + ",iothread=io0");
    final StorageDaemon daemon = new StorageDaemon(ChildProcess.start(command, log), socket);
    daemon.awaitSocket();
    return daemon;
  }

  /** Where it listens. */
  public Path socket() {
    return socket;
  }

  /** Its process id. */
  public long pid() {
    return process.pid();
  }

  /** SIGKILL; back when it is gone. The socket file stays, as a dead process leaves it. */
  public void kill() {
    process.kill();
  }

  @Override
  public void close() throws IOException {
    process.close();
    Files.deleteIfExists(socket);
  }

  private void awaitSocket() {
    final long deadlineNs = System.nanoTime() + START_TIMEOUT.toNanos();
    while (!Files.exists(socket)) {
      if (!process.isAlive() || System.nanoTime() - deadlineNs > 0) {
        process.kill();
        throw new IllegalStateException(
            "qemu-storage-daemon does not serve " + socket + "\n" + process.logTail());
      }
      LockSupport.parkNanos(POLL_INTERVAL_NS);
    }
  }
}
