package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.EOFException;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;

/**
 * Blocking client of a JSON-RPC server on a Unix socket, ours or SPDK's. Used by one thread at a
 * time.
 */
public final class RpcClient implements AutoCloseable {
  private static final int INPUT_LENGTH = 16 * 1024;

  private final Path socketPath;
  private final SocketChannel channel;
  private final Selector selector;
  private final SelectionKey key;
  private final long timeoutNs;
  private final JsonStreamReader reader = new JsonStreamReader(JsonStreamReader.Limits.CLIENT);
  private final ByteBuffer input = ByteBuffer.allocate(INPUT_LENGTH);
  private long lastId;

  private RpcClient(final Path socketPath, final SocketChannel channel, final long timeoutNs)
      throws IOException {
    this.socketPath = socketPath;
    this.channel = channel;
    this.timeoutNs = timeoutNs;
    selector = Selector.open();
    channel.configureBlocking(false);
    key = channel.register(selector, 0);
  }

  /**
   * Connects.
   *
   * @param timeout for each call
   * @throws IOException when nobody listens there
   */
  public static RpcClient connect(final Path socketPath, final Duration timeout)
      throws IOException {
    final SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.connect(UnixDomainSocketAddress.of(socketPath));
      return new RpcClient(socketPath, channel, timeout.toNanos());
    } catch (final IOException e) {
      channel.close();
      throw new IOException(
          "cannot reach a master at " + socketPath + " (" + e.getMessage() + "); is it running?",
          e);
    }
  }

  /**
   * Calls a method and waits for its answer.
   *
   * @param params an object, or null for none
   * @return the result
   * @throws RpcException the server's error answer
   * @throws SocketTimeoutException when no answer came in time; the connection is of no use then
   * @throws IOException when the connection ended or carried no JSON
   */
  public JsonNode call(final String method, final JsonNode params) throws IOException {
    final long id = ++lastId;
    final ObjectNode request = JsonNodeFactory.instance.objectNode();
    request.put("jsonrpc", "2.0");
    request.put("id", id);
    request.put("method", method);
    if (params != null && !params.isNull()) {
      request.set("params", params);
    }
    final long deadlineNs = System.nanoTime() + timeoutNs;
    send(ByteBuffer.wrap(JsonText.bytes(request)), method, deadlineNs);
    for (; ; ) {
      final JsonNode answer = receive(method, deadlineNs);
      final JsonNode error = answer.get("error");
      final JsonNode answeredId = answer.path("id");
      if (answeredId.asLong(-1) != id && !(answeredId.isNull() && error != null)) {
        continue;
      }
      if (error != null) {
        throw new RpcException(
            error.path("code").asInt(RpcException.INTERNAL_ERROR),
            error.path("message").asText("an error without a message"));
      }
      return answer.has("result") ? answer.get("result") : NullNode.getInstance();
    }
  }

  private void send(final ByteBuffer bytes, final String method, final long deadlineNs)
      throws IOException {
    while (bytes.hasRemaining()) {
      if (channel.write(bytes) == 0) {
        await(SelectionKey.OP_WRITE, method, deadlineNs);
      }
    }
  }

  private JsonNode receive(final String method, final long deadlineNs) throws IOException {
    try {
      for (; ; ) {
        final JsonNode value = reader.next();
        if (value != null) {
          return value;
        }
        input.clear();
        int length = channel.read(input);
        while (length == 0) {
          await(SelectionKey.OP_READ, method, deadlineNs);
          length = channel.read(input);
        }
        if (length < 0) {
          throw new EOFException(
              socketPath + " hung up before it answered " + method + "; did the master die?");
        }
        reader.feed(input.array(), 0, length);
      }
    } catch (final JsonStreamReader.MalformedStreamException e) {
      throw new IOException(socketPath + " does not speak JSON-RPC: " + e.getMessage(), e);
    }
  }

  private void await(final int operation, final String method, final long deadlineNs)
      throws IOException {
    final long leftMs = (deadlineNs - System.nanoTime() + 999_999) / 1_000_000;
    if (leftMs <= 0) {
      throw new SocketTimeoutException(
          "no answer to "
              + method
              + " within "
              + Duration.ofNanos(timeoutNs).toMillis()
              + " ms; the call may still be carried out");
    }
    key.interestOps(operation);
    selector.select(leftMs);
    selector.selectedKeys().clear();
  }

  @Override
  public void close() {
    try {
      selector.close();
      channel.close();
    } catch (final IOException e) {
      // Nothing is lost: every answer waited for has been read.
      lastId = 0;
    }
  }
}
