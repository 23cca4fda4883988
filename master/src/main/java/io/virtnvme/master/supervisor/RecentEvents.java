package io.virtnvme.master.supervisor;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.JsonText;
import java.util.ArrayDeque;
import java.util.List;
import java.util.function.BiConsumer;

/** Passes events on to the history and remembers the last ones. Conductor thread. */
final class RecentEvents implements BiConsumer<String, ObjectNode> {
  private static final int KEPT_MAX = 128;

  private final BiConsumer<String, ObjectNode> history;
  private final ArrayDeque<String> lines = new ArrayDeque<>();

  RecentEvents(final BiConsumer<String, ObjectNode> history) {
    this.history = history;
  }

  @Override
  public void accept(final String type, final ObjectNode data) {
    history.accept(type, data);
    lines.add(System.currentTimeMillis() + " " + type + " " + JsonText.line(data));
    if (lines.size() > KEPT_MAX) {
      lines.remove();
    }
  }

  /** Milliseconds since the epoch, type, particulars; oldest first. */
  List<String> lines() {
    return List.copyOf(lines);
  }
}
