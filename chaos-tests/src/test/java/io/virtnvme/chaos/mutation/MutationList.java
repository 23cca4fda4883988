package io.virtnvme.chaos.mutation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads {@code chaos-tests/mutations/list}. An entry is a name in brackets, some keys with values,
 * and the change as in a patch: lines that begin with {@code -} are taken out, those with {@code +}
 * put in.
 */
final class MutationList {
  static final Path PATH = Path.of("chaos-tests", "mutations", "list");

  private static final Set<String> KEYS =
      Set.of("breaks", "file", "expected", "processes", "not-caught");

  private final List<Mutation> mutations = new ArrayList<>();
  private final Map<String, String> values = new HashMap<>();
  private final StringBuilder original = new StringBuilder();
  private final StringBuilder replacement = new StringBuilder();
  private String name;

  private MutationList() {}

  /**
   * Reads the list of a tree.
   *
   * @throws IllegalArgumentException with the line when it cannot be understood
   */
  static List<Mutation> read(final Path root) throws IOException {
    final MutationList list = new MutationList();
    int number = 0;
    for (final String line : Files.readAllLines(root.resolve(PATH))) {
      number++;
      try {
        list.onLine(line);
      } catch (final RuntimeException e) {
        throw new IllegalArgumentException(PATH + ":" + number + ": " + e.getMessage(), e);
      }
    }
    list.endEntry();
    return list.mutations;
  }

  private void onLine(final String line) {
    if (line.startsWith("-")) {
      original.append(line, 1, line.length()).append('\n');
    } else if (line.startsWith("+")) {
      replacement.append(line, 1, line.length()).append('\n');
    } else if (line.startsWith("[") && line.endsWith("]")) {
      endEntry();
      name = line.substring(1, line.length() - 1);
    } else if (!line.isBlank() && !line.startsWith("#")) {
      final int colon = line.indexOf(": ");
      if (name == null || colon < 0 || !KEYS.contains(line.substring(0, colon))) {
        throw new IllegalArgumentException("not a line of an entry: \"" + line + "\"");
      }
      if (values.put(line.substring(0, colon), line.substring(colon + 2).strip()) != null) {
        throw new IllegalArgumentException("twice in " + name + ": \"" + line + "\"");
      }
    }
  }

  private void endEntry() {
    if (name == null) {
      return;
    }
    final String processes = values.getOrDefault("processes", "");
    mutations.add(
        new Mutation(
            name,
            required("breaks"),
            required("file"),
            original.toString(),
            replacement.toString(),
            Layer.of(required("expected")),
            processes.isEmpty() ? List.of() : List.of(processes.split(", *")),
            values.get("not-caught")));
    values.clear();
    original.setLength(0);
    replacement.setLength(0);
  }

  private String required(final String key) {
    final String value = values.get(key);
    if (value == null) {
      throw new IllegalArgumentException("entry " + name + " has no \"" + key + "\"");
    }
    return value;
  }
}
