package io.virtnvme.tools.bench;

import static io.virtnvme.tools.page.Page.fixed;
import static io.virtnvme.tools.page.Page.grouped;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.tools.page.Page;
import io.virtnvme.tools.page.Svg;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** One HTML page, complete in itself, from what {@link BenchReport#toJson} says. Any thread. */
final class BenchPage {
  private static final int WIDTH = 1040;
  private static final int LABEL_WIDTH = 250;
  private static final int VALUE_WIDTH = 90;
  private static final int ROW_HEIGHT = 24;
  private static final int FOOT_HEIGHT = 24;
  private static final int BAR_HEIGHT = 12;
  private static final double LEAST_US = 0.1;
  private static final double MOST_US = 100_000;
  private static final String[] DECADES = {
    "0.1 us", "1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms"
  };

  private BenchPage() {}

  static String render(final JsonNode report) {
    final Page page = new Page("virtnvme bench: " + report.path("bdev").asText());
    head(page, report);
    for (final String work : works(report)) {
      final List<JsonNode> results = ofWork(report, work);
      page.add("<h2>").text(work).add("</h2>\n");
      page.add("<p class=\"dim\">Requests per second: the bar is the median of all runs, the thin");
      page.add(" line goes from the slowest to the fastest; the tick is what the client reaches");
      page.add(" against a peer that does nothing.</p>\n");
      page.add(rates(results, report.path("clientLimits")));
      page.add("<p class=\"dim\">Latency, logarithmic: median, 99 % and 99.9 %.</p>\n");
      page.add(latencies(results));
      table(page, results);
    }
    method(page, report);
    return page.end();
  }

  private static void head(final Page page, final JsonNode report) {
    final boolean complete = report.path("complete").asBoolean();
    page.add("<h1>").text(report.path("bdev").asText()).add(" disk, ");
    page.add(report.path("packed").asBoolean() ? "packed" : "split").add(" rings</h1>\n");
    page.add("<p class=\"dim\">").text(report.path("date").asText()).add(", virtnvme ");
    page.text(report.path("version").asText()).add("</p>\n");
    if (!complete) {
      page.add("<p><span class=\"verdict bad\">cut short</span> ");
      page.text(report.path("message").asText()).add("</p>\n");
    }
    page.add("<div class=\"facts\">\n");
    page.fact("client", report.path("client").asText());
    final int ratePerSecond = report.path("ratePerSecond").asInt();
    if (ratePerSecond > 0) {
      page.fact("requests due per second", grouped(ratePerSecond));
    }
    page.fact("runs of each kind", grouped(report.path("rounds").asInt()));
    page.fact("seconds each", grouped(report.path("seconds").asInt()));
    page.fact("pages of guest memory", Page.escape(report.path("guestPages").asText()));
    page.add("</div>\n");
  }

  private static Set<String> works(final JsonNode report) {
    final Set<String> works = new LinkedHashSet<>();
    report.path("results").forEach(result -> works.add(result.path("work").asText()));
    return works;
  }

  private static List<JsonNode> ofWork(final JsonNode report, final String work) {
    final List<JsonNode> found = new ArrayList<>();
    for (final JsonNode result : report.path("results")) {
      if (result.path("work").asText().equals(work)) {
        found.add(result);
      }
    }
    return found;
  }

  private static String label(final JsonNode result) {
    return "QD " + result.path("queueDepth").asInt() + "  " + result.path("subject").asText();
  }

  private static double limit(final JsonNode limits, final JsonNode result) {
    for (final JsonNode limit : limits) {
      if (limit.path("queueDepth").asInt() == result.path("queueDepth").asInt()) {
        return limit.path("iops").asDouble();
      }
    }
    return 0;
  }

  private static String rates(final List<JsonNode> results, final JsonNode limits) {
    // The client's limit is often far to the right of everything: then it is left out.
    final double most =
        results.stream().mapToDouble(result -> result.path("iopsMax").asDouble()).max().orElse(0);
    final double scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / Math.max(1, most);
    final Svg svg = new Svg(WIDTH, results.size() * ROW_HEIGHT + 4, "requests per second");
    svg.line(
        LABEL_WIDTH, 0, LABEL_WIDTH, results.size() * (double) ROW_HEIGHT, "stroke:var(--line)");
    for (int i = 0; i < results.size(); i++) {
      final JsonNode result = results.get(i);
      final double middle = i * ROW_HEIGHT + ROW_HEIGHT / 2.0;
      final double least = LABEL_WIDTH + result.path("iopsMin").asDouble() * scale;
      final double highest = LABEL_WIDTH + result.path("iopsMax").asDouble() * scale;
      svg.text(LABEL_WIDTH - 10, middle + 4, "end", label(result));
      svg.add(
          "<rect class=\"rate\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\""
              + " style=\"fill:var(--flow);opacity:%s\"/>",
          LABEL_WIDTH,
          middle - BAR_HEIGHT / 2.0,
          result.path("iops").asDouble() * scale,
          BAR_HEIGHT,
          result.path("subject").asText().startsWith("virtnvme") ? "1" : ".45");
      svg.line(least, middle, highest, middle, "stroke:var(--ink);stroke-width:1.5");
      final double limitX = LABEL_WIDTH + limit(limits, result) * scale;
      if (limitX > LABEL_WIDTH && limitX <= WIDTH) {
        svg.line(limitX, middle - 9, limitX, middle + 9, "stroke:var(--gap);stroke-width:2");
      }
      svg.text(highest + 8, middle + 4, "start", rate(result.path("iops").asDouble()));
    }
    return svg.end();
  }

  private static String rate(final double iops) {
    return iops >= 1e6 ? fixed(iops / 1e6, 2) + " M" : fixed(iops / 1e3, 1) + " k";
  }

  private static String latencies(final List<JsonNode> results) {
    final int height = results.size() * ROW_HEIGHT;
    final Svg svg = new Svg(WIDTH, height + FOOT_HEIGHT, "latency, logarithmic");
    for (int i = 0; i < DECADES.length; i++) {
      final double x = latencyX(LEAST_US * Math.pow(10, i));
      svg.line(x, 0, x, height, "stroke:var(--line)");
      svg.text(x, height + FOOT_HEIGHT - 8, "middle", DECADES[i]);
    }
    for (int i = 0; i < results.size(); i++) {
      final JsonNode result = results.get(i);
      final double middle = i * ROW_HEIGHT + ROW_HEIGHT / 2.0;
      final double[] points = {
        latencyX(result.path("p50Us").asDouble()),
        latencyX(result.path("p99Us").asDouble()),
        latencyX(result.path("p999Us").asDouble())
      };
      svg.text(LABEL_WIDTH - 10, middle + 4, "end", label(result));
      svg.line(points[0], middle, points[2], middle, "stroke:var(--flow);opacity:.5");
      for (int j = 0; j < points.length; j++) {
        svg.add(
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" style=\"fill:var(--%s)\"/>",
            points[j], middle, 5 - j, j == 0 ? "flow" : j == 1 ? "dim" : "gap");
      }
    }
    return svg.end();
  }

  private static double latencyX(final double us) {
    final double bounded = Math.max(LEAST_US, Math.min(MOST_US, us));
    final double share = Math.log(bounded / LEAST_US) / Math.log(MOST_US / LEAST_US);
    return LABEL_WIDTH + share * (WIDTH - LABEL_WIDTH - 30);
  }

  private static void table(final Page page, final List<JsonNode> results) {
    page.add("<table><thead><tr><th class=\"n\">QD</th><th>subject</th><th class=\"n\">IO/s</th>");
    page.add("<th class=\"n\">least..most</th><th class=\"n\">ratio</th>");
    page.add("<th class=\"n\">mean &micro;s</th><th class=\"n\">p50</th><th class=\"n\">p99</th>");
    page.add("<th class=\"n\">p99.9</th><th class=\"n\">cores</th>");
    page.add("<th class=\"n\">client's</th></tr></thead>\n<tbody>\n");
    for (final JsonNode result : results) {
      page.add("<tr>").number(grouped(result.path("queueDepth").asInt()));
      page.add("<td>").text(result.path("subject").asText()).add("</td>");
      page.number(grouped(result.path("iops").asLong()));
      page.number(
          grouped(result.path("iopsMin").asLong())
              + ".."
              + grouped(result.path("iopsMax").asLong()));
      page.number(ratio(results, result));
      for (final String column : List.of("meanUs", "p50Us", "p99Us", "p999Us", "cpu")) {
        page.number(fixed(result.path(column).asDouble(), 2));
      }
      page.number(fixed(result.path("clientCpu").asDouble(), 2)).add("</tr>\n");
    }
    page.add("</tbody></table>\n");
  }

  /** Against the first subject at the same depth. */
  private static String ratio(final List<JsonNode> results, final JsonNode result) {
    for (final JsonNode first : results) {
      if (first.path("queueDepth").asInt() == result.path("queueDepth").asInt()) {
        final double base = first.path("iops").asDouble();
        return base == 0
            ? "-"
            : String.format(Locale.ROOT, "%.2f", result.path("iops").asDouble() / base);
      }
    }
    return "-";
  }

  private static void method(final Page page, final JsonNode report) {
    page.add("<h2>How, and on what</h2>\n<p>Subjects take turns in each round, so that what the");
    page.add(" machine does meanwhile meets all of them. The client is a process of its own with");
    page.add(" one polling thread on another core than the reactor's; it speaks vhost-user-blk to");
    page.add(" every subject in the same way. Latency is from publishing a request to seeing its");
    page.add(" completion. Cores: processor time of the back-end's processes per time. Ratio: to");
    page.add(" the first subject at the same depth.</p>\n<table><tbody>\n");
    page.machine(report.path("machine"));
    page.add("<tr><td>again</td><td><code>").text(report.path("command").asText());
    page.add("</code></td></tr>\n</tbody></table>\n");
  }
}
