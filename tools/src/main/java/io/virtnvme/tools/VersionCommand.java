package io.virtnvme.tools;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.relay.FormatVersions.FormatVersion;
import io.virtnvme.master.SlaveCommand;
import io.virtnvme.slave.control.SlaveFormats;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code virtnvme version}. */
@Command(
    name = "version",
    mixinStandardHelpOptions = true,
    description = "Print the version of virtnvme and of the Java that runs it.")
final class VersionCommand implements Callable<Integer> {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  @Spec private CommandSpec spec;

  @Option(
      names = "--json",
      description =
          "Print as JSON, with the versions of all formats and the command lines that start this"
              + " build's processes: what an upgrade asks another build for.")
  private boolean json;

  @Override
  public Integer call() throws JsonProcessingException {
    final PrintWriter out = spec.commandLine().getOut();
    out.println(json ? JSON.writeValueAsString(describe()) : line());
    out.flush();
    return 0;
  }

  private static String line() {
    return "virtnvme "
        + Version.current()
        + " (Java "
        + System.getProperty("java.version")
        + ", "
        + System.getProperty("java.vendor")
        + ")";
  }

  private static ObjectNode describe() {
    final ObjectNode described = JSON.createObjectNode();
    described.put("version", Version.current());
    described.put("java", System.getProperty("java.version"));
    final ObjectNode formats = described.putObject("formats");
    for (final FormatVersion format : SlaveFormats.known().all()) {
      formats.put(format.name(), format.major() + "." + format.minor());
    }
    put(described.putArray("slave_command"), SlaveCommand.likeThisProcess());
    put(described.putArray("command"), JvmCommand.of(List.of()));
    return described;
  }

  private static void put(final ArrayNode array, final List<String> words) {
    words.forEach(array::add);
  }
}
