package io.virtnvme.tools.page;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What a figure depends on beside the program. Any thread. */
public final class Machine {
  private Machine() {}

  public static ObjectNode describe() {
    return JsonNodeFactory.instance
        .objectNode()
        .put("processor", field("/proc/cpuinfo", "model name"))
        .put("cores", Runtime.getRuntime().availableProcessors())
        .put("memory", field("/proc/meminfo", "MemTotal"))
        .put("kernel", System.getProperty("os.name") + " " + System.getProperty("os.version"))
        .put("java", System.getProperty("java.vm.version"))
        .put("load_average", read("/proc/loadavg").strip());
  }

  private static String field(final String file, final String name) {
    return read(file)
        .lines()
        .filter(line -> line.startsWith(name))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst()
        .orElse("unknown");
  }

  private static String read(final String file) {
    try {
      return Files.readString(Path.of(file));
    } catch (final IOException e) {
      return "";
    }
  }
}
