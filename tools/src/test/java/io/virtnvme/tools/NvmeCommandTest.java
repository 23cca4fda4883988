package io.virtnvme.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.master.rpc.JsonRpcServer;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.RpcParams;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The commands against a stand-in for a master that has one controller. */
@Timeout(30)
class NvmeCommandTest {
  private static final int VENDOR = 0x1B36;
  private static final byte[] OCP_MARK =
      HexFormat.of().parseHex("c5af1028eabff2a49c4f6f7cc914d5af");

  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final List<String> calls = new ArrayList<>();
  private final byte[] page = new byte[4096];
  private JsonRpcServer server;

  @BeforeEach
  void start() throws IOException {
    final RpcMethods methods = new RpcMethods("0.1.0");
    methods.add(
        "bdev_nvme_get_controllers",
        List.of("name"),
        params ->
            RpcMethods.answer(
                JsonText.parse(
                    """
                    [{"name": "Nvme0",
                      "ctrlrs": [{"state": "failed", "trid": {"traddr": "0000:5e:00.0"}}],
                      "virtnvme": {"reason": "it is gone", "bdevs": ["Nvme0n1", "Nvme0n1p0"],
                        "problems": ["namespace 2: too small"], "model_number": "M1",
                        "serial_number": "S1", "firmware_revision": "F1"}}]
                    """)));
    methods.add(
        "virtnvme_nvme_identify_controller", List.of("name"), params -> data(params, identity()));
    methods.add(
        "bdev_nvme_get_controller_health_info",
        List.of("name"),
        params ->
            RpcMethods.answer(
                JsonText.parse(
                    """
                    {"critical_warning": 4, "temperature_celsius": 27,
                     "available_spare_percentage": 100, "percentage_used": 3,
                     "available_spare_threshold_percentage": 10,
                     "data_units_read": 340282366920938463463374607431768211455,
                     "data_units_written": 0, "host_read_commands": 0, "host_write_commands": 0,
                     "controller_busy_time": 0, "power_cycles": 0, "power_on_hours": 0,
                     "unsafe_shutdowns": 0, "media_errors": 0, "num_err_log_entries": 0}
                    """)));
    methods.add(
        "virtnvme_nvme_get_log_page",
        List.of("name", "log_id", "offset", "length"),
        params -> data(params, part(params)));
    methods.add("bdev_nvme_reset_controller", List.of("name"), this::reset);
    server = JsonRpcServer.start(folder.resolve("rpc.sock"), methods);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private static void requireKnown(final RpcParams params) {
    if (!params.requireString("name").equals("Nvme0")) {
      throw new RpcException(RpcException.ENODEV, "there is no such controller");
    }
  }

  private CompletionStage<JsonNode> reset(final RpcParams params) {
    requireKnown(params);
    calls.add("reset");
    return RpcMethods.answer(BooleanNode.getTrue());
  }

  private static CompletionStage<JsonNode> data(final RpcParams params, final byte[] data) {
    requireKnown(params);
    return RpcMethods.answer(
        JsonNodeFactory.instance
            .objectNode()
            .put("data", Base64.getEncoder().encodeToString(data)));
  }

  private static byte[] identity() {
    final byte[] data = new byte[IdentifyController.LENGTH];
    LittleEndian.putShort(data, IdentifyController.VENDOR_ID_OFFSET, VENDOR);
    data[IdentifyController.SERIAL_OFFSET] = 'S';
    data[IdentifyController.SERIAL_OFFSET + 1] = 27;
    return data;
  }

  private byte[] part(final RpcParams params) {
    final int id = params.requireInt("log_id", 0, 255);
    if (id < 0xC0) {
      throw new RpcException(RpcException.EIO, "Get Log Page failed: status type=1 code=0x9");
    }
    final int offset = params.requireInt("offset", 0, page.length);
    final int length = params.requireInt("length", 4, page.length - offset);
    calls.add("log " + id + " " + offset + " " + length);
    return Arrays.copyOfRange(page, offset, offset + length);
  }

  private int run(final String... arguments) {
    final List<String> words =
        new ArrayList<>(List.of("nvme", arguments[0], "--run-dir", folder.toString()));
    words.addAll(List.of(arguments).subList(1, arguments.length));
    final CommandLine commandLine = Main.commandLine();
    commandLine.setOut(new PrintWriter(out));
    commandLine.setErr(new PrintWriter(err, true));
    out.getBuffer().setLength(0);
    err.getBuffer().setLength(0);
    return commandLine.execute(words.toArray(new String[0]));
  }

  private void assertShown(final String words) {
    assertTrue(out.toString().contains(words), () -> out + " " + err);
  }

  @Test
  void shouldListControllersWithWhatIsWrong() {
    assertEquals(0, run("list"));
    assertShown("Nvme0       0000:5e:00.0  failed  M1     S1      F1        Nvme0n1 Nvme0n1p0");
    assertShown("Nvme0: it is gone");
    assertShown("Nvme0: namespace 2: too small");
    assertEquals(0, run("list", "--json"));
    assertEquals(
        "Nvme0", JsonText.parse(out.toString()).get(0).path("name").asText(), out.toString());
  }

  @Test
  void shouldShowWhatAControllerIs() {
    assertEquals(0, run("id-ctrl", "Nvme0"));
    assertShown("vid                   : 6966");
    assertShown("sn                    : S?");
    assertEquals(0, run("id-ctrl", "Nvme0", "--json"));
    assertEquals(VENDOR, JsonText.parse(out.toString()).path("vid").intValue());
  }

  @Test
  void shouldShowItsHealth() {
    assertEquals(0, run("smart", "Nvme0"));
    assertShown("temperature           : 27 C");
    assertShown("data_units_read       : 340282366920938463463374607431768211455");
    assertEquals(0, run("smart", "Nvme0", "--json"));
    assertEquals(300, JsonText.parse(out.toString()).path("temperature").intValue());
  }

  @Test
  void shouldResetAndSayWhyNot() {
    assertEquals(0, run("reset", "Nvme0"));
    assertEquals(List.of("reset"), calls);
    assertEquals(1, run("reset", "Other"));
    assertTrue(err.toString().startsWith("error -19: "), err.toString());
    assertFalse(err.toString().contains("\tat "), err.toString());
    assertEquals(2, run("reset"));
  }

  @Test
  void shouldShowTheExtendedHealthLogOfOcp() {
    page[0] = 1;
    page[15] = (byte) 0x80;
    page[81] = 2;
    page[87] = 1;
    LittleEndian.putInt(page, 112, 7);
    System.arraycopy(OCP_MARK, 0, page, 496, OCP_MARK.length);
    assertEquals(0, run("smart-extended", "Nvme0"));
    assertShown("Extended Smart Log (ocp-smart) for NVME device:Nvme0");
    assertShown("incomplete_shutdowns             : 7");
    assertShown("refresh_counts                   : 281474976710658");
    assertShown("physical_media_units_written     : 170141183460469231731687303715884105729");
    assertEquals(List.of("log 192 0 512"), calls);
    assertEquals(0, run("smart-extended", "Nvme0", "--json"));
    assertEquals(7, JsonText.parse(out.toString()).path("incomplete_shutdowns").intValue());
  }

  @Test
  void shouldSayThatThereIsNoExtendedHealthLog() {
    assertEquals(1, run("smart-extended", "Nvme0"));
    assertTrue(err.toString().contains("0xc0 is not ocp-smart"), err.toString());
    assertEquals(1, run("smart-extended", "Other"));
    assertTrue(err.toString().startsWith("error -19: "), err.toString());
  }

  @Test
  void shouldReadAVendorsLogByteByByte() throws IOException {
    new Random(5).nextBytes(page);
    Arrays.fill(page, 32, 96, (byte) 'a');
    assertEquals(0, run("vendor-log", "Nvme0", "0xca"));
    assertEquals(List.of("log 202 0 512"), calls);
    assertShown("00000020  61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61  |aaaaaaaaaaaaaaaa|");
    assertShown("|aaaaaaaaaaaaaaaa|" + System.lineSeparator() + "*" + System.lineSeparator());
    assertEquals(0, run("vendor-log", "Nvme0", "202", "--json", "--offset", "4", "--length", "8"));
    final JsonNode shown = JsonText.parse(out.toString());
    assertArrayEquals(Arrays.copyOfRange(page, 4, 12), shown.path("data").binaryValue());
    assertEquals(202, shown.path("log_id").intValue());
    final Path file = folder.resolve("raw");
    assertEquals(0, run("vendor-log", "Nvme0", "0xca", "--raw", file.toString()));
    assertArrayEquals(Arrays.copyOf(page, 512), Files.readAllBytes(file));
    assertEquals(1, run("vendor-log", "Nvme0", "0xca", "--raw", file.toString()));
    assertTrue(err.toString().contains("is there already"), err.toString());
    assertEquals(1, run("vendor-log", "Nvme0", "2"));
    assertTrue(err.toString().contains("status type=1"), err.toString());
    for (final String wrong : List.of("256", "-1", "ca", "")) {
      assertEquals(2, run("vendor-log", "Nvme0", wrong), wrong);
    }
  }

  @Test
  void shouldShowALogByATableOfTheUser() throws IOException {
    final Path table = folder.resolve("t.json");
    Files.writeString(
        table,
        """
        {"pages": [
          {"name": "other", "log_id": 202, "vendor_id": 1, "length": 8},
          {"name": "mine", "smart": true, "log_id": 202, "vendor_id": 6966, "length": 16,
           "mark": {"offset": 0, "bytes": "0102"},
           "fields": [{"name": "count", "offset": 2, "length": 3},
                      {"name": "word", "offset": 8, "length": 8, "text": true}]}]}
        """);
    System.arraycopy(new byte[] {1, 2, 3, 4, 0, 0, 0, 0, 'o', 'k', 27}, 0, page, 0, 11);
    assertEquals(0, run("vendor-log", "Nvme0", "0xca", "--table", table.toString()));
    assertEquals(List.of("log 202 0 16"), calls);
    assertShown("count                 : 1027");
    assertShown("word                  : ok?");
    assertEquals(0, run("smart-extended", "Nvme0", "--table", table.toString(), "--json"));
    assertEquals(1027, JsonText.parse(out.toString()).path("count").intValue());
    page[1] = 0;
    assertEquals(0, run("vendor-log", "Nvme0", "0xca", "--table", table.toString()));
    assertShown("00000000  01 00 03");
  }

  @Test
  void shouldSayWhatIsWrongWithATable() throws IOException {
    final Path table = folder.resolve("t.json");
    final String entry = "{\"pages\": [{\"name\": \"a\", \"log_id\": 202, \"length\": 8, %s}]}";
    for (final String text :
        List.of(
            "no json",
            "{}",
            "{\"pages\": [{\"name\": \"a\", \"log_id\": 256, \"length\": 8}]}",
            "{\"pages\": [{\"log_id\": 202, \"length\": 8}]}",
            "{\"pages\": [{\"name\": \"a\", \"log_id\": 202, \"length\": 10}]}",
            String.format(entry, "\"mark\": {\"offset\": 7, \"bytes\": \"0102\"}"),
            String.format(entry, "\"mark\": {\"offset\": 0, \"bytes\": \"xx\"}"),
            String.format(entry, "\"fields\": [{\"name\": \"f\", \"offset\": 6, \"length\": 4}]"),
            String.format(entry, "\"fields\": [{\"name\": \"f\", \"offset\": -1, \"length\": 1}]"),
            String.format(entry, "\"fields\": [{\"offset\": 0, \"length\": 1}]"))) {
      Files.writeString(table, text);
      assertEquals(1, run("vendor-log", "Nvme0", "0xca", "--table", table.toString()), text);
      assertTrue(err.toString().contains(table.toString()), err.toString());
      assertFalse(err.toString().contains("\tat "), err.toString());
    }
    assertEquals(1, run("vendor-log", "Nvme0", "0xca", "--table", folder.resolve("no").toString()));
    assertTrue(err.toString().contains("cannot read table"), err.toString());
  }
}
