package io.virtnvme.tools.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;

/**
 * One HTML page, complete in itself, from what a campaign left: what was done, what the clients
 * felt, and pictures of the gaps. Any thread.
 */
final class ReportPage {
  private static final String STYLE =
      """
      :root{--ink:#1c2430;--dim:#647084;--line:#dfe4ea;--back:#fff;--card:#f6f8fa;--flow:#2f6fb0;
      --gap:#d64545;--good:#1e7f4f}
      *{box-sizing:border-box}
      body{margin:0 auto;padding:32px 24px 64px;max-width:1080px;color:var(--ink);
      background:var(--back);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
      h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:40px 0 8px}
      h3{font-size:15px;margin:0;font-weight:600}p{margin:6px 0}.dim{color:var(--dim)}
      .verdict{display:inline-block;padding:2px 12px;border-radius:12px;color:#fff;font-weight:600;
      background:var(--good)}.verdict.bad{background:var(--gap)}
      .facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
      margin:20px 0}.fact{background:var(--card);border-radius:8px;padding:12px 14px}
      .fact b{display:block;font-size:22px;line-height:1.25}
      table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
      th,td{text-align:left;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);
      vertical-align:top}th{color:var(--dim);font-weight:500}
      td.n,th.n{text-align:right;white-space:nowrap}
      code{font:13px ui-monospace,Menlo,Consolas,monospace}
      .pair{display:grid;grid-template-columns:1fr 1fr;gap:16px}
      .card{border:1px solid var(--line);border-radius:8px;padding:12px 14px;margin:12px 0}
      svg{display:block;width:100%;height:auto;overflow:visible}
      svg text{font:11px system-ui,sans-serif;fill:var(--dim)}
      @media(max-width:760px){.pair{grid-template-columns:1fr}}
      """;

  private ReportPage() {}

  static String render(final JsonNode campaign) {
    final StringBuilder page = new StringBuilder(1 << 18);
    page.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.append("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    page.append("<title>virtnvme: chaos campaign, seed ").append(campaign.path("seed").asLong());
    page.append("</title>\n<style>\n").append(STYLE).append("</style>\n</head>\n<body>\n");
    appendHead(page, campaign);
    appendKinds(page, campaign.path("kinds"));
    page.append("<h2>Every fault, by the longest pause of any client</h2>\n");
    page.append(
        "<p class=\"dim\">One dot per fault; the bar is the median. Logarithmic; the left edge stands for less than 0.5 ms.</p>\n");
    page.append(Charts.blackouts(campaign.path("kinds")));
    page.append("<h2>The whole campaign</h2>\n<p class=\"dim\">Requests completed per second by");
    page.append(" all clients; a tick for each fault.</p>\n");
    page.append(Charts.campaign(campaign));
    appendTimelines(page, campaign.path("kinds"));
    appendClients(page, campaign.path("clients"));
    appendMethod(page, campaign);
    return page.append("</body>\n</html>\n").toString();
  }

  private static void appendHead(final StringBuilder page, final JsonNode campaign) {
    final boolean sound = campaign.path("sound").asBoolean();
    page.append("<h1>What the guests felt while everything was killed</h1>\n<p class=\"dim\">");
    page.append(
        Instant.ofEpochMilli(campaign.path("started_at_ms").asLong())
            .truncatedTo(ChronoUnit.SECONDS));
    page.append(", virtnvme ").append(escape(campaign.path("version").asText()));
    page.append(", seed ").append(campaign.path("seed").asLong()).append("</p>\n");
    page.append("<p><span class=\"verdict").append(sound ? "" : " bad").append("\">");
    page.append(sound ? "nothing lost" : "FAULTS FOUND").append("</span> ");
    page.append(
        sound
            ? "Every request completed without an error, and every byte of every disk was right."
            : "See the clients below for what was wrong first.");
    page.append("</p>\n<div class=\"facts\">\n");
    appendFact(page, "faults", grouped(campaign.path("faults").size()));
    appendFact(page, "minutes", fixed(campaign.path("seconds").asDouble() / 60, 1));
    appendFact(page, "requests", grouped(campaign.path("ios").asLong()));
    appendFact(page, "errors", grouped(campaign.path("errors").asLong()));
    appendFact(page, "blocks checked", grouped(campaign.path("verified_blocks").asLong()));
    appendFact(page, "carried out again", grouped(campaign.path("resubmitted").asLong()));
    page.append("</div>\n");
  }

  private static void appendFact(final StringBuilder page, final String what, final String value) {
    page.append("<div class=\"fact\"><b>").append(value).append("</b>").append(what);
    page.append("</div>\n");
  }

  private static void appendKinds(final StringBuilder page, final JsonNode kinds) {
    final JsonNode groups = kinds.path(0).path("groups");
    page.append("<h2>What was done</h2>\n<p class=\"dim\">Pauses in milliseconds, of the client");
    page.append(" that suffered most.</p>\n<table><thead><tr><th></th><th></th><th></th>");
    for (final JsonNode group : groups) {
      page.append("<th class=\"n\" colspan=\"3\">").append(escape(group.path("disks").asText()));
      page.append("</th>");
    }
    page.append("</tr>\n<tr><th>fault</th><th></th><th class=\"n\">times</th>");
    for (int i = 0; i < groups.size(); i++) {
      page.append("<th class=\"n\">median</th><th class=\"n\">p99</th>");
      page.append("<th class=\"n\">worst</th>");
    }
    page.append("</tr></thead>\n<tbody>\n");
    for (final JsonNode kind : kinds) {
      appendKind(page, kind);
    }
    page.append("</tbody></table>\n");
  }

  private static void appendKind(final StringBuilder page, final JsonNode kind) {
    final String obstacle = kind.path("obstacle").asText();
    page.append("<tr><td><code>").append(escape(kind.path("kind").asText()));
    page.append("</code></td><td>").append(escape(kind.path("sentence").asText()));
    if (!obstacle.isEmpty()) {
      page.append("<br><span class=\"dim\">not done here: ").append(escape(obstacle));
      page.append("</span>");
    }
    page.append("</td>");
    appendNumber(page, grouped(kind.path("count").asInt()));
    for (final JsonNode group : kind.path("groups")) {
      for (final String column : new String[] {"p50", "p99", "max"}) {
        final boolean any = kind.path("count").asInt() > 0;
        appendNumber(page, any ? ms(group.path(column).asDouble()) : "-");
      }
    }
    page.append("</tr>\n");
  }

  private static void appendTimelines(final StringBuilder page, final JsonNode kinds) {
    page.append("<h2>Around each kind of fault</h2>\n<p class=\"dim\">Requests completed per");
    page.append(
        " millisecond. The red line is the fault, the red field the longest pause of the client");
    page.append(" that suffered most; another disk of the group may go on meanwhile.</p>\n");
    for (final JsonNode kind : kinds) {
      if (kind.path("count").asInt() > 0) {
        page.append("<div class=\"card\"><h3><code>").append(escape(kind.path("kind").asText()));
        page.append("</code> ").append(escape(kind.path("sentence").asText()));
        page.append("</h3>\n<div class=\"pair\">\n");
        appendTimeline(page, "the median one", kind.path("typical"));
        appendTimeline(page, "the worst one", kind.path("worst"));
        page.append("</div></div>\n");
      }
    }
  }

  private static void appendTimeline(
      final StringBuilder page, final String which, final JsonNode timeline) {
    page.append("<div><p class=\"dim\">").append(which).append(", fault ");
    page.append(timeline.path("number").asInt()).append("</p>\n");
    page.append(Charts.timeline(timeline)).append("</div>\n");
  }

  private static void appendClients(final StringBuilder page, final JsonNode clients) {
    page.append("<h2>The clients</h2>\n<table><thead><tr><th>disk</th>");
    page.append("<th class=\"n\">requests</th><th class=\"n\">errors</th>");
    page.append("<th class=\"n\">blocks checked</th><th class=\"n\">read back</th>");
    page.append("<th class=\"n\">reconnects</th><th class=\"n\">median &micro;s</th>");
    page.append("<th class=\"n\">p99 &micro;s</th><th class=\"n\">longest ms</th><th></th></tr>");
    page.append("</thead>\n<tbody>\n");
    for (final JsonNode client : clients) {
      page.append("<tr><td><code>").append(escape(client.path("disk").asText()));
      page.append("</code></td>");
      appendNumber(page, grouped(client.path("ios").asLong()));
      appendNumber(page, grouped(client.path("errors").asLong()));
      appendNumber(page, grouped(client.path("verifiedBlocks").asLong()));
      appendNumber(
          page,
          grouped(client.path("readBackBlocks").asLong())
              + " of "
              + grouped(client.path("blockCount").asLong()));
      appendNumber(page, grouped(client.path("reconnects").asLong()));
      appendNumber(page, grouped(client.path("p50LatencyNs").asLong() / 1000));
      appendNumber(page, grouped(client.path("p99LatencyNs").asLong() / 1000));
      appendNumber(page, ms(client.path("maxLatencyNs").asLong() / 1e6));
      page.append("<td>").append(escape(client.path("message").asText())).append("</td></tr>\n");
    }
    page.append("</tbody></table>\n");
  }

  private static void appendNumber(final StringBuilder page, final String text) {
    page.append("<td class=\"n\">").append(text).append("</td>");
  }

  private static void appendMethod(final StringBuilder page, final JsonNode campaign) {
    final JsonNode machine = campaign.path("machine");
    page.append("<h2>How, and on what</h2>\n<p>Four processes drive one disk each by vhost-user,");
    page.append(" two queues with 16 requests. Blocks of 4 KiB carry their number, version and");
    page.append(
        " checksum; a checker that knows only what was acknowledged judges every byte read");
    page.append(" during the load, and the whole disk at its end. A pause is the time between two");
    page.append(" completions of one client with requests in flight; below 0.5 ms it is not noted");
    page.append(" and counts as 0. Of ").append(campaign.path("recoveries").asLong());
    page.append(" takeovers that masters told of, ");
    page.append(campaign.path("warm_recoveries").asLong());
    page.append(" were by a warm standby. Hang limit ");
    page.append(campaign.path("hang_limit_ms").asLong()).append(" ms.</p>\n");
    page.append("<p>Not done: clock jumps and errors of the device.</p>\n<table><tbody>\n");
    machine
        .properties()
        .forEach(
            field -> {
              page.append("<tr><td>")
                  .append(escape(field.getKey().replace('_', ' ')))
                  .append("</td><td>");
              page.append(escape(field.getValue().asText())).append("</td></tr>\n");
            });
    page.append("<tr><td>again</td><td><code>virtnvme chaos --seed ");
    page.append(campaign.path("seed").asLong()).append(" --seconds ");
    page.append(Math.round(campaign.path("seconds").asDouble()));
    page.append(" --out DIR</code> (the same faults in the same order; instants differ with the");
    page.append(" machine)</td></tr>\n</tbody></table>\n");
  }

  static String escape(final String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  static String ms(final double value) {
    return value == 0 ? "&lt; 0.5" : fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0);
  }

  private static String fixed(final double value, final int digits) {
    return String.format(Locale.ROOT, "%,." + digits + "f", value);
  }

  private static String grouped(final long value) {
    return String.format(Locale.ROOT, "%,d", value);
  }
}
