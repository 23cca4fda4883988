package io.virtnvme.tools;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code virtnvme version}. */
@Command(
    name = "version",
    mixinStandardHelpOptions = true,
    description = "Print the version of virtnvme and of the Java that runs it.")
final class VersionCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    spec.commandLine()
        .getOut()
        .println(
            "virtnvme "
                + Version.current()
                + " (Java "
                + System.getProperty("java.version")
                + ", "
                + System.getProperty("java.vendor")
                + ")");
    spec.commandLine().getOut().flush();
    return 0;
  }
}
