package io.virtnvme.tools;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcClient;
import io.virtnvme.master.rpc.RpcException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
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
      "  virtnvme nvme smart Nvme0 --json",
      "  virtnvme nvme vendor-log Nvme0 0xca --length 512 --raw ca.bin"
    })
final class NvmeCommand {
  /** A reset may take the controller twice the longest time that it can ask for. */
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  private static final int KELVIN_OF_ZERO_CELSIUS = 273;

  /** As nvme-cli has it. */
  private static final int NAME_WIDTH = 22;

  private static final String TABLE = "JSON table of more log pages; docs/devices.md has the form.";

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
      name = "smart-extended",
      mixinStandardHelpOptions = true,
      description = {
        "Show what a vendor's log says about the health of a controller,",
        "where a table tells what is in it: OCP's page 0xC0, and those of --table."
      })
  int smartExtended(
      @Mixin final RunDirectory directory,
      @Parameters(paramLabel = "CONTROLLER", description = "Its name.") final String name,
      @Option(names = "--table", paramLabel = "FILE", description = TABLE) final Path table)
      throws IOException {
    final List<VendorLogs.Page> known = VendorLogs.with(table).smart(vendorOf(directory, name));
    String refusal = "no table knows one of this vendor";
    for (final VendorLogs.Page page : known) {
      try {
        final byte[] data = log(directory, name, page.logId(), 0, page.length());
        if (page.fits(data)) {
          return show(
              "Extended Smart Log (" + page.name() + ") for NVME device:" + name,
              page.decode(data));
        }
        refusal = "what it has at " + hex(page.logId()) + " is not " + page.name();
      } catch (final RpcException e) {
        refusal = e.getMessage();
      }
    }
    throw new CommandFailedException(
        name
            + " has no extended health log that is known here: "
            + refusal
            + "; try vendor-log, or --table");
  }

  @Command(
      name = "vendor-log",
      mixinStandardHelpOptions = true,
      description = {
        "Read a log page of a controller: shown by a table that knows it, else byte by byte.",
        "Nothing is collected, released or cleared in the device for it."
      })
  int vendorLog(
      @Mixin final RunDirectory directory,
      @Parameters(paramLabel = "CONTROLLER", description = "Its name.") final String name,
      @Parameters(paramLabel = "LOG-ID", description = "0 to 255, or 0xc0.") final String logId,
      @Option(
              names = "--length",
              paramLabel = "BYTES",
              defaultValue = "0",
              description = "4 to 65536, a multiple of 4 (default: as the table has it, else 512).")
          final int length,
      @Option(
              names = "--offset",
              paramLabel = "BYTES",
              defaultValue = "0",
              description = "Where to begin, a multiple of 4 (default: ${DEFAULT-VALUE}).")
          final long offset,
      @Option(
              names = "--raw",
              paramLabel = "FILE",
              description = "Write the bytes to this new file, or to the standard output for -.")
          final String raw,
      @Option(names = "--table", paramLabel = "FILE", description = TABLE) final Path table)
      throws IOException {
    final int id = logId(logId);
    final List<VendorLogs.Page> known = VendorLogs.with(table).find(id, vendorOf(directory, name));
    final int wanted =
        length != 0 ? length : known.stream().mapToInt(VendorLogs.Page::length).max().orElse(512);
    final byte[] data = log(directory, name, id, offset, wanted);
    if (raw != null) {
      return write(data, raw);
    }
    for (final VendorLogs.Page page : known) {
      if (offset == 0 && page.fits(data)) {
        return show("Log " + hex(id) + " (" + page.name() + ") of " + name, page.decode(data));
      }
    }
    if (json) {
      return print(
          JsonNodeFactory.instance
              .objectNode()
              .put("log_id", id)
              .put("offset", offset)
              .put("data", Base64.getEncoder().encodeToString(data)));
    }
    final PrintWriter out = spec.commandLine().getOut();
    out.println("Log " + hex(id) + " of " + name + ":");
    HexDump.print(out, data, offset);
    out.flush();
    return 0;
  }

  private int logId(final String text) {
    try {
      final int id = Integer.decode(text);
      if (id >= 0 && id <= 0xFF) {
        return id;
      }
    } catch (final NumberFormatException e) {
      throw new ParameterException(spec.commandLine(), "no log page id: " + text, e);
    }
    throw new ParameterException(spec.commandLine(), "no log page id: " + text);
  }

  private static String hex(final int id) {
    return "0x" + Integer.toHexString(id);
  }

  private static int write(final byte[] data, final String raw) throws IOException {
    try (OutputStream to =
        raw.equals("-")
            ? new FileOutputStream(FileDescriptor.out)
            : Files.newOutputStream(
                Path.of(raw), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      to.write(data);
    } catch (final FileAlreadyExistsException e) {
      throw new CommandFailedException(raw + " is there already; choose another name", e);
    }
    return 0;
  }

  private static int vendorOf(final RunDirectory directory, final String name) throws IOException {
    final String data =
        call(directory, "virtnvme_nvme_identify_controller", named(name)).path("data").asText();
    return word(Base64.getDecoder().decode(data), IdentifyController.VENDOR_ID_OFFSET);
  }

  private static byte[] log(
      final RunDirectory directory,
      final String name,
      final int id,
      final long offset,
      final int length)
      throws IOException {
    final ObjectNode params =
        named(name).put("log_id", id).put("offset", offset).put("length", length);
    return Base64.getDecoder()
        .decode(call(directory, "virtnvme_nvme_get_log_page", params).path("data").asText());
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
    int width = NAME_WIDTH;
    for (final Map.Entry<String, JsonNode> field : fields.properties()) {
      width = Math.max(width, field.getKey().length());
    }
    for (final Map.Entry<String, JsonNode> field : fields.properties()) {
      out.println(
          field.getKey()
              + " ".repeat(width - field.getKey().length())
              + ": "
              + field.getValue().asText());
    }
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
    return printable(new String(data, offset, length, ISO_8859_1));
  }

  static String printable(final String text) {
    return text.replace("\0", "").replaceAll("[^ -~]", "?").strip();
  }
}
