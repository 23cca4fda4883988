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

  /** The slave's executable jar, with the libraries of its manifest beside it. */
  private static final String JAR_PROPERTY = "virtnvme.slave.jar";

  /** Class data of that jar and its libraries. */
  private static final String ARCHIVE_PROPERTY = "virtnvme.slave.archive";

  /**
   * What the jar's manifest says, what only the master's libraries need, or what goes with the
   * master's class path. A JVM with exports among its options starts without its archived modules.
   */
  private static final List<String> NOT_FOR_THE_JAR =
      List.of(
          "--add-exports",
          "--add-opens",
          "-Dchronicle.",
          "-Dvirtnvme.slave.",
          "-XX:SharedArchiveFile");

  private SlaveCommand() {}

  /** Whether slaves have a class path of their own, and with it class data of their own. */
  public static boolean isOfItsOwn() {
    return !System.getProperty(JAR_PROPERTY, "").isEmpty();
  }

  /**
   * The same Java, the same options but for the heap; the slave's own jar where {@code
   * -Dvirtnvme.slave.jar} names it, with {@code -Dvirtnvme.slave.archive} as its class data, else
   * the same class path.
   */
  public static List<String> likeThisProcess() {
    if (!isOfItsOwn()) {
      return command(List.of(), List.of("-cp", System.getProperty("java.class.path"), MAIN_CLASS));
    }
    final List<String> program = new ArrayList<>();
    final String archive = System.getProperty(ARCHIVE_PROPERTY, "");
    if (!archive.isEmpty()) {
      program.add("-XX:SharedArchiveFile=" + archive);
    }
    program.add("-jar");
    program.add(System.getProperty(JAR_PROPERTY));
    return command(NOT_FOR_THE_JAR, program);
  }

  private static List<String> command(final List<String> left, final List<String> program) {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (final String option : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (NOT_INHERITED.stream().noneMatch(option::startsWith)
          && left.stream().noneMatch(option::startsWith)) {
        command.add(option);
      }
    }
    command.addAll(SMALL_HEAP);
    command.addAll(program);
    return command;
  }
}
