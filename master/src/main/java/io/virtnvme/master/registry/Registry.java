package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The event log of what should exist: each control call that changed something, as {@code
 * {"v":1,"timeMs":T,"method":M,"params":{..}}}, appended after the call has succeeded.
 *
 * <p>Opening takes Chronicle 100 to 700 ms, so it happens on the registry's own daemon thread while
 * the master makes its sockets; {@link #desired} tells when it is done. Every method may be called
 * from any thread and returns at once; entries are appended in the order of the calls.
 *
 * <p>One file per day. The first entry that goes into a new file is preceded by a checkpoint, the
 * calls that make everything again, so the files before it are only history: eight are kept.
 */
public final class Registry implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Registry.class);
  private static final int FORMAT_VERSION = 1;
  private static final int FILES_KEPT = 8;
  private static final long CLOSE_TIMEOUT_MS = 5000;
  private static final String OPEN_METHOD = "virtnvme_registry_open";

  private final Path directory;
  private final LongSupplier clockMs;
  private final ExecutorService executor;
  private final CompletableFuture<DesiredState> desired = new CompletableFuture<>();
  private final AtomicLong appended = new AtomicLong();
  private final AtomicLong skipped = new AtomicLong();
  private final AtomicLong damagedFiles = new AtomicLong();

  // All below belong to the registry's thread.
  private final RegistryReplay replay = new RegistryReplay(skipped);
  private JsonQueue queue;

  private Registry(final Path directory, final LongSupplier clockMs) {
    this.directory = directory;
    this.clockMs = clockMs;
    executor = SingleThread.executor("registry");
    executor.execute(this::openAndReplay);
  }

  /**
   * Starts to open the registry, or to make it.
   *
   * @param directory of its files; one master at a time
   * @param clockMs time of day; entries keep their order when it jumps
   */
  public static Registry open(final Path directory, final LongSupplier clockMs) {
    return new Registry(directory, clockMs);
  }

  /**
   * What should exist according to the entries found at opening; a copy. Completes on the
   * registry's thread, so what depends on it must not block. Fails with {@link IOException} when
   * the registry cannot be opened; the message says what to do.
   */
  public CompletionStage<DesiredState> desired() {
    return desired.thenApply(DesiredState::new);
  }

  /**
   * Records a call that has changed what should exist.
   *
   * @param params as {@link DesiredState#apply} takes them
   * @return completes when the entry is on the device; fails with {@link RpcException} when it is
   *     not recorded
   */
  public CompletionStage<Void> append(final String method, final ObjectNode params) {
    final ObjectNode copy = params.deepCopy();
    final CompletableFuture<Void> recorded = new CompletableFuture<>();
    try {
      // Behind the opening and earlier entries in the executor's queue, so in order.
      executor.execute(() -> record(method, copy, recorded));
    } catch (final RejectedExecutionException e) {
      recorded.completeExceptionally(
          new RpcException(RpcException.EIO, notRecorded(method, "the registry is closed")));
    }
    return recorded;
  }

  private void record(
      final String method, final ObjectNode params, final CompletableFuture<Void> recorded) {
    if (queue == null) {
      recorded.completeExceptionally(
          new RpcException(RpcException.EIO, notRecorded(method, "the registry is not open")));
      return;
    }
    try {
      appendEntry(method, params);
      recorded.complete(null);
    } catch (final IOException | RuntimeException e) {
      LOG.error("not recorded: {} {}", method, params, e);
      recorded.completeExceptionally(
          new RpcException(RpcException.EIO, notRecorded(method, e.getMessage())));
    }
  }

  private static String notRecorded(final String method, final String reason) {
    return method
        + " has been carried out but not recorded, so it will be undone when the master restarts: "
        + reason;
  }

  /** Counters by name. */
  public Map<String, Long> counters() {
    final Map<String, Long> counters = new LinkedHashMap<>();
    counters.put("registry_entries_appended", appended.get());
    counters.put("registry_entries_skipped", skipped.get());
    counters.put("registry_files_damaged", damagedFiles.get());
    return counters;
  }

  /** Ends what is under way and closes the files; bounded. */
  @Override
  public void close() {
    if (!executor.isShutdown()) {
      executor.execute(this::closeQueue);
    }
    executor.shutdown();
    try {
      if (!executor.awaitTermination(CLOSE_TIMEOUT_MS, TimeUnit.MILLISECONDS)) {
        LOG.warn("the registry is still busy after {} ms", CLOSE_TIMEOUT_MS);
      }
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void openAndReplay() {
    final long startNs = System.nanoTime();
    try {
      queue = JsonQueue.open(directory, clockMs);
      damagedFiles.addAndGet(queue.replay(replay));
      replay.end();
      final ObjectNode mark = JsonNodeFactory.instance.objectNode();
      mark.put("pid", ProcessHandle.current().pid());
      queue.checkNewest(appendEntry(OPEN_METHOD, mark));
      queue.prune(replay.checkpointCycle(), FILES_KEPT);
    } catch (final IOException | RuntimeException e) {
      final IOException failure =
          e instanceof IOException expected ? expected : JsonQueue.unusable(directory, e);
      LOG.error("registry: {}", failure.getMessage());
      closeQueue();
      desired.completeExceptionally(failure);
      return;
    }
    LOG.info(
        "registry {}: {} bdevs, {} controllers, {} entries skipped, {} ms",
        directory,
        replay.state().bdevs().size(),
        replay.state().controllers().size(),
        skipped.get(),
        (System.nanoTime() - startNs) / 1_000_000);
    desired.complete(new DesiredState(replay.state()));
  }

  private void closeQueue() {
    if (queue != null) {
      queue.close();
      queue = null;
    }
  }

  private String appendEntry(final String method, final ObjectNode params) throws IOException {
    if (replay.checkpointCycle() < queue.currentCycle()) {
      appendCheckpoint();
    }
    final String text = entry(method, params);
    queue.append(text);
    queue.force();
    appended.incrementAndGet();
    if (!method.equals(OPEN_METHOD)) {
      replay.apply(method, params);
    }
    return text;
  }

  /** A kill on the way leaves a checkpoint without its end, which a replay throws away. */
  private void appendCheckpoint() throws IOException {
    final int cycle = queue.currentCycle();
    final Map<String, JsonNode> none = Map.of();
    queue.append(entry(RegistryReplay.CHECKPOINT_BEGIN, params(none)));
    int count = 0;
    final ObjectNode config = replay.state().config();
    for (final ConfigCall call : ConfigReader.calls(config)) {
      queue.append(entry(call.method(), call.params()));
      count++;
    }
    queue.append(
        entry(
            RegistryReplay.CHECKPOINT_END,
            params(Map.of("count", JsonNodeFactory.instance.numberNode(count)))));
    replay.checkpointCycle(cycle);
  }

  private static ObjectNode params(final Map<String, JsonNode> members) {
    final ObjectNode params = JsonNodeFactory.instance.objectNode();
    params.setAll(members);
    return params;
  }

  private String entry(final String method, final ObjectNode params) {
    final ObjectNode entry = JsonNodeFactory.instance.objectNode();
    entry.put("v", FORMAT_VERSION);
    entry.put("timeMs", clockMs.getAsLong());
    entry.put("method", method);
    entry.set("params", params);
    return JsonText.line(entry);
  }
}
