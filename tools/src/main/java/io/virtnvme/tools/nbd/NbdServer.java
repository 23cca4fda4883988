package io.virtnvme.tools.nbd;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Listens for NBD clients and serves each on a thread of its own; one of them that misbehaves
 * disturbs no other. {@link #run} belongs to one thread, {@link #close} to any.
 */
public final class NbdServer implements AutoCloseable {
  private static final int STREAM_BYTES = 1 << 16;

  private final ServerSocketChannel listener;
  private final Supplier<NbdExport> exports;
  private final Consumer<String> log;

  /**
   * A server that does not accept yet.
   *
   * @param listener bound; owned from here on
   * @param exports opens the export for a client that connected; a RuntimeException refuses it
   * @param log takes a line for each client
   */
  public NbdServer(
      final ServerSocketChannel listener,
      final Supplier<NbdExport> exports,
      final Consumer<String> log) {
    this.listener = listener;
    this.exports = exports;
    this.log = log;
  }

  /** Accepts until {@link #close}. */
  public void run() throws IOException {
    int count = 0;
    try {
      while (true) {
        final SocketChannel client = listener.accept();
        count++;
        final String name = "client " + count;
        final Thread thread = new Thread(() -> serve(client, name), "nbd-" + count);
        thread.setDaemon(true);
        thread.start();
      }
    } catch (final AsynchronousCloseException e) {
      // That is the end.
      return;
    }
  }

  private void serve(final SocketChannel client, final String name) {
    try (client;
        NbdExport export = exports.get();
        DataInputStream in = in(client);
        DataOutputStream out = out(client)) {
      log.accept(name + " connected");
      new NbdSession(in, out, export).serve();
      log.accept(name + " disconnected");
    } catch (final IOException | RuntimeException e) {
      log.accept(name + " is gone: " + e.getMessage());
    }
  }

  private static DataInputStream in(final SocketChannel client) {
    return new DataInputStream(
        new BufferedInputStream(Channels.newInputStream(client), STREAM_BYTES));
  }

  private static DataOutputStream out(final SocketChannel client) {
    return new DataOutputStream(
        new BufferedOutputStream(Channels.newOutputStream(client), STREAM_BYTES));
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
