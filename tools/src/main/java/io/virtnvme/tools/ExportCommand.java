package io.virtnvme.tools;

import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.tools.nbd.NbdServer;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code virtnvme export NAME}: the volume behind a VirtNvme endpoint, for NBD clients. */
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    description = {
      "Let NBD clients read a volume through a VirtNvme endpoint while a slave serves it.",
      "Runs until it is interrupted. Nobody can write. The death of a slave is a pause for clients.",
      "A TCP port is for everybody who reaches it, without encryption: use a loopback address."
    },
    footer = {
      "",
      "Example, with the endpoint 'backup':",
      "  virtnvme export backup --nbd unix:/run/backup.nbd &",
      "  qemu-img convert -O qcow2 nbd+unix:///backup?socket=/run/backup.nbd disk0.qcow2",
      "Exit codes: 0 interrupted, 1 no server, 2 usage."
    })
final class ExportCommand implements Callable<Integer> {
  private static final String UNIX_PREFIX = "unix:";

  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;

  @Parameters(index = "0", paramLabel = "NAME", description = "Name of the endpoint.")
  private String endpoint;

  @Option(
      names = "--nbd",
      paramLabel = "ADDRESS",
      required = true,
      description = "Where to listen: unix:PATH, or HOST:PORT.")
  private String address;

  @Override
  public Integer call() throws IOException {
    final Path socket = runDirectory.qpairSocket(endpoint);
    // Once now: what is wrong is said here, not to the first client.
    try (QpairExport attached = new QpairExport(endpoint, socket)) {
      if (attached.lengthBytes() == 0) {
        throw new CommandFailedException(endpoint + " has no blocks");
      }
    } catch (final QpairException e) {
      throw new CommandFailedException(e.getMessage(), e);
    }
    final PrintWriter err = spec.commandLine().getErr();
    final Path path = address.startsWith(UNIX_PREFIX) ? unixPath() : null;
    final ServerSocketChannel listener = path == null ? listenTcp() : listenUnix(path);
    try (NbdServer server =
        new NbdServer(
            listener,
            () -> new QpairExport(endpoint, socket),
            line -> {
              err.println("export: " + line);
              err.flush();
            })) {
      if (path != null) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> deleteQuietly(path), "cleanup"));
      }
      err.println("export: " + endpoint + " at " + listener.getLocalAddress());
      err.flush();
      server.run();
    }
    return 0;
  }

  private Path unixPath() {
    return Path.of(address.substring(UNIX_PREFIX.length())).toAbsolutePath();
  }

  /** For its owner alone: who reads the disk reads everything on it. */
  private ServerSocketChannel listenUnix(final Path path) throws IOException {
    final ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      listener.bind(UnixDomainSocketAddress.of(path));
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
      return listener;
    } catch (final IOException e) {
      listener.close();
      throw new CommandFailedException("cannot listen at " + path + ": " + e.getMessage(), e);
    }
  }

  private ServerSocketChannel listenTcp() throws IOException {
    final int colon = address.lastIndexOf(':');
    final InetSocketAddress where;
    try {
      where =
          new InetSocketAddress(
              address.substring(0, Math.max(0, colon)),
              Integer.parseInt(address.substring(colon + 1)));
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(
          spec.commandLine(), "--nbd: '" + address + "' is neither unix:PATH nor HOST:PORT");
    }
    final ServerSocketChannel listener = ServerSocketChannel.open();
    try {
      listener.bind(where);
      return listener;
    } catch (final IOException | java.nio.channels.UnresolvedAddressException e) {
      listener.close();
      throw new CommandFailedException("cannot listen at " + address + ": " + e.getMessage(), e);
    }
  }

  private static void deleteQuietly(final Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (final IOException e) {
      // Somebody else's problem from now on.
      return;
    }
  }
}
