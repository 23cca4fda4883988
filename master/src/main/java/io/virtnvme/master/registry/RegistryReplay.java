package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcException;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Folds the registry's entries into what should exist. An entry that cannot be used is skipped with
 * a log line and a counter. Used by the registry's thread.
 *
 * <p>A checkpoint is {@code begin}, the creates, {@code end} with their count. It replaces the
 * state only as a whole: without its end, or with a member missing, the state from before it stays,
 * unless there is none (the older files are gone).
 */
final class RegistryReplay implements JsonQueue.EntryConsumer {
  static final String CHECKPOINT_BEGIN = "virtnvme_checkpoint_begin";
  static final String CHECKPOINT_END = "virtnvme_checkpoint_end";

  private static final Logger LOG = LoggerFactory.getLogger(RegistryReplay.class);
  private static final int TEXT_SHOWN_MAX = 200;

  private final AtomicLong skipped;
  private DesiredState state = new DesiredState();
  private DesiredState checkpoint;
  private int checkpointCount;
  private int checkpointCycle = -1;
  private boolean stateIsKnown;

  RegistryReplay(final AtomicLong skipped) {
    this.skipped = skipped;
  }

  DesiredState state() {
    return state;
  }

  /** The day of the last complete checkpoint, or -1. */
  int checkpointCycle() {
    return checkpointCycle;
  }

  void checkpointCycle(final int cycle) {
    checkpointCycle = cycle;
  }

  @Override
  public void onEntry(final String text, final int cycle) {
    try {
      final JsonNode entry = JsonText.parse(text);
      if (entry.path("v").asInt() != 1) {
        throw new IllegalArgumentException(
            "format version " + entry.path("v") + " where this build knows 1");
      }
      onCall(entry.path("method").asText(), entry.path("params"), cycle);
    } catch (final IllegalArgumentException | RpcException e) {
      skip(text, e);
    }
  }

  private void onCall(final String method, final JsonNode params, final int cycle) {
    switch (method) {
      case CHECKPOINT_BEGIN -> {
        checkpoint = new DesiredState();
        checkpointCount = 0;
      }
      case CHECKPOINT_END -> onCheckpointEnd(params.path("count").asInt(-1), cycle);
      case "virtnvme_registry_open" -> stateIsKnown = true;
      default -> {
        if (checkpoint == null) {
          state.apply(method, params);
          stateIsKnown = true;
        } else {
          checkpoint.apply(method, params);
          checkpointCount++;
        }
      }
    }
  }

  private void onCheckpointEnd(final int count, final int cycle) {
    if (checkpoint == null) {
      throw new IllegalArgumentException("the end of a checkpoint without its begin");
    }
    if (count == checkpointCount || !stateIsKnown) {
      state = checkpoint;
      checkpointCycle = cycle;
    }
    final boolean complete = count == checkpointCount;
    checkpoint = null;
    if (!complete) {
      throw new IllegalArgumentException(
          "a checkpoint of " + count + " calls of which " + checkpointCount + " can be used");
    }
  }

  /** No more entries. */
  void end() {
    checkpoint = null;
  }

  /** Applies a call that was just appended. */
  void apply(final String method, final JsonNode params) {
    try {
      state.apply(method, params);
    } catch (final RpcException e) {
      skip(method + " " + JsonText.line(params), e);
    }
  }

  private void skip(final String text, final RuntimeException reason) {
    skipped.incrementAndGet();
    LOG.warn(
        "registry entry skipped ({}): {}",
        reason.getMessage(),
        text.length() <= TEXT_SHOWN_MAX ? text : text.substring(0, TEXT_SHOWN_MAX) + "...");
  }
}
