package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.JsonText;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What has happened: state changes and recoveries, as {@code
 * {"v":1,"timeMs":T,"type":NAME,"data":{..}}}, kept over restarts for two weeks of days with
 * events.
 *
 * <p>Every method may be called from any thread and returns at once; a daemon thread writes. An
 * event that cannot be written is counted, never an error: nothing depends on the history.
 */
public final class EventHistory implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(EventHistory.class);
  private static final int FORMAT_VERSION = 1;
  private static final int FILES_KEPT = 14;
  private static final int PENDING_MAX = 10_000;
  private static final int READ_COUNT_MAX = 10_000;
  private static final long CLOSE_TIMEOUT_MS = 5000;

  private final ExecutorService executor = SingleThread.executor("history");
  private final LongSupplier clockMs;
  private final AtomicInteger pending = new AtomicInteger();
  private final AtomicLong appended = new AtomicLong();
  private final AtomicLong lost = new AtomicLong();

  /** Belongs to the executor's thread; null when it could not be opened. */
  private JsonQueue queue;

  private EventHistory(final Path directory, final LongSupplier clockMs) {
    this.clockMs = clockMs;
    executor.execute(() -> openQueue(directory));
  }

  /**
   * Starts to open the history, or to make it; events may be appended at once.
   *
   * @param clockMs time of day; events keep their order when it jumps
   */
  public static EventHistory open(final Path directory, final LongSupplier clockMs) {
    return new EventHistory(directory, clockMs);
  }

  private void openQueue(final Path directory) {
    try {
      queue = JsonQueue.open(directory, clockMs);
      queue.prune(queue.currentCycle(), FILES_KEPT);
    } catch (final IOException e) {
      LOG.warn("events will not be kept: {}", e.getMessage());
    }
  }

  /**
   * Records an event.
   *
   * @param type a short name in snake case
   * @param data its particulars
   */
  public void append(final String type, final ObjectNode data) {
    final ObjectNode entry = JsonNodeFactory.instance.objectNode();
    entry.put("v", FORMAT_VERSION);
    entry.put("timeMs", clockMs.getAsLong());
    entry.put("type", type);
    entry.set("data", data);
    final String text = JsonText.line(entry);
    if (pending.incrementAndGet() > PENDING_MAX) {
      pending.decrementAndGet();
      lost.incrementAndGet();
      return;
    }
    try {
      executor.execute(() -> write(text));
    } catch (final RejectedExecutionException e) {
      lost.incrementAndGet();
    }
  }

  private void write(final String text) {
    pending.decrementAndGet();
    if (queue == null) {
      lost.incrementAndGet();
      return;
    }
    try {
      queue.append(text);
      appended.incrementAndGet();
    } catch (final IOException e) {
      lost.incrementAndGet();
      LOG.warn("event lost: {} ({})", text, e.getMessage());
    }
  }

  /**
   * The newest events, oldest of them first; those that cannot be read are left out.
   *
   * @param count at most 10000
   */
  public CompletionStage<List<JsonNode>> last(final int count) {
    return CompletableFuture.supplyAsync(() -> read(Math.min(count, READ_COUNT_MAX)), executor);
  }

  private List<JsonNode> read(final int count) {
    final List<JsonNode> events = new ArrayList<>();
    try {
      for (final String text : queue == null ? List.<String>of() : queue.last(count)) {
        events.add(JsonText.parse(text));
      }
    } catch (final IOException | IllegalArgumentException e) {
      LOG.warn("events from here on cannot be read: {}", e.getMessage());
    }
    return events;
  }

  /** Counters by name. */
  public Map<String, Long> counters() {
    final Map<String, Long> counters = new LinkedHashMap<>();
    counters.put("history_events_appended", appended.get());
    counters.put("history_events_lost", lost.get());
    return counters;
  }

  /** Writes what is pending and closes the files; bounded. */
  @Override
  public void close() {
    if (!executor.isShutdown()) {
      executor.execute(this::closeQueue);
    }
    executor.shutdown();
    try {
      if (!executor.awaitTermination(CLOSE_TIMEOUT_MS, TimeUnit.MILLISECONDS)) {
        LOG.warn("the history is still busy after {} ms", CLOSE_TIMEOUT_MS);
      }
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void closeQueue() {
    if (queue != null) {
      queue.close();
      queue = null;
    }
  }
}
