package io.virtnvme.chaos.mutation;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

/** What was tried and what came of it: a table as it goes on, or one JSON value at the end. */
final class Report {
  /**
   * One fault.
   *
   * @param mutation the fault
   * @param layer the first that caught it, or null
   * @param outcome what that layer said; of the last one tried when none caught it
   * @param seconds for all layers that were tried
   */
  record Row(Mutation mutation, Layer layer, Attempt.Outcome outcome, double seconds) {
    boolean isAsItShouldBe() {
      return layer != null || mutation.reasonNotCaught() != null;
    }
  }

  private final PrintStream out;
  private final boolean json;
  private final List<Row> rows = new ArrayList<>();

  Report(final PrintStream out, final boolean json) {
    this.out = out;
    this.json = json;
  }

  void begin() {
    if (!json) {
      out.println("| planted | caught by | test or seed | message | s |");
      out.println("|---|---|---|---|---|");
    }
  }

  /** Nothing was planted, and the layer said nothing. */
  void onSilence(final String what, final double seconds) {
    if (!json) {
      line("(nothing: " + what + ")", "-", "-", "all sound", seconds);
    }
  }

  void add(final Row row) {
    rows.add(row);
    if (!json) {
      final String reason = row.mutation().reasonNotCaught();
      final boolean caught = row.layer() != null;
      line(
          row.mutation().name(),
          caught ? row.layer().label() + note(row) : "**nothing**",
          caught ? row.outcome().test() : "-",
          caught || reason == null ? row.outcome().message() : "known: " + reason,
          row.seconds());
    }
  }

  private static String note(final Row row) {
    if (row.mutation().reasonNotCaught() != null) {
      return " (its not-caught is out of date)";
    }
    return row.layer().compareTo(row.mutation().expected()) > 0
        ? " (not by " + row.mutation().expected().label() + ", as expected)"
        : "";
  }

  private void line(
      final String planted,
      final String layer,
      final String test,
      final String message,
      final double seconds) {
    out.printf("| %s | %s | %s | %s | %.0f |%n", planted, layer, test, cell(message), seconds);
    out.flush();
  }

  private static String cell(final String text) {
    return text.replace("|", "\\|");
  }

  /** Prints what is left to print; true when every fault is caught or known not to be. */
  boolean end() {
    final long caught = rows.stream().filter(row -> row.layer() != null).count();
    final boolean good = rows.stream().allMatch(Row::isAsItShouldBe);
    if (!json) {
      out.println();
      out.println(
          caught + " of " + rows.size() + " caught" + (good ? "" : ": the others are holes"));
      return good;
    }
    final ObjectMapper mapper = new ObjectMapper();
    final ArrayNode array = mapper.createArrayNode();
    for (final Row row : rows) {
      final ObjectNode node = array.addObject();
      node.put("name", row.mutation().name());
      node.put("breaks", row.mutation().breaks());
      node.put("file", row.mutation().file());
      node.put("expected", row.mutation().expected().label());
      node.put("layer", row.layer() == null ? null : row.layer().label());
      node.put("test", row.outcome().test());
      node.put("message", row.outcome().message());
      node.put("not_caught_reason", row.mutation().reasonNotCaught());
      node.put("seconds", Math.round(row.seconds() * 10) / 10.0);
    }
    final ObjectNode report = mapper.createObjectNode();
    report.put("caught", caught);
    report.put("good", good);
    report.set("mutations", array);
    out.println(report.toPrettyString());
    return good;
  }
}
