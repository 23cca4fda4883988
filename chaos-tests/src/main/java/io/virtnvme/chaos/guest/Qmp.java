package io.virtnvme.chaos.guest;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * QEMU's machine protocol: one command at a time, answers in order, events in between. A daemon
 * thread reads; commands may come from any thread and wait for each other.
 */
final class Qmp implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int EVENT_COUNT_MAX = 1024;

  private final SocketChannel channel;
  private final Object commandLock = new Object();
  private final BlockingQueue<JsonNode> answers = new ArrayBlockingQueue<>(16);
  private final Deque<JsonNode> events = new ArrayDeque<>();
  private volatile boolean closed;

  /** Takes a connected socket and leaves the greeting phase. */
  Qmp(final SocketChannel channel, final Duration timeout) {
    this.channel = channel;
    final Thread reader = new Thread(this::read, "qmp");
    reader.setDaemon(true);
    reader.start();
    execute("{\"execute\":\"qmp_capabilities\"}", timeout);
  }

  /**
   * Runs one command.
   *
   * @param command a JSON object with {@code execute} and, if need be, {@code arguments}
   * @param timeout how long to wait for the answer
   * @return the member {@code return} of the answer
   */
  JsonNode execute(final String command, final Duration timeout) {
    synchronized (commandLock) {
      // An answer that came after its own command had given up must not be taken for ours.
      answers.clear();
      if (closed) {
        throw new IllegalStateException("QEMU has closed its QMP socket; not sent: " + command);
      }
      send(command);
      final JsonNode answer = poll(timeout);
      if (answer == null) {
        throw new GuestTimeoutException(
            "no answer from QEMU: timeoutMs=" + timeout.toMillis() + " command=" + command);
      }
      if (answer.has("error")) {
        throw new IllegalStateException(
            "QEMU refused " + command + ": " + answer.get("error").path("desc").asText());
      }
      return answer.path("return");
    }
  }

  /**
   * Waits for an event and takes it, together with all older ones.
   *
   * @param name the event, for example {@code DEVICE_DELETED}
   * @param timeout how long to wait
   * @return the event's data
   */
  JsonNode awaitEvent(final String name, final Duration timeout) {
    final long deadlineNs = System.nanoTime() + timeout.toNanos();
    synchronized (events) {
      while (true) {
        for (final Iterator<JsonNode> it = events.iterator(); it.hasNext(); ) {
          final JsonNode event = it.next();
          it.remove();
          if (name.equals(event.path("event").asText())) {
            return event.path("data");
          }
        }
        if (closed) {
          throw new IllegalStateException("QEMU has closed its QMP socket; no event " + name);
        }
        final long leftMs = (deadlineNs - System.nanoTime()) / 1_000_000;
        if (leftMs <= 0) {
          throw new GuestTimeoutException(
              "no event " + name + " from QEMU: timeoutMs=" + timeout.toMillis());
        }
        try {
          events.wait(leftMs);
        } catch (final InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new GuestTimeoutException("interrupted while waiting for event " + name);
        }
      }
    }
  }

  /** Whether QEMU has hung up, which it does only when it ends. */
  boolean isClosed() {
    return closed;
  }

  static String quote(final String text) {
    try {
      return JSON.writeValueAsString(text);
    } catch (final JsonProcessingException e) {
      throw new IllegalStateException("cannot write as JSON: " + text, e);
    }
  }

  static ObjectNode object() {
    return JSON.createObjectNode();
  }

  static JsonNode parse(final String text) throws JsonProcessingException {
    return JSON.readTree(text);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  private void send(final String command) {
    final ByteBuffer bytes = StandardCharsets.UTF_8.encode(command + "\n");
    try {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    } catch (final IOException e) {
      throw new IllegalStateException("cannot send to QEMU: " + command, e);
    }
  }

  private JsonNode poll(final Duration timeout) {
    try {
      return answers.poll(timeout.toNanos(), TimeUnit.NANOSECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return null;
    }
  }

  private void read() {
    try (BufferedReader reader =
        new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        onMessage(JSON.readTree(line));
      }
    } catch (final IOException e) {
      // The same as an end of file: QEMU is gone.
    } finally {
      closed = true;
      synchronized (events) {
        events.notifyAll();
      }
      // Wakes a command that waits. A full queue has one awake already.
      final boolean unused = answers.offer(error("QEMU has closed its QMP socket"));
    }
  }

  private static JsonNode error(final String description) {
    final ObjectNode message = JSON.createObjectNode();
    message.putObject("error").put("desc", description);
    return message;
  }

  private void onMessage(final JsonNode message) {
    if (message.has("event")) {
      synchronized (events) {
        if (events.size() == EVENT_COUNT_MAX) {
          events.removeFirst();
        }
        events.addLast(message);
        events.notifyAll();
      }
    } else if (!message.has("QMP") && !answers.offer(message)) {
      throw new IllegalStateException("QEMU answers what nobody asked: " + message);
    }
  }
}
