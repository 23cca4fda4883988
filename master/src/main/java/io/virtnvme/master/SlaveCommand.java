package io.virtnvme.master;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The command line that starts a slave the way this process was started. */
public final class SlaveCommand {
  private static final String MAIN_CLASS = "io.virtnvme.slave.SlaveMain";

  /** Options that belong to one process only: two would fight over a port or a file. */
  private static final List<String> NOT_INHERITED =
      List.of(
          "-agentlib:",
          "-agentpath:",
          "-javaagent:",
          "-Xrunjdwp",
          "-Xdebug",
          "-XX:ArchiveClassesAtExit",
          "-XX:DumpLoadedClassList",
          "-XX:AOTCacheOutput",
          "-XX:AOTConfiguration",
          "-XX:AOTMode",
          "-Dcom.sun.management.jmxremote.port",
          "-Xloggc:");

  /**
   * A slave's heap holds sessions, not data: small, so that the process is soon gone when it is
   * killed.
   */
  private static final List<String> SMALL_HEAP = List.of("-Xms16m", "-Xmx64m", "-Xmn8m");

  private SlaveCommand() {}

  /** The same Java, the same options but for the heap, the same class path. */
  public static List<String> likeThisProcess() {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (final String option : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (NOT_INHERITED.stream().noneMatch(option::startsWith)) {
        command.add(option);
      }
    }
    command.addAll(SMALL_HEAP);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(MAIN_CLASS);
    return command;
  }
}
