package io.virtnvme.tools.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.tools.Version;
import io.virtnvme.tools.demo.Blackouts;
import io.virtnvme.tools.page.Machine;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * What a campaign found.
 *
 * @param startedAtMs wall clock, milliseconds since the epoch
 * @param loadSeconds how long the load ran
 * @param diskNames in the order of the clients
 * @param clients each client's own result
 * @param faults in the order in which they struck
 * @param ticks requests completed by all clients in each second
 * @param obstacles kinds that this machine could not do, with the reason
 * @param takeovers those that the masters told of; those of a master that was killed before it was
 *     asked are missing
 */
record CampaignReport(
    ChaosSettings settings,
    long startedAtMs,
    double loadSeconds,
    List<String> diskNames,
    List<JsonNode> clients,
    List<FaultResult> faults,
    List<Long> ticks,
    Map<FaultKind, String> obstacles,
    Takeovers takeovers) {
  private static final int FORMAT_VERSION = 1;

  /**
   * Every request completed without error, every byte of every disk was right, and no slave was
   * replaced without a reason.
   */
  boolean isSound() {
    return takeovers.unexplained().isEmpty()
        && clients.stream().allMatch(client -> client.path("sound").asBoolean());
  }

  ObjectNode toJson() {
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("v", FORMAT_VERSION)
        .put("sound", isSound())
        .put("seed", settings.seed())
        .put("started_at_ms", startedAtMs)
        .put("seconds", Math.round(loadSeconds * 10) / 10.0)
        .put("hang_limit_ms", settings.hangLimitMs())
        .put("ios", sum("ios"))
        .put("errors", sum("errors"))
        .put("device_errors", sum("deviceErrors"))
        .put("verified_blocks", sum("verifiedBlocks"))
        .put("read_back_blocks", sum("readBackBlocks"))
        .put("recoveries", takeovers.count())
        .put("warm_recoveries", takeovers.warmCount())
        .put("resubmitted", takeovers.resubmittedCount());
    takeovers.unexplained().forEach(json.putArray("unexplained_takeovers")::add);
    json.set("machine", Machine.describe());
    json.put("version", Version.current());
    final ArrayNode disks = json.putArray("clients");
    for (int i = 0; i < clients.size(); i++) {
      disks.addObject().put("disk", diskNames.get(i)).setAll((ObjectNode) clients.get(i));
    }
    final ArrayNode kinds = json.putArray("kinds");
    for (final FaultKind kind : settings.kinds()) {
      addKind(kinds, kind);
    }
    final ArrayNode struck = json.putArray("faults");
    for (final FaultResult fault : faults) {
      struck
          .addObject()
          .put("kind", fault.kind().label())
          .put("at_ms", fault.atMs())
          .put("blackout_ms", round(fault.blackoutMs()))
          .put("note", fault.note());
    }
    final ArrayNode perSecond = json.putArray("ios_per_second");
    ticks.forEach(perSecond::add);
    return json;
  }

  private long sum(final String field) {
    return clients.stream().mapToLong(client -> client.path(field).asLong()).sum();
  }

  private static double round(final double ms) {
    return Math.round(ms * 1000) / 1000.0;
  }

  private void addKind(final ArrayNode kinds, final FaultKind kind) {
    final ObjectNode entry = kinds.addObject();
    entry.put("kind", kind.label()).put("sentence", kind.sentence());
    entry.put("obstacle", obstacles.getOrDefault(kind, ""));
    final List<FaultResult> own =
        faults.stream()
            .filter(fault -> fault.kind() == kind)
            .sorted(Comparator.comparingDouble(FaultResult::blackoutMs))
            .toList();
    entry.put("count", own.size());
    final ArrayNode groups = entry.putArray("groups");
    for (final DiskGroup group : DiskGroup.values()) {
      addGroup(groups.addObject(), group, own);
    }
    if (!own.isEmpty()) {
      addTimeline(entry.putObject("typical"), own.get((own.size() - 1) / 2));
      addTimeline(entry.putObject("worst"), own.get(own.size() - 1));
    }
  }

  private static void addGroup(
      final ObjectNode entry, final DiskGroup group, final List<FaultResult> faults) {
    final Blackouts blackouts = new Blackouts();
    final ArrayNode all = entry.put("disks", group.label()).putArray("blackouts_ms");
    for (final FaultResult fault : faults) {
      final double blackoutMs = fault.felt().get(group).blackoutMs();
      blackouts.add((long) (blackoutMs * 1e6));
      all.add(round(blackoutMs));
    }
    entry
        .put("p50", blackouts.percentileMs(50))
        .put("p99", blackouts.percentileMs(99))
        .put("max", blackouts.percentileMs(100));
  }

  private static void addTimeline(final ObjectNode entry, final FaultResult fault) {
    entry.put("number", fault.number()).put("before_ms", FaultResult.BEFORE_MS);
    final ArrayNode series = entry.putArray("series");
    for (final DiskGroup group : DiskGroup.values()) {
      final FaultResult.Felt felt = fault.felt().get(group);
      final ArrayNode counts =
          series
              .addObject()
              .put("disks", group.label())
              .put("blackout_ms", round(felt.blackoutMs()))
              .putArray("ios_per_ms");
      felt.counts().forEach(counts::add);
    }
  }
}
