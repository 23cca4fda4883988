package io.virtnvme.tools;

import io.virtnvme.ipc.log.LineLog;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.tools.bench.BenchCommand;
import io.virtnvme.tools.bench.BenchLoadCommand;
import io.virtnvme.tools.chaos.ChaosCommand;
import io.virtnvme.tools.demo.DemoCommand;
import io.virtnvme.tools.demo.TrainCommand;
import io.virtnvme.tools.load.LoadCommand;
import io.virtnvme.tools.migrate.MigrateCommand;
import io.virtnvme.tools.migrate.ReceiveCommand;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.ParseResult;

/** Entry of the {@code virtnvme} command. Exit codes: 0 ok, 1 failure, 2 usage. */
@Command(
    name = "virtnvme",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    synopsisSubcommandLabel = "COMMAND",
    description = "Virtual disks whose server process may be killed at any instant.",
    footer = {
      "",
      "The launcher knows one more command: 'virtnvme test' installs what the tests need and runs"
          + " them all.",
      "Exit codes: 0 ok, 1 failure, 2 usage."
    },
    subcommands = {
      DemoCommand.class,
      ChaosCommand.class,
      BenchCommand.class,
      UpCommand.class,
      RpcCommand.class,
      StatusCommand.class,
      NvmeCommand.class,
      ReadCommand.class,
      ExportCommand.class,
      MigrateCommand.class,
      ReceiveCommand.class,
      UpgradeCommand.class,
      VersionCommand.class,
      HelpCommand.class,
      LoadCommand.class,
      BenchLoadCommand.class,
      TrainCommand.class
    })
public final class Main {
  /** The command did not do what was asked. */
  public static final int EXIT_FAILURE = CommandLine.ExitCode.SOFTWARE;

  /** The command line makes no sense. */
  public static final int EXIT_USAGE = CommandLine.ExitCode.USAGE;

  private Main() {}

  /** Runs a command and ends the process with its exit code. */
  public static void main(final String[] arguments) {
    LineLog.use();
    final int exitCode = commandLine().execute(arguments);
    System.out.flush();
    System.exit(exitCode);
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setExecutionExceptionHandler(new FailureReport());
  }

  /** One line on stderr for what can go wrong in operation; a stack trace for what never should. */
  private static final class FailureReport implements IExecutionExceptionHandler {
    @Override
    public int handleExecutionException(
        final Exception failure, final CommandLine commandLine, final ParseResult parseResult) {
      final PrintWriter err = commandLine.getErr();
      if (failure instanceof RpcException rpc) {
        err.println("error " + rpc.code() + ": " + rpc.getMessage());
      } else if (failure instanceof CommandFailedException
          || failure instanceof IOException
          || failure instanceof UncheckedIOException) {
        err.println("virtnvme " + commandLine.getCommandName() + ": " + failure.getMessage());
      } else {
        err.println("virtnvme met a fault of its own; please report this:");
        failure.printStackTrace(err);
      }
      return EXIT_FAILURE;
    }
  }
}
