package io.virtnvme.chaos.guest;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * One QEMU process with its sockets and logs in a directory of its own. A guest lives in one, and
 * moves to another to migrate.
 */
final class Qemu implements AutoCloseable {
  private static final long POLL_INTERVAL_NS = TimeUnit.MILLISECONDS.toNanos(5);
  private static final Duration QUIT_TIMEOUT = Duration.ofSeconds(2);

  /** From the moment that the kernel closes QEMU's sockets to the moment that it can be reaped. */
  private static final Duration EXIT_GRACE = Duration.ofSeconds(1);

  private static final String NO_INCOMING = "";

  private final Path directory;
  private final List<Path> sockets;
  private final List<SocketChannel> portChannels = new ArrayList<>();
  private final ChildProcess process;
  private Qmp qmp;

  private Qemu(final Path directory, final List<Path> sockets, final ChildProcess process) {
    this.directory = directory;
    this.sockets = sockets;
    this.process = process;
  }

  /** Starts QEMU and connects to all its sockets. */
  static Qemu start(final GuestBuilder config, final Path directory, final long deadlineNs) {
    return start(config, directory, NO_INCOMING, deadlineNs);
  }

  /** Starts QEMU waiting for a guest to arrive at the given socket. */
  static Qemu startIncoming(
      final GuestBuilder config, final Path directory, final Path incoming, final long deadlineNs) {
    return start(config, directory, Disk.checkSocket(incoming).toString(), deadlineNs);
  }

  private static Qemu start(
      final GuestBuilder config,
      final Path directory,
      final String incoming,
      final long deadlineNs) {
    Qemu qemu = null;
    try {
      Files.createDirectories(directory);
      final List<String> command = config.command(directory);
      final List<Path> sockets = new ArrayList<>(List.of(monitorSocket(directory)));
      for (int i = 0; i < config.portCount(); i++) {
        sockets.add(portSocket(directory, i));
      }
      if (!incoming.isEmpty()) {
        command.addAll(List.of("-incoming", "unix:" + incoming));
        sockets.add(Path.of(incoming));
      }
      Files.writeString(directory.resolve("command"), String.join("\n", command) + "\n");
      qemu =
          new Qemu(directory, sockets, ChildProcess.start(command, directory.resolve("qemu.log")));
      for (int i = 0; i < config.portCount(); i++) {
        qemu.portChannels.add(qemu.connect(portSocket(directory, i), deadlineNs));
      }
      final SocketChannel monitor = qemu.connect(monitorSocket(directory), deadlineNs);
      qemu.qmp = new Qmp(monitor, Duration.ofNanos(Math.max(1, deadlineNs - System.nanoTime())));
      return qemu;
    } catch (final IOException e) {
      closeQuietly(qemu);
      throw new UncheckedIOException("cannot start QEMU in " + directory, e);
    } catch (final RuntimeException e) {
      final boolean died = qemu != null && qemu.process.exitsWithin(EXIT_GRACE);
      final GuestDiedException death = died ? qemu.death() : null;
      closeQuietly(qemu);
      throw death != null ? death : e;
    }
  }

  static Path monitorSocket(final Path directory) {
    return Disk.checkSocket(directory.resolve("qmp"));
  }

  static Path portSocket(final Path directory, final int index) {
    return Disk.checkSocket(directory.resolve("p" + index));
  }

  static Path consoleLog(final Path directory) {
    return directory.resolve("console.log");
  }

  List<SocketChannel> portChannels() {
    return portChannels;
  }

  JsonNode execute(final String command, final Duration timeout) {
    return orDeath(() -> qmp.execute(command, timeout));
  }

  JsonNode awaitEvent(final String name, final Duration timeout) {
    return orDeath(() -> qmp.awaitEvent(name, timeout));
  }

  ChildProcess process() {
    return process;
  }

  Path directory() {
    return directory;
  }

  /** What the guest's kernel wrote to its console: warnings and worse, all of a panic. */
  String console() {
    try {
      final Path log = consoleLog(directory);
      return Files.exists(log) ? Files.readString(log, StandardCharsets.ISO_8859_1) : "";
    } catch (final IOException e) {
      throw new UncheckedIOException("cannot read the console log in " + directory, e);
    }
  }

  /** The end of the console, for error texts. */
  String consoleTail() {
    final String text = console();
    return text.substring(Math.max(0, text.length() - 2000));
  }

  /** Says how QEMU ended; it must have. */
  GuestDiedException death() {
    return new GuestDiedException(
        "QEMU ended with "
            + process.exitText()
            + " in "
            + directory
            + "\n--- QEMU said:\n"
            + process.logTail()
            + "\n--- console:\n"
            + consoleTail());
  }

  /** Ends QEMU: asks, then SIGTERM, then SIGKILL. Logs stay, sockets go. */
  @Override
  public void close() {
    try {
      if (qmp != null && process.isAlive()) {
        quit();
      }
    } finally {
      process.close();
      deleteSockets();
    }
  }

  private void quit() {
    try {
      qmp.execute("{\"execute\":\"quit\"}", QUIT_TIMEOUT);
    } catch (final GuestTimeoutException | IllegalStateException e) {
      return;
    }
    process.exitsWithin(QUIT_TIMEOUT);
  }

  private void deleteSockets() {
    try {
      for (final SocketChannel channel : portChannels) {
        channel.close();
      }
      if (qmp != null) {
        qmp.close();
      }
      for (final Path socket : sockets) {
        Files.deleteIfExists(socket);
      }
    } catch (final IOException e) {
      throw new UncheckedIOException("cannot clean up " + directory, e);
    }
  }

  private SocketChannel connect(final Path socket, final long deadlineNs) throws IOException {
    while (true) {
      final SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
      try {
        channel.connect(UnixDomainSocketAddress.of(socket));
        return channel;
      } catch (final IOException e) {
        // Not there yet, or there and not listening yet.
        channel.close();
      }
      if (!process.isAlive()) {
        throw death();
      }
      if (System.nanoTime() - deadlineNs > 0) {
        throw new GuestTimeoutException("QEMU does not open " + socket + "\n" + process.logTail());
      }
      LockSupport.parkNanos(POLL_INTERVAL_NS);
    }
  }

  /** A QEMU that has hung up ends: its last words say more than the failed call. */
  private JsonNode orDeath(final Supplier<JsonNode> call) {
    try {
      return call.get();
    } catch (final GuestTimeoutException | IllegalStateException e) {
      if (qmp.isClosed() && process.exitsWithin(EXIT_GRACE)) {
        throw death();
      }
      throw e;
    }
  }

  private static void closeQuietly(final Qemu qemu) {
    if (qemu != null) {
      qemu.close();
    }
  }
}
