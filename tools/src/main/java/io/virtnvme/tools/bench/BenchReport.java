package io.virtnvme.tools.bench;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.tools.Version;
import io.virtnvme.tools.page.Machine;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/**
 * What a benchmark has measured so far. Filled by the main thread; printed by it, or by the
 * shutdown hook when the run is cut short.
 */
final class BenchReport {
  private final BenchSettings settings;
  private final String date;
  private final String command;
  private final ObjectNode machine = Machine.describe();
  private final List<Measurement> limits = new ArrayList<>();
  private final List<Measurement> measurements = new ArrayList<>();
  private String message = "";

  /**
   * @param command what to type to measure the same again
   */
  BenchReport(final BenchSettings settings, final String date, final String command) {
    this.settings = settings;
    this.date = date;
    this.command = command;
  }

  synchronized void limit(final Measurement limit) {
    limits.add(limit);
  }

  synchronized void add(final Measurement measurement) {
    measurements.add(measurement);
  }

  /** Why it ended early. */
  synchronized void message(final String newMessage) {
    message = newMessage;
  }

  private static boolean hasRuns(final Measurement measurement) {
    return !measurement.runs().isEmpty();
  }

  private String pages() {
    return measurements.stream().filter(BenchReport::hasRuns).findFirst().stream()
            .anyMatch(measurement -> measurement.runs().get(0).hugePages())
        ? "huge"
        : "4 KiB";
  }

  synchronized ObjectNode toJson() {
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("date", date);
    json.put("version", Version.current());
    json.put("command", command);
    json.put("client", settings.client());
    json.put("bdev", settings.bdev());
    json.put("packed", settings.packed());
    json.put("indirect", settings.indirect());
    json.put("ratePerSecond", settings.ratePerSecond());
    json.put("seconds", settings.seconds());
    json.put("rounds", settings.rounds());
    json.put("guestPages", pages());
    json.put("complete", message.isEmpty());
    json.put("message", message);
    final ArrayNode results = json.putArray("results");
    measurements.stream().filter(BenchReport::hasRuns).map(this::toJson).forEach(results::add);
    final ArrayNode limitNodes = json.putArray("clientLimits");
    limits.stream().filter(BenchReport::hasRuns).map(this::toJson).forEach(limitNodes::add);
    json.set("machine", machine);
    return json;
  }

  private ObjectNode toJson(final Measurement measurement) {
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("work", measurement.work().label());
    json.put("queueDepth", measurement.queueDepth());
    json.put("subject", measurement.subject().label());
    json.put("iops", Math.round(measurement.median(RunResult::iops)));
    json.put("iopsMin", Math.round(measurement.least(RunResult::iops)));
    json.put("iopsMax", Math.round(measurement.most(RunResult::iops)));
    put(json, "meanUs", measurement, RunResult::meanUs);
    put(json, "p50Us", measurement, RunResult::p50Us);
    put(json, "p99Us", measurement, RunResult::p99Us);
    put(json, "p999Us", measurement, RunResult::p999Us);
    put(json, "maxUs", measurement, RunResult::maxUs);
    put(json, "cpu", measurement, RunResult::cpu);
    put(json, "clientCpu", measurement, RunResult::clientCpu);
    put(json, "coreToCoreNs", measurement, RunResult::oneWayNs);
    final ArrayNode runs = json.putArray("runs");
    for (final RunResult run : measurement.runs()) {
      runs.add(Math.round(run.iops()));
    }
    return json;
  }

  private static void put(
      final ObjectNode json,
      final String name,
      final Measurement measurement,
      final ToDoubleFunction<RunResult> value) {
    json.put(name, Math.round(measurement.median(value) * 1000) / 1000.0);
  }

  synchronized String toText() {
    final StringBuilder text = new StringBuilder();
    line(
        text,
        "client %s, %s, %s rings, guest memory on %s pages; %smedians of %d runs of %d s",
        settings.client(),
        settings.bdev(),
        settings.packed() ? "packed" : "split",
        pages(),
        settings.ratePerSecond() == 0
            ? ""
            : String.format(Locale.ROOT, "%,d requests due per second; ", settings.ratePerSecond()),
        settings.rounds(),
        settings.seconds());
    line(
        text,
        "%-9s %3s  %-34s %12s %25s %9s %9s %9s %6s",
        "work",
        "QD",
        "subject",
        "IO/s",
        "least..most",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "cpu");
    limits.stream().filter(BenchReport::hasRuns).forEach(each -> row(text, each));
    measurements.stream().filter(BenchReport::hasRuns).forEach(each -> row(text, each));
    if (!message.isEmpty()) {
      line(text, "cut short: %s", message);
    }
    return text.toString().stripTrailing();
  }

  private static void row(final StringBuilder text, final Measurement measurement) {
    line(
        text,
        "%-9s %3d  %-34s %,12.0f %,12.0f..%,-11.0f %9.2f %9.2f %9.2f %6.2f",
        measurement.work().label(),
        measurement.queueDepth(),
        measurement.subject().label(),
        measurement.median(RunResult::iops),
        measurement.least(RunResult::iops),
        measurement.most(RunResult::iops),
        measurement.median(RunResult::p50Us),
        measurement.median(RunResult::p99Us),
        measurement.median(RunResult::p999Us),
        measurement.median(RunResult::cpu));
  }

  private static void line(
      final StringBuilder text, final String format, final Object... arguments) {
    text.append(String.format(Locale.ROOT, format, arguments)).append(System.lineSeparator());
  }
}
