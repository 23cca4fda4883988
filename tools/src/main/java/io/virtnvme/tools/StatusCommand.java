package io.virtnvme.tools;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.RpcClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code virtnvme status}: what runs, asked of the master and read from the segments. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    description = {
      "Show master, slaves, seats, bdevs, controllers and the last recoveries.",
      "Without a master it shows what the segments tell: which slaves still serve.",
      "Exit code 0 when the master answers and nothing has failed, else 1."
    })
final class StatusCommand implements Callable<Integer> {
  private static final Duration TIMEOUT = Duration.ofSeconds(5);
  private static final int RECOVERIES_SHOWN = 5;
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss").withZone(ZoneId.systemDefault());

  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    if (!Files.isDirectory(runDirectory.path())) {
      throw new CommandFailedException(
          "no run directory "
              + runDirectory.path()
              + "; start a pair there with 'virtnvme up --run-dir "
              + runDirectory.path()
              + "'");
    }
    final ObjectNode status = collect();
    final PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(
          new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(status));
    } else {
      print(out, status);
    }
    out.flush();
    return isHealthy(status) ? 0 : Main.EXIT_FAILURE;
  }

  private ObjectNode collect() throws IOException {
    final ObjectNode status = JsonNodeFactory.instance.objectNode();
    status.put("run_dir", runDirectory.path().toString());
    status.putNull("master");
    status.put("master_problem", "");
    for (final String list : List.of("slaves", "bdevs", "controllers", "nvme", "last_recoveries")) {
      status.putArray(list);
    }
    try (RpcClient client = runDirectory.connect(TIMEOUT)) {
      status.setAll((ObjectNode) client.call("virtnvme_get_status", null));
      addRecoveries(status, client.call("virtnvme_get_recoveries", null));
    } catch (final IOException e) {
      status.put("master_problem", e.getMessage());
    }
    final ArrayNode seats = status.putArray("seats");
    for (final SeatView seat : SeatView.read(runDirectory.segments())) {
      seats.add(seat.toJson());
    }
    return status;
  }

  private static void addRecoveries(final ObjectNode status, final JsonNode recoveries) {
    final ArrayNode last = status.putArray("last_recoveries");
    for (int i = Math.max(0, recoveries.size() - RECOVERIES_SHOWN); i < recoveries.size(); i++) {
      last.add(recoveries.get(i));
    }
  }

  private static boolean isHealthy(final ObjectNode status) {
    boolean healthy = !status.path("master").isNull();
    for (final JsonNode slave : status.path("slaves")) {
      healthy &= !slave.path("state").asText().equals("failed");
    }
    for (final JsonNode bdev : status.path("bdevs")) {
      healthy &= !bdev.path("state").asText().equals("failed");
    }
    return healthy;
  }

  private static void print(final PrintWriter out, final ObjectNode status) {
    final JsonNode master = status.path("master");
    out.println("Run directory  " + status.path("run_dir").asText());
    if (master.isNull()) {
      out.println("Master         not answering: " + status.path("master_problem").asText());
    } else {
      out.println(
          "Master         process "
              + master.path("pid").asText()
              + ", version "
              + master.path("version").asText()
              + ", since "
              + time(master.path("started_at_ms").asLong())
              + (master.path("adopted").asBoolean() ? ", adopted running slaves" : ""));
    }
    printSeats(out, status.path("seats"));
    if (!master.isNull()) {
      printSlaves(out, status.path("slaves"));
      printBdevs(out, status.path("bdevs"));
      printControllers(out, status.path("controllers"));
      printSubsystems(out, status.path("nvme"));
      printRecoveries(out, status.path("last_recoveries"));
    }
  }

  private static void printSeats(final PrintWriter out, final JsonNode seats) {
    final TextTable table =
        new TextTable("SEAT", "OWNER", "ALIVE", "TAKEN", "REACTORS", "ACTIVITY", "HEARTBEAT");
    for (final JsonNode seat : seats) {
      final String problem = seat.path("problem").asText();
      final long ageMs = seat.path("heartbeat_age_ms").asLong();
      table.row(
          seat.path("seat").asText(),
          seat.path("owner_pid").asText(),
          seat.path("owner_alive").asBoolean() ? "yes" : "NO",
          seat.path("epoch").asText() + " times",
          seat.path("reactors").asText(),
          problem.isEmpty() ? seat.path("activity").asText() : problem,
          ageMs < 0 ? "-" : ageMs + " ms ago");
    }
    table.print(out, "Seats", "none: nothing was started here since the host was booted");
  }

  private static void printSlaves(final PrintWriter out, final JsonNode slaves) {
    final TextTable table =
        new TextTable("SLAVE", "PID", "STATE", "SEAT", "CORES", "SESSIONS", "SINCE", "REASON");
    for (final JsonNode slave : slaves) {
      table.row(
          slave.path("id").asText(),
          slave.path("pid").asText(),
          slave.path("state").asText(),
          slave.path("seat").asInt() < 0 ? "-" : slave.path("seat").asText(),
          slave.path("cores").isEmpty() ? "-" : slave.path("cores").toString(),
          slave.path("sessions").asText(),
          time(slave.path("started_at_ms").asLong()),
          slave.path("reason").asText());
    }
    table.print(out, "Slaves", "none");
  }

  private static void printBdevs(final PrintWriter out, final JsonNode bdevs) {
    final TextTable table = new TextTable("BDEV", "KIND", "MIB", "SEAT", "STATE", "REASON");
    for (final JsonNode bdev : bdevs) {
      table.row(
          bdev.path("name").asText(),
          bdev.path("kind").asText(),
          bdev.path("bytes").asLong() >> 20,
          bdev.path("seat").asInt() < 0 ? "-" : bdev.path("seat").asText(),
          bdev.path("state").asText(),
          bdev.path("reason").asText());
    }
    table.print(out, "Bdevs", "none");
  }

  private static void printControllers(final PrintWriter out, final JsonNode controllers) {
    final TextTable table = new TextTable("CONTROLLER", "BDEV", "SEAT", "SESSIONS", "SOCKET");
    for (final JsonNode controller : controllers) {
      table.row(
          controller.path("ctrlr").asText(),
          controller.path("bdev").asText(),
          controller.path("seat").asText(),
          controller.path("sessions").asText(),
          controller.path("socket").asText());
    }
    table.print(out, "Controllers", "none");
  }

  private static void printSubsystems(final PrintWriter out, final JsonNode subsystems) {
    final TextTable table = new TextTable("NVME", "NAMESPACES", "SEAT", "SESSIONS", "SOCKETS");
    for (final JsonNode subsystem : subsystems) {
      table.row(
          subsystem.path("nqn").asText(),
          words(subsystem.path("namespaces")),
          subsystem.path("seat").asText(),
          subsystem.path("sessions").asText(),
          words(subsystem.path("sockets")));
    }
    table.print(out, "NVMe subsystems", "none");
  }

  private static String words(final JsonNode list) {
    final List<String> words = new ArrayList<>();
    list.forEach(word -> words.add(word.asText()));
    return words.isEmpty() ? "-" : String.join(" ", words);
  }

  private static void printRecoveries(final PrintWriter out, final JsonNode recoveries) {
    final TextTable table =
        new TextTable(
            "RECOVERY",
            "TIME",
            "SEAT",
            "CAUSE",
            "PIDS",
            "WARM",
            "RESUBMITTED",
            "DETECT",
            "FENCE",
            "MAP",
            "REPLAY",
            "FIRST",
            "TOTAL us");
    for (final JsonNode recovery : recoveries) {
      table.row(
          recovery.path("number").asText(),
          time(recovery.path("time_ms").asLong()),
          recovery.path("seat").asText(),
          recovery.path("cause").asText(),
          recovery.path("dead_pid").asText() + "->" + recovery.path("successor_pid").asText(),
          recovery.path("warm").asBoolean() ? "yes" : "no",
          recovery.path("resubmitted").asText(),
          phase(recovery, "detect_us"),
          phase(recovery, "fence_us"),
          phase(recovery, "map_us"),
          phase(recovery, "replay_us"),
          phase(recovery, "first_completion_us"),
          phase(recovery, "total_us"));
    }
    table.print(out, "Last recoveries", "none");
  }

  private static String phase(final JsonNode recovery, final String field) {
    final long us = recovery.path(field).asLong(-1);
    return us < 0 ? "-" : Long.toString(us);
  }

  private static String time(final long epochMs) {
    return TIME.format(Instant.ofEpochMilli(epochMs).truncatedTo(ChronoUnit.SECONDS));
  }
}
