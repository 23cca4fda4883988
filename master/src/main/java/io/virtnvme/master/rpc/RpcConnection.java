package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * One client of the server. Owned by the RPC thread. A client that sends without reading its
 * answers is not read any more until it does; one that does not take an answer for a while is let
 * go.
 */
final class RpcConnection {
  private static final int INPUT_LENGTH = 16 * 1024;
  private static final int OUTSTANDING_MAX = 32;
  private static final int QUEUED_LENGTH_PAUSE = 256 * 1024;
  private static final long OUTPUT_TIMEOUT_NS = 30_000_000_000L;

  private final SocketChannel channel;
  private final SelectionKey key;
  private final RequestDispatcher dispatcher;
  private final JsonRpcServer server;
  private final JsonStreamReader reader = new JsonStreamReader(JsonStreamReader.Limits.SERVER);
  private final ByteBuffer input = ByteBuffer.allocate(INPUT_LENGTH);
  private final Deque<ByteBuffer> output = new ArrayDeque<>();
  private int outstanding;
  private long queuedLength;
  private long progressNs;
  private boolean endOfInput;
  private boolean malformed;

  RpcConnection(
      final SocketChannel channel,
      final SelectionKey key,
      final RequestDispatcher dispatcher,
      final JsonRpcServer server,
      final long nowNs) {
    this.channel = channel;
    this.key = key;
    this.dispatcher = dispatcher;
    this.server = server;
    progressNs = nowNs;
  }

  /** The socket was ready. */
  void onReady(final long nowNs) throws IOException {
    if (key.isWritable()) {
      drain(nowNs);
    }
    if (key.isReadable()) {
      readSome(nowNs);
    }
    handleInput();
    drain(nowNs);
    updateInterest();
  }

  /** A call of this client has ended; the answer may be null for none. */
  void onAnswer(final ByteBuffer answer, final long nowNs) throws IOException {
    outstanding--;
    if (answer != null) {
      enqueue(answer);
    }
    drain(nowNs);
    handleInput();
    drain(nowNs);
    updateInterest();
  }

  /** Whether nothing more will be read or sent. */
  boolean isDone() {
    return (endOfInput || malformed) && outstanding == 0 && output.isEmpty();
  }

  /** Whether the client has not taken its output for too long. */
  boolean isStuck(final long nowNs) {
    return !output.isEmpty() && nowNs - progressNs > OUTPUT_TIMEOUT_NS;
  }

  /**
   * How long nothing happened, or -1 while a call or an answer is under way. A client that has
   * ended its output counts as idle even then: it may be gone for good.
   */
  long idleNs(final long nowNs) {
    return (outstanding == 0 || endOfInput) && output.isEmpty() ? nowNs - progressNs : -1;
  }

  void close() {
    key.cancel();
    try {
      channel.close();
    } catch (final IOException e) {
      // The client is gone either way; there is nobody to tell.
      endOfInput = true;
    }
  }

  private boolean isPaused() {
    return outstanding >= OUTSTANDING_MAX || queuedLength > QUEUED_LENGTH_PAUSE;
  }

  private void readSome(final long nowNs) throws IOException {
    if (endOfInput || malformed || !reader.needsInput()) {
      return;
    }
    input.clear();
    final int length = channel.read(input);
    if (length < 0) {
      endOfInput = true;
    } else if (length > 0) {
      progressNs = nowNs;
      try {
        reader.feed(input.array(), 0, length);
      } catch (final JsonStreamReader.MalformedStreamException e) {
        refuse(e);
      }
    }
  }

  private void handleInput() {
    while (!malformed && !isPaused()) {
      try {
        final JsonNode value = reader.next();
        if (value == null) {
          return;
        }
        outstanding++;
        dispatcher.dispatch(value, reader.repeatedName(), answer -> server.onAnswer(this, answer));
      } catch (final JsonStreamReader.MalformedStreamException e) {
        refuse(e);
      }
    }
  }

  /** There is no way to find the next request in a broken stream: answer, then hang up. */
  private void refuse(final JsonStreamReader.MalformedStreamException failure) {
    malformed = true;
    server.onMalformed();
    enqueue(JsonRpcServer.encode(dispatcher.parseError(failure.getMessage())));
  }

  /** Puts an answer given while the request was being handled into the output. */
  void onAnswerWithin(final ByteBuffer answer) {
    outstanding--;
    if (answer != null) {
      enqueue(answer);
    }
  }

  private void enqueue(final ByteBuffer bytes) {
    output.add(bytes);
    queuedLength += bytes.remaining();
  }

  private void drain(final long nowNs) throws IOException {
    ByteBuffer head = output.peek();
    while (head != null) {
      final int written = channel.write(head);
      if (written == 0) {
        return;
      }
      queuedLength -= written;
      progressNs = nowNs;
      if (!head.hasRemaining()) {
        output.poll();
        head = output.peek();
      }
    }
  }

  private void updateInterest() {
    if (!key.isValid()) {
      return;
    }
    final boolean wantsInput = !endOfInput && !malformed && !isPaused() && reader.needsInput();
    key.interestOps(
        (wantsInput ? SelectionKey.OP_READ : 0) | (output.isEmpty() ? 0 : SelectionKey.OP_WRITE));
  }
}
