package io.virtnvme.chaos;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Command lines of JVMs that have this one's class path and what the libraries need. Any thread.
 */
final class ChildJvm {
  private ChildJvm() {}

  /** Runs a main class; small heap, one collector thread, as the launcher does it. */
  static List<String> command(final Class<?> mainClass, final List<String> arguments) {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (final String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (flag.startsWith("--")
          || flag.startsWith("-Dchronicle.")
          || flag.equals("-XX:+IgnoreUnrecognizedVMOptions")) {
        command.add(flag);
      }
    }
    command.addAll(List.of("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xms16m", "-Xmx256m"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(mainClass.getName());
    command.addAll(arguments);
    return command;
  }
}
