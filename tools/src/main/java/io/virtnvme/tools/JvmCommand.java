package io.virtnvme.tools;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/** Command line that runs another {@code virtnvme} command in a process like this one. */
public final class JvmCommand {
  private JvmCommand() {}

  /** Same JVM, flags and class path; another command of {@link Main}. */
  public static List<String> of(final List<String> arguments) {
    final List<String> command = jvm(List.of());
    command.add(Main.class.getName());
    command.addAll(arguments);
    return command;
  }

  /** Same JVM, flags and class path, and these flags besides; without a main class. */
  public static List<String> jvm(final List<String> moreFlags) {
    final List<String> command = new ArrayList<>();
    command.add(ProcessHandle.current().info().command().orElse("java"));
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.addAll(moreFlags);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    return command;
  }
}
