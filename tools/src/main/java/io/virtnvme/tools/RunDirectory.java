package io.virtnvme.tools;

import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.master.rpc.RpcClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import picocli.CommandLine.Option;

/** The option {@code --run-dir}, and what can be found there. */
public final class RunDirectory {
  @Option(
      names = "--run-dir",
      paramLabel = "DIR",
      defaultValue = "/run/virtnvme",
      description = "Run directory of the pair (default: ${DEFAULT-VALUE}).")
  private Path path;

  public RunDirectory() {}

  /** A run directory that was not named on a command line. */
  public static RunDirectory of(final Path path) {
    final RunDirectory directory = new RunDirectory();
    directory.path = path;
    return directory;
  }

  /** Absolute path. */
  public Path path() {
    return path.toAbsolutePath().normalize();
  }

  /** The master's JSON-RPC socket. */
  public Path rpcSocket() {
    return path().resolve("rpc.sock");
  }

  /** The socket of a controller, for a front-end. */
  public Path controllerSocket(final String controller) {
    return path().resolve("vhost").resolve(controller);
  }

  /** The socket of a VirtNvme endpoint, for a secondary. */
  Path qpairSocket(final String endpoint) {
    return path().resolve("virtnvme").resolve(endpoint);
  }

  /**
   * Connects to the master.
   *
   * @throws IOException when no master answers there
   */
  public RpcClient connect(final Duration timeout) throws IOException {
    return RpcClient.connect(rpcSocket(), timeout);
  }

  /**
   * The segments of the instance that has this run directory, whether or not anything runs.
   *
   * @return null when no instance was ever started here
   */
  public SegmentDirectory segments() throws IOException {
    final Path file = path().resolve("instance");
    if (!Files.exists(file)) {
      return null;
    }
    final String text = Files.readString(file).trim();
    try {
      return SegmentDirectory.of(Long.parseUnsignedLong(text, 16));
    } catch (final NumberFormatException e) {
      throw new IOException(file + " holds no instance id: '" + text + "'", e);
    }
  }
}
