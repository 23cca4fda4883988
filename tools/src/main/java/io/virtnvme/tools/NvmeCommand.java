package io.virtnvme.tools;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** {@code virtnvme nvme}: the NVMe devices of a running pair, in the words of nvme-cli. */
@Command(
    name = "nvme",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "Show and reset the NVMe devices that a running pair drives itself.",
      "'virtnvme rpc bdev_nvme_attach_controller' attaches one."
    },
    footer = {
      "",
      "Examples:",
      "  virtnvme rpc bdev_nvme_attach_controller \\",
      "    '{\"name\":\"Nvme0\",\"trtype\":\"PCIe\",\"traddr\":\"0000:5e:00.0\"}'",
      "  virtnvme nvme list",
      "  virtnvme nvme smart Nvme0 --json"
    })
final class NvmeCommand {
  /** A reset may take the controller twice the longest time that it can ask for. */
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  private static final int KELVIN_OF_ZERO_CELSIUS = 273;

  /** Names of SPDK's call, and nvme-cli's for the same. */
  private static final List<Map.Entry<String, String>> HEALTH =
      List.of(
          Map.entry("critical_warning", "critical_warning"),
          Map.entry("temperature_celsius", "temperature"),
          Map.entry("available_spare_percentage", "avail_spare"),
          Map.entry("available_spare_threshold_percentage", "spare_thresh"),
          Map.entry("percentage_used", "percent_used"),
          Map.entry("data_units_read", "data_units_read"),
          Map.entry("data_units_written", "data_units_written"),
          Map.entry("host_read_commands", "host_read_commands"),
          Map.entry("host_write_commands", "host_write_commands"),
          Map.entry("controller_busy_time", "controller_busy_time"),
          Map.entry("power_cycles", "power_cycles"),
          Map.entry("power_on_hours", "power_on_hours"),
          Map.entry("unsafe_shutdowns", "unsafe_shutdowns"),
          Map.entry("media_errors", "media_errors"),
          Map.entry("num_err_log_entries", "num_err_log_entries"));

  @Spec private CommandSpec spec;

  @Option(names = "--json", scope = ScopeType.INHERIT, description = "Print JSON.")
  private boolean json;

  @Command(
      name = "list",
      mixinStandardHelpOptions = true,
      description = "List the controllers with their namespaces.")
  int list(@Mixin final RunDirectory directory) throws IOException {
    final JsonNode controllers = call(directory, "bdev_nvme_get_controllers", null);
    if (json) {
      return print(controllers);
    }
    final TextTable table =
        new TextTable("CONTROLLER", "ADDRESS", "STATE", "MODEL", "SERIAL", "FIRMWARE", "BDEVS");
    for (final JsonNode controller : controllers) {
      final JsonNode one = controller.path("ctrlrs").path(0);
      final JsonNode ours = controller.path("virtnvme");
      final List<String> bdevs = new ArrayList<>();
      ours.path("bdevs").forEach(bdev -> bdevs.add(bdev.asText()));
      table.row(
          controller.path("name").asText(),
          one.path("trid").path("traddr").asText(),
          one.path("state").asText(),
          ours.path("model_number").asText("-"),
          ours.path("serial_number").asText("-"),
          ours.path("firmware_revision").asText("-"),
          bdevs.isEmpty() ? "-" : String.join(" ", bdevs));
    }
    final PrintWriter out = spec.commandLine().getOut();
    table.print(out, "NVMe devices", "none");
    for (final JsonNode controller : controllers) {
      final JsonNode ours = controller.path("virtnvme");
      final String name = controller.path("name").asText();
      if (!ours.path("reason").asText().isEmpty()) {
        out.println(name + ": " + ours.path("reason").asText());
      }
      ours.path("problems").forEach(problem -> out.println(name + ": " + problem.asText()));
    }
    out.flush();
    return 0;
  }

  @Command(
      name = "id-ctrl",
      mixinStandardHelpOptions = true,
      description = "Show what a controller says that it is (Identify Controller).")
  int idCtrl(
      @Mixin final RunDirectory directory,
      @Parameters(paramLabel = "CONTROLLER", description = "Its name.") final String name)
      throws IOException {
    final String data =
        call(directory, "virtnvme_nvme_identify_controller", named(name)).path("data").asText();
    return show("NVME Identify Controller:", identity(Base64.getDecoder().decode(data)));
  }

  @Command(
      name = "smart",
      mixinStandardHelpOptions = true,
      description = "Show the health log of a controller.")
  int smart(
      @Mixin final RunDirectory directory,
      @Parameters(paramLabel = "CONTROLLER", description = "Its name.") final String name)
      throws IOException {
    final JsonNode health = call(directory, "bdev_nvme_get_controller_health_info", named(name));
    final ObjectNode shown = JsonNodeFactory.instance.objectNode();
    for (final Map.Entry<String, String> field : HEALTH) {
      shown.set(field.getValue(), health.path(field.getKey()));
    }
    if (json) {
      // As nvme-cli has it there.
      shown.put("temperature", shown.path("temperature").asInt() + KELVIN_OF_ZERO_CELSIUS);
    } else {
      shown.put("temperature", shown.path("temperature").asText() + " C");
    }
    return show("Smart Log for NVME device:" + name, shown);
  }

  @Command(
      name = "reset",
      mixinStandardHelpOptions = true,
      description = "Reset a controller; guests wait meanwhile, and lose nothing.")
  int reset(
      @Mixin final RunDirectory directory,
      @Parameters(paramLabel = "CONTROLLER", description = "Its name.") final String name)
      throws IOException {
    final JsonNode done = call(directory, "bdev_nvme_reset_controller", named(name));
    return json ? print(done) : 0;
  }

  private static ObjectNode named(final String name) {
    return JsonNodeFactory.instance.objectNode().put("name", name);
  }

  private static JsonNode call(
      final RunDirectory directory, final String method, final ObjectNode params)
      throws IOException {
    try (RpcClient client = directory.connect(TIMEOUT)) {
      return client.call(method, params);
    }
  }

  private int print(final JsonNode value) {
    final PrintWriter out = spec.commandLine().getOut();
    out.println(JsonText.pretty(value));
    out.flush();
    return 0;
  }

  private int show(final String title, final ObjectNode fields) {
    if (json) {
      return print(fields);
    }
    final PrintWriter out = spec.commandLine().getOut();
    out.println(title);
    fields
        .properties()
        .forEach(field -> out.printf("%-22s: %s%n", field.getKey(), field.getValue().asText()));
    out.flush();
    return 0;
  }

  /** The fields that people look for; what the device says, as numbers. */
  private static ObjectNode identity(final byte[] data) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("vid", word(data, IdentifyController.VENDOR_ID_OFFSET))
        .put("ssvid", word(data, IdentifyController.SUBSYSTEM_VENDOR_ID_OFFSET))
        .put("sn", text(data, IdentifyController.SERIAL_OFFSET, IdentifyController.SERIAL_LENGTH))
        .put("mn", text(data, IdentifyController.MODEL_OFFSET, IdentifyController.MODEL_LENGTH))
        .put(
            "fr",
            text(data, IdentifyController.FIRMWARE_OFFSET, IdentifyController.FIRMWARE_LENGTH))
        .put("mdts", data[IdentifyController.TRANSFER_MAX_OFFSET] & 0xFF)
        .put("cntlid", word(data, IdentifyController.CONTROLLER_ID_OFFSET))
        .put("ver", number(data, IdentifyController.VERSION_OFFSET))
        .put("oaes", number(data, IdentifyController.EVENTS_SUPPORTED_OFFSET))
        .put("cntrltype", data[IdentifyController.CONTROLLER_TYPE_OFFSET] & 0xFF)
        .put("oacs", word(data, IdentifyController.ADMIN_COMMANDS_OFFSET))
        .put("acl", data[IdentifyController.ABORT_LIMIT_OFFSET] & 0xFF)
        .put("aerl", data[IdentifyController.EVENT_REQUEST_LIMIT_OFFSET] & 0xFF)
        .put("lpa", data[IdentifyController.LOG_PAGE_ATTRIBUTES_OFFSET] & 0xFF)
        .put("wctemp", word(data, IdentifyController.WARNING_TEMPERATURE_OFFSET))
        .put("cctemp", word(data, IdentifyController.CRITICAL_TEMPERATURE_OFFSET))
        .put("sqes", data[IdentifyController.SQ_ENTRY_SIZE_OFFSET] & 0xFF)
        .put("cqes", data[IdentifyController.CQ_ENTRY_SIZE_OFFSET] & 0xFF)
        .put("nn", number(data, IdentifyController.NAMESPACE_ID_MAX_OFFSET))
        .put("oncs", word(data, IdentifyController.NVM_COMMANDS_OFFSET))
        .put("vwc", data[IdentifyController.WRITE_CACHE_OFFSET] & 0xFF)
        .put("sgls", number(data, IdentifyController.SGL_SUPPORT_OFFSET))
        .put(
            "subnqn",
            text(
                data,
                IdentifyController.SUBSYSTEM_NQN_OFFSET,
                IdentifyController.SUBSYSTEM_NQN_LENGTH));
  }

  private static int word(final byte[] data, final int offset) {
    return LittleEndian.getUnsignedShort(data, offset);
  }

  private static long number(final byte[] data, final int offset) {
    return Integer.toUnsignedLong(LittleEndian.getInt(data, offset));
  }

  /** What cannot be printed becomes a question mark: it goes to a terminal. */
  private static String text(final byte[] data, final int offset, final int length) {
    return new String(data, offset, length, ISO_8859_1)
        .replace("\0", "")
        .replaceAll("[^ -~]", "?")
        .strip();
  }
}
