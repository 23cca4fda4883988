package io.virtnvme.tools.chaos;

import static io.virtnvme.tools.page.Page.fixed;
import static io.virtnvme.tools.page.Page.grouped;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.tools.page.Page;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/**
 * One HTML page, complete in itself, from what a campaign left: what was done, what the clients
 * felt, and pictures of the gaps. Any thread.
 */
final class ReportPage {
  private ReportPage() {}

  static String render(final JsonNode campaign) {
    final Page page = new Page("virtnvme: chaos campaign, seed " + campaign.path("seed").asLong());
    appendHead(page, campaign);
    appendKinds(page, campaign.path("kinds"));
    page.add("<h2>Every fault, by the longest pause of any client</h2>\n");
    page.add(
        "<p class=\"dim\">One dot per fault; the bar is the median. Logarithmic; the left edge stands for less than 0.5 ms.</p>\n");
    page.add(Charts.blackouts(campaign.path("kinds")));
    page.add("<h2>The whole campaign</h2>\n<p class=\"dim\">Requests completed per second by");
    page.add(" all clients; a tick for each fault.</p>\n");
    page.add(Charts.campaign(campaign));
    appendTimelines(page, campaign.path("kinds"));
    appendFalseTakeovers(page, campaign.path("unexplained_takeovers"));
    appendClients(page, campaign.path("clients"));
    appendMethod(page, campaign);
    return page.end();
  }

  private static void appendHead(final Page page, final JsonNode campaign) {
    final boolean sound = campaign.path("sound").asBoolean();
    page.add("<h1>What the guests felt while everything was killed</h1>\n<p class=\"dim\">");
    page.add(
        Instant.ofEpochMilli(campaign.path("started_at_ms").asLong())
            .truncatedTo(ChronoUnit.SECONDS)
            .toString());
    page.add(", virtnvme ").text(campaign.path("version").asText());
    page.add(", seed ").add(campaign.path("seed").asLong()).add("</p>\n");
    page.add("<p><span class=\"verdict").add(sound ? "" : " bad").add("\">");
    page.add(sound ? "nothing lost" : "FAULTS FOUND").add("</span> ");
    page.add(
        sound
            ? "Every request completed without an error, every byte of every disk was right, and"
                + " no slave was replaced that no fault had ended."
            : "See the takeovers and the clients below for what was wrong first.");
    page.add("</p>\n<div class=\"facts\">\n");
    page.fact("faults", grouped(campaign.path("faults").size()));
    page.fact("minutes", fixed(campaign.path("seconds").asDouble() / 60, 1));
    page.fact("requests", grouped(campaign.path("ios").asLong()));
    page.fact("errors", grouped(campaign.path("errors").asLong()));
    page.fact("errors of the device", grouped(campaign.path("device_errors").asLong()));
    page.fact("blocks checked", grouped(campaign.path("verified_blocks").asLong()));
    page.fact("carried out again", grouped(campaign.path("resubmitted").asLong()));
    if (campaign.has("unexplained_takeovers")) {
      page.fact("takeovers", grouped(campaign.path("recoveries").asLong()));
      page.fact("false takeovers", grouped(campaign.path("unexplained_takeovers").size()));
    }
    page.add("</div>\n");
  }

  private static void appendKinds(final Page page, final JsonNode kinds) {
    final JsonNode groups = kinds.path(0).path("groups");
    page.add("<h2>What was done</h2>\n<p class=\"dim\">Pauses in milliseconds, of the client");
    page.add(" that suffered most.</p>\n<table><thead><tr><th></th><th></th><th></th>");
    for (final JsonNode group : groups) {
      page.add("<th class=\"n\" colspan=\"3\">").text(group.path("disks").asText());
      page.add("</th>");
    }
    page.add("</tr>\n<tr><th>fault</th><th></th><th class=\"n\">times</th>");
    for (int i = 0; i < groups.size(); i++) {
      page.add("<th class=\"n\">median</th><th class=\"n\">p99</th>");
      page.add("<th class=\"n\">worst</th>");
    }
    page.add("</tr></thead>\n<tbody>\n");
    for (final JsonNode kind : kinds) {
      appendKind(page, kind);
    }
    page.add("</tbody></table>\n");
  }

  private static void appendKind(final Page page, final JsonNode kind) {
    final String obstacle = kind.path("obstacle").asText();
    page.add("<tr><td><code>").text(kind.path("kind").asText());
    page.add("</code></td><td>").text(kind.path("sentence").asText());
    if (!obstacle.isEmpty()) {
      page.add("<br><span class=\"dim\">not done here: ").text(obstacle);
      page.add("</span>");
    }
    page.add("</td>");
    page.number(grouped(kind.path("count").asInt()));
    for (final JsonNode group : kind.path("groups")) {
      for (final String column : new String[] {"p50", "p99", "max"}) {
        final boolean any = kind.path("count").asInt() > 0;
        page.number(any ? ms(group.path(column).asDouble()) : "-");
      }
    }
    page.add("</tr>\n");
  }

  private static void appendTimelines(final Page page, final JsonNode kinds) {
    page.add("<h2>Around each kind of fault</h2>\n<p class=\"dim\">Requests completed per");
    page.add(
        " millisecond. The red line is the fault, the red field the longest pause of the client");
    page.add(" that suffered most; another disk of the group may go on meanwhile.</p>\n");
    for (final JsonNode kind : kinds) {
      if (kind.path("count").asInt() > 0) {
        page.add("<div class=\"card\"><h3><code>").text(kind.path("kind").asText());
        page.add("</code> ").text(kind.path("sentence").asText());
        page.add("</h3>\n<div class=\"pair\">\n");
        appendTimeline(page, "the median one", kind.path("typical"));
        appendTimeline(page, "the worst one", kind.path("worst"));
        page.add("</div></div>\n");
      }
    }
  }

  private static void appendTimeline(final Page page, final String which, final JsonNode timeline) {
    page.add("<div><p class=\"dim\">").add(which).add(", fault ");
    page.add(timeline.path("number").asInt()).add("</p>\n");
    page.add(Charts.timeline(timeline)).add("</div>\n");
  }

  private static void appendFalseTakeovers(final Page page, final JsonNode sentences) {
    if (!sentences.isEmpty()) {
      page.add("<h2>Takeovers without a reason</h2>\n<ul>\n");
      sentences.forEach(one -> page.add("<li>").text(one.asText()).add("</li>\n"));
      page.add("</ul>\n");
    }
  }

  private static void appendClients(final Page page, final JsonNode clients) {
    page.add("<h2>The clients</h2>\n<table><thead><tr><th>disk</th>");
    page.add("<th class=\"n\">requests</th><th class=\"n\">errors</th>");
    page.add("<th class=\"n\">blocks checked</th><th class=\"n\">read back</th>");
    page.add("<th class=\"n\">reconnects</th><th class=\"n\">median &micro;s</th>");
    page.add("<th class=\"n\">p99 &micro;s</th><th class=\"n\">longest ms</th><th></th></tr>");
    page.add("</thead>\n<tbody>\n");
    for (final JsonNode client : clients) {
      page.add("<tr><td><code>").text(client.path("disk").asText());
      page.add("</code></td>");
      page.number(grouped(client.path("ios").asLong()));
      page.number(grouped(client.path("errors").asLong()));
      page.number(grouped(client.path("verifiedBlocks").asLong()));
      page.number(
          grouped(client.path("readBackBlocks").asLong())
              + " of "
              + grouped(client.path("blockCount").asLong()));
      page.number(grouped(client.path("reconnects").asLong()));
      page.number(grouped(client.path("p50LatencyNs").asLong() / 1000));
      page.number(grouped(client.path("p99LatencyNs").asLong() / 1000));
      page.number(ms(client.path("maxLatencyNs").asLong() / 1e6));
      page.add("<td>").text(client.path("message").asText()).add("</td></tr>\n");
    }
    page.add("</tbody></table>\n");
  }

  private static void appendMethod(final Page page, final JsonNode campaign) {
    final JsonNode machine = campaign.path("machine");
    page.add("<h2>How, and on what</h2>\n<p>Client processes drive one disk each by vhost-user,");
    page.add(" two queues with 16 requests. Blocks of 4 KiB carry their number, version and");
    page.add(" checksum; a checker that knows only what was acknowledged judges every byte read");
    page.add(" during the load, and the whole disk at its end. A pause is the time between two");
    page.add(" completions of one client with requests in flight; below 0.5 ms it is not noted");
    page.add(" and counts as 0. Of ").add(campaign.path("recoveries").asLong());
    page.add(" takeovers that masters told of, ");
    page.add(campaign.path("warm_recoveries").asLong());
    page.add(" were by a warm standby; ");
    page.add(campaign.path("unexplained_takeovers").size());
    page.add(" of them replaced a slave that no fault had ended. Hang limit ");
    page.add(campaign.path("hang_limit_ms").asLong()).add(" ms.</p>\n");
    page.add("<p>One disk has a broken part behind the blocks that are checked: each request");
    page.add(" there must end with an error, ").add(campaign.path("device_errors").asLong());
    page.add(" did, and every other request without one. Not done: clock jumps.</p>\n");
    page.add("<table><tbody>\n");
    page.machine(machine);
    page.add("<tr><td>again</td><td><code>virtnvme chaos --seed ");
    page.add(campaign.path("seed").asLong()).add(" --seconds ");
    page.add(Math.round(campaign.path("seconds").asDouble()));
    page.add(" --out DIR</code> (the same faults in the same order; instants differ with the");
    page.add(" machine)</td></tr>\n</tbody></table>\n");
  }

  static String ms(final double value) {
    return value == 0 ? "&lt; 0.5" : fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0);
  }
}
