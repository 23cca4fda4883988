package io.virtnvme.tools.nbd;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;

/**
 * A connection over TCP or a Unix socket, buffered in both directions, on which nobody waits for
 * ever: what does not move for a time fails. Streams of a channel have no such limit. One thread.
 */
final class PatientChannel implements Closeable {
  private static final int IN_BYTES = 1 << 16;
  private static final int OUT_BYTES = 1 << 18;

  private final SocketChannel channel;
  private final Selector selector;
  private final SelectionKey key;
  private final int silenceMs;
  private final ByteBuffer in = ByteBuffer.allocateDirect(IN_BYTES).flip();
  private final ByteBuffer out = ByteBuffer.allocateDirect(OUT_BYTES);

  private PatientChannel(final SocketChannel channel, final Selector selector, final int silenceMs)
      throws IOException {
    this.channel = channel;
    this.selector = selector;
    this.silenceMs = silenceMs;
    channel.configureBlocking(false);
    this.key = channel.register(selector, 0);
  }

  /**
   * Connects.
   *
   * @param connectMs until a host has answered, ms; a Unix socket answers at once
   * @param silenceMs until the other end has moved something, ms
   */
  static PatientChannel connect(
      final SocketAddress address, final int connectMs, final int silenceMs) throws IOException {
    final SocketChannel channel;
    if (address instanceof UnixDomainSocketAddress unix) {
      channel = SocketChannel.open(unix);
    } else {
      channel = connectTcp((InetSocketAddress) address, connectMs);
    }
    Selector selector = null;
    try {
      selector = Selector.open();
      return new PatientChannel(channel, selector, silenceMs);
    } catch (final IOException e) {
      channel.close();
      if (selector != null) {
        selector.close();
      }
      throw e;
    }
  }

  private static SocketChannel connectTcp(final InetSocketAddress address, final int connectMs)
      throws IOException {
    final SocketChannel channel = SocketChannel.open();
    try {
      channel
          .socket()
          .connect(
              new InetSocketAddress(
                  InetAddress.getByName(address.getHostString()), address.getPort()),
              connectMs);
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      return channel;
    } catch (final IOException e) {
      channel.close();
      throw e;
    }
  }

  /** Where the next bytes are to be put, with room for so many. */
  ByteBuffer room(final int count) throws IOException {
    if (out.remaining() < count) {
      flush();
    }
    return out;
  }

  void write(final byte[] bytes, final int from, final int length) throws IOException {
    for (int done = 0; done < length; ) {
      final ByteBuffer to = room(1);
      final int part = Math.min(to.remaining(), length - done);
      to.put(bytes, from + done, part);
      done += part;
    }
  }

  void flush() throws IOException {
    out.flip();
    while (out.hasRemaining()) {
      if (channel.write(out) == 0) {
        await(SelectionKey.OP_WRITE);
      }
    }
    out.clear();
  }

  /**
   * Where the next bytes are to be taken, at least so many.
   *
   * @throws EOFException when the other end hung up
   * @throws SocketTimeoutException when it says nothing
   */
  ByteBuffer next(final int count) throws IOException {
    while (in.remaining() < count) {
      fill();
    }
    return in;
  }

  void read(final byte[] bytes, final int at, final int length) throws IOException {
    for (int done = 0; done < length; ) {
      final ByteBuffer from = next(1);
      final int part = Math.min(from.remaining(), length - done);
      from.get(bytes, at + done, part);
      done += part;
    }
  }

  private void fill() throws IOException {
    in.compact();
    try {
      int count = channel.read(in);
      while (count == 0) {
        await(SelectionKey.OP_READ);
        count = channel.read(in);
      }
      if (count < 0) {
        throw new EOFException("the server hung up");
      }
    } finally {
      in.flip();
    }
  }

  private void await(final int operation) throws IOException {
    key.interestOps(operation);
    final int readyCount = selector.select(silenceMs);
    selector.selectedKeys().clear();
    if (readyCount == 0) {
      throw new SocketTimeoutException("nothing moved for " + silenceMs + " ms");
    }
  }

  @Override
  public void close() throws IOException {
    try (selector) {
      channel.close();
    }
  }
}
