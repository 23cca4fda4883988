package io.virtnvme.tools.migrate;

import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.RunDirectory;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code virtnvme receive}: waits for a disk that another host gives away. */
@Command(
    name = "receive",
    mixinStandardHelpOptions = true,
    description = {
      "Take a disk that 'virtnvme migrate' sends from another host. What is on the bdev is lost.",
      "From the first word of the source until the disk is here, guests of the bdev wait. Ends when"
          + " it is here. A source that is interrupted may come again; so may this command be"
          + " interrupted and started again."
    },
    footer = {
      "",
      "Example:",
      "  virtnvme receive --disk disk0 --listen 0.0.0.0:7700 --tls-keystore host2.p12 \\",
      "    --tls-truststore ca.p12 --tls-password-file secret",
      "Exit codes: 0 the disk is here, 1 not, 2 usage."
    })
public final class ReceiveCommand implements Callable<Integer> {
  private static final int SILENCE_MS = 120_000;
  private static final int HEARD_OUT_MS = 2000;
  private static final int ENTRY_COUNT = 2 * VolumeWriter.DEPTH;

  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;
  @Mixin private LinkOptions link;

  @Option(
      names = "--disk",
      paramLabel = "NAME",
      required = true,
      description = "The bdev: at least as long as the source's, with the same block length.")
  private String disk;

  @Option(
      names = "--listen",
      paramLabel = "HOST:PORT",
      required = true,
      description = "Where to wait for the source; port 0 takes a free one.")
  private String listen;

  public ReceiveCommand() {}

  @Override
  public Integer call() throws IOException {
    link.check(spec);
    final InetSocketAddress at = LinkOptions.parse(spec, "--listen", listen, 0);
    final DiskControl control = new DiskControl(runDirectory, disk);
    final String endpoint = "receive-" + disk;
    final Path path = control.openEndpoint(endpoint, false);
    try (ServerSocket listener = link.listen(at)) {
      say(disk + " at " + listener.getLocalSocketAddress());
      while (true) {
        try (Socket socket = listener.accept()) {
          final String peer = String.valueOf(socket.getRemoteSocketAddress());
          say("source " + peer);
          if (serve(socket, control, path, peer)) {
            say(disk + " is here");
            return 0;
          }
          say("source " + peer + " is gone");
        } catch (final IOException | RpcException e) {
          // One source: the next one may do better.
          say("source is gone: " + e.getMessage());
        } catch (final QpairException e) {
          throw new CommandFailedException(e.getMessage(), e);
        }
      }
    } finally {
      control.closeEndpoint(endpoint);
    }
  }

  /** Everything is new for each source: nothing of the one before may be in flight. */
  private boolean serve(
      final Socket socket, final DiskControl control, final Path path, final String peer)
      throws IOException {
    socket.setSoTimeout(SILENCE_MS);
    socket.setTcpNoDelay(true);
    try (Wire wire = Wire.over(socket);
        QpairClient client =
            QpairClient.attach(
                path, ENTRY_COUNT, (long) Receiver.POOL_CHUNKS * ChunkTable.CHUNK_BYTES, true)) {
      try {
        return new Receiver(wire, control, client, peer).serve();
      } catch (final IOException | RpcException e) {
        hearOut(socket);
        throw e;
      }
    }
  }

  /** What is not read when a connection is closed takes what was said last along. */
  private static void hearOut(final Socket socket) throws IOException {
    socket.shutdownOutput();
    final byte[] bytes = new byte[1 << 16];
    final long endNs = System.nanoTime() + HEARD_OUT_MS * 1_000_000L;
    socket.setSoTimeout(HEARD_OUT_MS);
    while (System.nanoTime() < endNs && socket.getInputStream().read(bytes) >= 0) {
      // Of no use any more.
    }
  }

  private void say(final String line) {
    final PrintWriter err = spec.commandLine().getErr();
    err.println("receive: " + line);
    err.flush();
  }
}
