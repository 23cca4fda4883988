package io.virtnvme.slave.nvme;

import java.util.ArrayList;
import java.util.List;

/**
 * The last commands that failed; immutable.
 *
 * @param count of all errors since the session began
 * @param entries newest first; the newest has number {@code count}, each other one less
 */
record ErrorLog(long count, List<CommandError> entries) {
  static final int ENTRIES_MAX = 64;
  static final ErrorLog EMPTY = new ErrorLog(0, List.of());

  ErrorLog plus(final CommandError error) {
    final List<CommandError> all = new ArrayList<>(entries.size() + 1);
    all.add(error);
    all.addAll(entries.subList(0, Math.min(entries.size(), ENTRIES_MAX - 1)));
    return new ErrorLog(count + 1, List.copyOf(all));
  }
}
