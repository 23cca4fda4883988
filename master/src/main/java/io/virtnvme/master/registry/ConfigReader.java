package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.JsonText;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads a configuration in SPDK's JSON form: {@code {"subsystems": [{"subsystem": NAME, "config":
 * [{"method": M, "params": {..}}, ..]}, ..]}}; a list inside {@code config} is a batch and is read
 * as its members. Thread-safe.
 */
public final class ConfigReader {
  private static final long LENGTH_MAX = 16 * 1024 * 1024;

  private ConfigReader() {}

  /**
   * Reads a file.
   *
   * @return the calls in order
   * @throws ConfigException when the file cannot be read or is no configuration
   */
  public static List<ConfigCall> read(final Path file) {
    final byte[] bytes;
    try {
      if (Files.size(file) > LENGTH_MAX) {
        throw new ConfigException(
            "configuration "
                + file
                + " has "
                + Files.size(file)
                + " bytes, more than "
                + LENGTH_MAX
                + "; is it the right file?");
      }
      bytes = Files.readAllBytes(file);
    } catch (final NoSuchFileException e) {
      throw new ConfigException("no configuration at " + file + "; check the path");
    } catch (final IOException e) {
      throw new ConfigException("cannot read configuration " + file + ": " + e.getMessage());
    }
    try {
      return calls(JsonText.parse(bytes));
    } catch (final IllegalArgumentException e) {
      throw new ConfigException("configuration " + file + " is no JSON: " + e.getMessage());
    } catch (final ConfigException e) {
      throw new ConfigException("configuration " + file + ": " + e.getMessage());
    }
  }

  /**
   * Takes the calls out of a configuration.
   *
   * @throws ConfigException when it has another form
   */
  public static List<ConfigCall> calls(final JsonNode config) {
    final JsonNode subsystems = config.path("subsystems");
    if (!subsystems.isArray()) {
      throw new ConfigException("\"subsystems\" must be a list, as save_config writes it");
    }
    final List<ConfigCall> calls = new ArrayList<>();
    for (int i = 0; i < subsystems.size(); i++) {
      final JsonNode name = subsystems.get(i).path("subsystem");
      final JsonNode entries = subsystems.get(i).path("config");
      if (!name.isTextual()) {
        throw new ConfigException("subsystem number " + i + " has no name: add \"subsystem\"");
      }
      if (entries.isNull() || entries.isMissingNode()) {
        continue;
      }
      if (!entries.isArray()) {
        throw new ConfigException(
            "\"config\" of subsystem '" + name.textValue() + "' must be a list of calls");
      }
      for (int k = 0; k < entries.size(); k++) {
        addEntry(calls, name.textValue(), k, entries.get(k));
      }
    }
    return calls;
  }

  private static void addEntry(
      final List<ConfigCall> calls, final String subsystem, final int index, final JsonNode entry) {
    if (!entry.isArray()) {
      calls.add(call(subsystem, index, entry));
      return;
    }
    for (final JsonNode member : entry) {
      calls.add(call(subsystem, index, member));
    }
  }

  private static ConfigCall call(final String subsystem, final int index, final JsonNode entry) {
    final String where = "entry " + index + " of subsystem '" + subsystem + "'";
    final JsonNode method = entry.path("method");
    if (!method.isTextual()) {
      throw new ConfigException(where + " has no \"method\"; each entry is a call");
    }
    final JsonNode params = entry.path("params");
    if (params instanceof ObjectNode object) {
      return new ConfigCall(subsystem, index, method.textValue(), object);
    }
    if (!params.isMissingNode() && !params.isNull()) {
      throw new ConfigException(
          where + " (" + method.textValue() + "): \"params\" must be an object");
    }
    return new ConfigCall(
        subsystem, index, method.textValue(), JsonNodeFactory.instance.objectNode());
  }
}
