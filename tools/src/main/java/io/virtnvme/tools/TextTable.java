package io.virtnvme.tools;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/** Aligned columns for people. */
final class TextTable {
  private final List<List<String>> rows = new ArrayList<>();

  TextTable(final String... headings) {
    rows.add(List.of(headings));
  }

  void row(final Object... cells) {
    final List<String> row = new ArrayList<>();
    for (final Object cell : cells) {
      row.add(String.valueOf(cell));
    }
    rows.add(row);
  }

  /** Prints the table, or {@code none} when it has no row. */
  void print(final PrintWriter out, final String title, final String none) {
    out.println(title);
    if (rows.size() == 1) {
      out.println("  " + none);
      return;
    }
    final int[] widths = new int[rows.get(0).size()];
    for (final List<String> row : rows) {
      for (int i = 0; i < row.size(); i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    for (final List<String> row : rows) {
      final StringBuilder line = new StringBuilder("  ");
      for (int i = 0; i < row.size(); i++) {
        line.append(row.get(i));
        line.append(" ".repeat(widths[i] - row.get(i).length() + 2));
      }
      out.println(line.toString().stripTrailing());
    }
  }
}
