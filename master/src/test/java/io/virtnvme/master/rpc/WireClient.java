package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Sends any bytes and reads the values that come back; blocks. */
final class WireClient implements AutoCloseable {
  private final SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
  private final JsonStreamReader reader = new JsonStreamReader(JsonStreamReader.Limits.CLIENT);
  private final ByteBuffer input = ByteBuffer.allocate(64 * 1024);

  WireClient(final Path socketPath) throws IOException {
    channel.connect(UnixDomainSocketAddress.of(socketPath));
  }

  WireClient send(final String text) throws IOException {
    return send(text.getBytes(StandardCharsets.UTF_8));
  }

  WireClient send(final byte[] bytes) throws IOException {
    final ByteBuffer buffer = ByteBuffer.wrap(bytes);
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
    return this;
  }

  /** Sends without waiting; returns how many bytes the socket took. */
  int sendSome(final byte[] bytes) throws IOException {
    channel.configureBlocking(false);
    try {
      return channel.write(ByteBuffer.wrap(bytes));
    } finally {
      channel.configureBlocking(true);
    }
  }

  WireClient endOfOutput() throws IOException {
    channel.shutdownOutput();
    return this;
  }

  /** The next value, or null when the server has hung up. */
  JsonNode receive() throws IOException {
    try {
      for (; ; ) {
        final JsonNode value = reader.next();
        if (value != null) {
          return value;
        }
        input.clear();
        final int length = channel.read(input);
        if (length < 0) {
          return null;
        }
        reader.feed(input.array(), 0, length);
      }
    } catch (final JsonStreamReader.MalformedStreamException e) {
      throw new IOException(e);
    }
  }

  int receiveErrorCode() throws IOException {
    return receive().path("error").path("code").asInt();
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
