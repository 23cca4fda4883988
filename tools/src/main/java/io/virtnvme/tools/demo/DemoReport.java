package io.virtnvme.tools.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;

/**
 * What a demo found.
 *
 * @param client the load client's own result
 * @param blackouts the pause that covers each kill, or begins within 2 ms of it
 * @param aftermaths the longest pause that begins later, within 50 ms
 * @param quiet the longest pause in as long a time shortly before each kill
 * @param recoveries the takeovers as the master tells them
 * @param loadSeconds how long the load ran
 */
record DemoReport(
    DemoSettings settings,
    JsonNode client,
    Blackouts blackouts,
    Blackouts aftermaths,
    Blackouts quiet,
    JsonNode recoveries,
    double loadSeconds) {
  private static final double NS_PER_US = 1e3;

  /** Every request completed without error, every byte was right, every kill was done. */
  boolean isSound() {
    return client.path("sound").asBoolean() && blackouts.count() == settings.kills();
  }

  ObjectNode toJson() {
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("ios", client.path("ios").asLong());
    json.put("errors", client.path("errors").asLong());
    json.put("verified", client.path("sound").asBoolean());
    json.put("kills", blackouts.count());
    putPercentiles(json.putObject("blackoutMs"), blackouts);
    putPercentiles(json.putObject("pauseAfterMs"), aftermaths);
    putPercentiles(json.putObject("pauseWithoutKillMs"), quiet);
    final ArrayNode each = json.putArray("blackoutsMs");
    for (final double blackoutMs : blackouts.allMs()) {
      each.add(blackoutMs);
    }
    json.put("bdev", settings.bdev().name().toLowerCase(Locale.ROOT));
    json.put("seed", settings.seed());
    json.put("seconds", Math.round(loadSeconds * 10) / 10.0);
    json.put("iops", Math.round(client.path("ios").asLong() / loadSeconds));
    json.put("bytes", client.path("bytes").asLong());
    json.put("queueDepth", settings.queueDepth());
    json.put("queues", settings.queueCount());
    json.put("packed", settings.packed());
    json.put("standbys", settings.standbyCount());
    json.put("guestMemoryMiB", settings.guestMegabytes());
    json.put("hugePages", settings.hugePages());
    json.putObject("latencyUs")
        .put("p50", us("p50LatencyNs"))
        .put("p99", us("p99LatencyNs"))
        .put("max", us("maxLatencyNs"));
    json.set("takeoverLatencyUs", client.path("takeoverLatencyUs"));
    json.put("verifiedBlocks", client.path("verifiedBlocks").asLong());
    json.put("readBackBlocks", client.path("readBackBlocks").asLong());
    json.put("message", client.path("message").asText());
    json.set("recoveries", recoveries);
    return json;
  }

  private static void putPercentiles(final ObjectNode json, final Blackouts values) {
    json.put("p50", values.percentileMs(50))
        .put("p99", values.percentileMs(99))
        .put("max", values.percentileMs(100));
  }

  private double us(final String field) {
    return Math.round(client.path(field).asLong() / NS_PER_US * 10) / 10.0;
  }

  String toText() {
    return String.format(
        Locale.ROOT,
        "%s: %d requests, %d errors, %d blocks checked, whole disk read back: %s%n"
            + "%d kills of the slave, blackout ms: median %.2f, p99 %.2f, worst %.2f"
            + " (seed %d)%n"
            + "longest other pause within 50 ms of a kill, ms: median %.2f, worst %.2f;"
            + " as long before: %.2f, %.2f%s",
        isSound() ? "OK" : "FAILED",
        client.path("ios").asLong(),
        client.path("errors").asLong(),
        client.path("verifiedBlocks").asLong(),
        client.path("sound").asBoolean() ? "right" : "NOT right",
        blackouts.count(),
        blackouts.percentileMs(50),
        blackouts.percentileMs(99),
        blackouts.percentileMs(100),
        settings.seed(),
        aftermaths.percentileMs(50),
        aftermaths.percentileMs(100),
        quiet.percentileMs(50),
        quiet.percentileMs(100),
        client.path("message").asText().isEmpty()
            ? ""
            : System.lineSeparator() + client.path("message").asText());
  }
}
