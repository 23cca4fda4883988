package io.virtnvme.tools.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.tools.page.Svg;
import java.util.Locale;

/** The pictures of the page, as SVG. Any thread. */
final class Charts {
  private static final int LEFT = 46;
  private static final int RIGHT = 12;

  private static final int TIMELINE_WIDTH = 500;
  private static final int PANEL_HEIGHT = 96;
  private static final int BOTTOM = 22;
  private static final int TOP = 16;

  /** The label of the left edge needs so much. */
  private static final int LABEL_ROOM = 70;

  /** A picture shows so many times the gap, and never less than the least. */
  private static final int SPAN_FACTOR = 3;

  private static final int SPAN_MS_LEAST = 60;

  private static final int WIDE = 1040;
  private static final int ROW_HEIGHT = 20;
  private static final int LABEL_WIDTH = 230;
  private static final double LEAST_MS = 0.1;
  private static final double MOST_MS = 100_000;
  private static final int CAMPAIGN_HEIGHT = 170;

  private Charts() {}

  /** Requests per millisecond around one fault: a panel with its gap for each group of disks. */
  static String timeline(final JsonNode timeline) {
    final int beforeAll = timeline.path("before_ms").asInt();
    int spanMs = SPAN_MS_LEAST;
    for (final JsonNode series : timeline.path("series")) {
      final int wanted = (int) Math.ceil(series.path("blackout_ms").asDouble() * SPAN_FACTOR);
      spanMs = Math.max(spanMs, Math.min(wanted, seenMs(series.path("ios_per_ms"), beforeAll)));
    }
    final int beforeMs = Math.min(beforeAll, Math.max(SPAN_MS_LEAST / 2, spanMs / 3));
    final int panels = timeline.path("series").size();
    final Svg svg =
        new Svg(
            TIMELINE_WIDTH,
            panels * PANEL_HEIGHT + BOTTOM,
            "requests per millisecond around the fault");
    final double width = TIMELINE_WIDTH - LEFT - RIGHT;
    final double strikeX = LEFT + width * beforeMs / (beforeMs + spanMs);
    double top = 0;
    for (final JsonNode series : timeline.path("series")) {
      panel(svg, series, top, beforeAll - beforeMs, beforeMs + spanMs, strikeX);
      top += PANEL_HEIGHT;
    }
    if (strikeX - LEFT > LABEL_ROOM) {
      svg.text(LEFT, top + BOTTOM - 6, "start", "-" + beforeMs + " ms");
    }
    svg.text(strikeX, top + BOTTOM - 6, "middle", "fault");
    svg.text(LEFT + width, top + BOTTOM - 6, "end", "+" + spanMs + " ms");
    return svg.end();
  }

  /** Milliseconds after the fault until the last request that was seen. */
  private static int seenMs(final JsonNode counts, final int beforeAll) {
    int last = counts.size() - 1;
    while (last > beforeAll && counts.path(last).asInt() == 0) {
      last--;
    }
    return last - beforeAll;
  }

  private static void panel(
      final Svg svg,
      final JsonNode series,
      final double top,
      final int first,
      final int lengthMs,
      final double strikeX) {
    final JsonNode counts = series.path("ios_per_ms");
    final double gapMs = series.path("blackout_ms").asDouble();
    final int stepMs = Math.max(1, lengthMs / (TIMELINE_WIDTH - LEFT - RIGHT));
    final double[] bars = new double[lengthMs / stepMs];
    double highest = 1;
    for (int i = 0; i < bars.length; i++) {
      for (int j = 0; j < stepMs; j++) {
        bars[i] += counts.path(first + i * stepMs + j).asInt();
      }
      bars[i] /= stepMs;
      highest = Math.max(highest, bars[i]);
    }
    final double width = TIMELINE_WIDTH - LEFT - RIGHT;
    final double roof = top + TOP;
    final double base = top + PANEL_HEIGHT - 4;
    final double pxPerMs = width / lengthMs;
    final double gapWidth = Math.min(gapMs * pxPerMs, LEFT + width - strikeX);
    svg.add(
        "<rect class=\"gap\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\""
            + " style=\"fill:var(--gap);opacity:.15\"/>",
        strikeX, roof, gapWidth, base - roof);
    svg.add("<path class=\"flow\" style=\"fill:var(--flow)\" d=\"");
    for (int i = 0; i < bars.length; i++) {
      if (bars[i] > 0) {
        svg.add(
            "M%.1f %.1fV%.1fh%.2fV%.1fz",
            LEFT + i * stepMs * pxPerMs,
            base,
            base - bars[i] / highest * (base - roof),
            stepMs * pxPerMs,
            base);
      }
    }
    svg.add("\"/>");
    svg.line(LEFT, base, LEFT + width, base, "stroke:var(--line)");
    svg.line(strikeX, roof - 2, strikeX, base, "stroke:var(--gap);stroke-width:1.5");
    svg.text(LEFT - 6, roof + 8, "end", String.format(Locale.ROOT, "%.0f", highest));
    svg.text(LEFT - 6, base, "end", "0");
    svg.text(
        LEFT + width,
        roof + 1,
        "end",
        series.path("disks").asText() + ": " + (gapMs == 0 ? "no gap" : gap(gapMs)));
  }

  private static String gap(final double ms) {
    return String.format(Locale.ROOT, ms < 10 ? "%.2f ms" : "%,.0f ms", ms);
  }

  /** A row of dots per kind of fault and group of disks. */
  static String blackouts(final JsonNode kinds) {
    int rows = 0;
    for (final JsonNode kind : kinds) {
      rows += kind.path("count").asInt() > 0 ? kind.path("groups").size() : 0;
    }
    final int height = rows * ROW_HEIGHT + 28;
    final Svg svg = new Svg(WIDE, height, "blackouts by kind of fault, logarithmic");
    final String[] labels = {"0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"};
    for (int i = 0; i < labels.length; i++) {
      final double x = dotX(LEAST_MS * Math.pow(10, i));
      svg.line(x, 0, x, rows * ROW_HEIGHT, "stroke:var(--line)");
      svg.text(x, height - 8, "middle", labels[i]);
    }
    int row = 0;
    for (final JsonNode kind : kinds) {
      for (final JsonNode group : kind.path("groups")) {
        if (kind.path("count").asInt() > 0) {
          final String label = kind.path("kind").asText() + ", " + group.path("disks").asText();
          row(svg, row++ * ROW_HEIGHT + ROW_HEIGHT / 2.0, label, group);
        }
      }
    }
    return svg.end();
  }

  private static void row(final Svg svg, final double y, final String label, final JsonNode group) {
    svg.text(LABEL_WIDTH - 10, y + 4, "end", label);
    for (final JsonNode value : group.path("blackouts_ms")) {
      svg.add(
          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" style=\"fill:var(--flow);opacity:.4\"/>",
          dotX(value.asDouble()), y);
    }
    final double median = dotX(group.path("p50").asDouble());
    svg.line(median, y - 8, median, y + 8, "stroke:var(--gap);stroke-width:2.5");
  }

  private static double dotX(final double ms) {
    final double bounded = Math.max(LEAST_MS, Math.min(MOST_MS, ms));
    final double share = Math.log(bounded / LEAST_MS) / Math.log(MOST_MS / LEAST_MS);
    return LABEL_WIDTH + share * (WIDE - LABEL_WIDTH - 30);
  }

  /** Requests per second over the whole campaign. */
  static String campaign(final JsonNode campaign) {
    final JsonNode perSecond = campaign.path("ios_per_second");
    final int seconds = Math.max(1, perSecond.size());
    double highest = 1;
    for (final JsonNode value : perSecond) {
      highest = Math.max(highest, value.asDouble());
    }
    final double width = WIDE - LEFT - RIGHT;
    final double base = CAMPAIGN_HEIGHT - BOTTOM - 10;
    final double height = base - TOP;
    final Svg svg = new Svg(WIDE, CAMPAIGN_HEIGHT, "requests per second");
    svg.add("<path style=\"fill:var(--flow);opacity:.8\" d=\"M%d %.1f", LEFT, base);
    for (int i = 0; i < perSecond.size(); i++) {
      svg.add(
          "L%.1f %.1f",
          LEFT + (i + 0.5) / seconds * width,
          base - perSecond.path(i).asDouble() / highest * height);
    }
    svg.add("L%.1f %.1fz\"/>", LEFT + width, base);
    for (final JsonNode fault : campaign.path("faults")) {
      final double x = LEFT + Math.min(1, fault.path("at_ms").asDouble() / 1e3 / seconds) * width;
      svg.line(x, base + 2, x, base + 9, "stroke:var(--gap)");
    }
    svg.text(LEFT - 6, TOP + 8, "end", String.format(Locale.ROOT, "%.0fk", highest / 1000));
    svg.text(LEFT - 6, base, "end", "0");
    svg.text(LEFT, CAMPAIGN_HEIGHT - 4, "start", "0");
    svg.text(LEFT + width, CAMPAIGN_HEIGHT - 4, "end", seconds + " s");
    return svg.end();
  }
}
