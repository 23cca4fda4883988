package io.virtnvme.chaos;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Command lines of JVMs that have this one's classes and what the libraries need. Any thread. */
final class ChildJvm {
  /**
   * Only the JVM's first compiler. What starts is up, and a standby warm, with half the processor
   * time: for processes of whose compiled code a test asks nothing.
   */
  static final String FIRST_COMPILER_ONLY = "-XX:TieredStopAtLevel=1";

  /** What a child of a child gets as well. */
  private static final List<String> INHERITED =
      List.of(
          "--",
          "-Dchronicle.",
          "-XX:+IgnoreUnrecognizedVMOptions",
          "-Xshare:",
          "-XX:SharedArchiveFile=",
          "-Xlog:",
          "-Djna.",
          "-Djava.io.tmpdir=",
          FIRST_COMPILER_ONLY);

  private ChildJvm() {}

  /** Runs a main class; small heap, one collector thread, as the launcher does it. */
  static List<String> command(final Class<?> mainClass, final List<String> arguments) {
    return command(List.of(), mainClass, arguments);
  }

  /** The same with more flags of the JVM. */
  static List<String> command(
      final List<String> moreFlags, final Class<?> mainClass, final List<String> arguments) {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    boolean hasClassData = false;
    for (final String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (INHERITED.stream().anyMatch(flag::startsWith)) {
        command.add(flag);
        hasClassData |= flag.startsWith("-XX:SharedArchiveFile=");
      }
    }
    String classPath = System.getProperty("java.class.path");
    if (!hasClassData && Distribution.ofThisBuild().isPresent()) {
      command.addAll(Distribution.ofThisBuild().get().flags());
      classPath = Distribution.ofThisBuild().get().classPath();
    }
    command.addAll(List.of("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xms16m", "-Xmx256m"));
    command.addAll(moreFlags);
    command.addAll(List.of("-cp", classPath));
    command.add(mainClass.getName());
    command.addAll(arguments);
    return command;
  }
}
