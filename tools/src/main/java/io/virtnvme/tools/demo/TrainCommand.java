package io.virtnvme.tools.demo;

import io.virtnvme.master.SlaveCommand;
import io.virtnvme.slave.SlaveMain;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.JvmCommand;
import io.virtnvme.tools.load.ClientProcess;
import io.virtnvme.tools.pair.FrontEnd;
import io.virtnvme.tools.pair.Leftovers;
import io.virtnvme.tools.pair.TemporaryPair;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code virtnvme train}: lets a pair and a client run for a moment, each process recording the
 * classes that it loads, and makes two class-data archives of them: one for slaves that are started
 * from a jar of their own, one for all else. Called by the launcher.
 */
@Command(
    name = "train",
    hidden = true,
    mixinStandardHelpOptions = true,
    description = "Make the class-data archive that makes starts fast.")
public final class TrainCommand implements Callable<Integer> {
  private static final DemoSettings SETTINGS =
      new DemoSettings(
          1, 0, FrontEnd.BLK, DemoSettings.BdevChoice.MEM, 4, 8, 1, false, 1, 0, false, 1, -1, 0);
  private static final long DUMP_LIMIT_MINUTES = 2;
  private static final Pattern CLASS_ID = Pattern.compile(" id: \\d+$");
  private static final String SLAVE_CLASS = SlaveMain.class.getName().replace('.', '/');

  @Option(names = "--archive", required = true, description = "File to write.")
  private Path archive;

  @Option(names = "--slave-archive", required = true, description = "File to write for slaves.")
  private Path slaveArchive;

  /** For picocli. */
  public TrainCommand() {}

  @Override
  public Integer call() throws IOException, InterruptedException {
    final Path folder = Files.createTempDirectory(Path.of("/tmp"), "vt-");
    try {
      // By the environment, since a master does not hand such a flag on to its slaves.
      runPair(
          Map.of(
              "JAVA_TOOL_OPTIONS",
              "-Xshare:auto -XX:DumpLoadedClassList=" + folder.resolve("%p.classes")));
      final List<List<String>> lists = lists(folder);
      final boolean apart = SlaveCommand.isOfItsOwn();
      final Path classes = folder.resolve("all");
      if (apart) {
        Files.write(classes, merge(lists.stream().filter(TrainCommand::isOfSlave).toList()));
        dump(SlaveCommand.likeThisProcess(), classes, slaveArchive);
      }
      Files.write(
          classes, merge(lists.stream().filter(list -> !(apart && isOfSlave(list))).toList()));
      dump(JvmCommand.jvm(List.of()), classes, archive);
      return 0;
    } finally {
      Leftovers.delete(folder);
    }
  }

  private static void runPair(final Map<String, String> recording) throws IOException {
    try (TemporaryPair pair = new TemporaryPair(SETTINGS.pair(), recording)) {
      Runtime.getRuntime().addShutdownHook(new Thread(pair::close, "cleanup"));
      pair.startMaster();
      pair.awaitMaster();
      pair.createDisk();
      pair.awaitStandby();
      try (ClientProcess client = SETTINGS.startClient(pair, recording)) {
        client.awaitRunning(pair::logTail);
        client.finish();
      }
      pair.recoveries();
      runCommand(pair, recording);
    }
  }

  private static void runCommand(final TemporaryPair pair, final Map<String, String> recording)
      throws IOException {
    final ProcessBuilder builder =
        new ProcessBuilder(
                JvmCommand.of(
                    List.of("status", "--run-dir", pair.runDirectory().path().toString())))
            .redirectErrorStream(true)
            .redirectOutput(new File("/dev/null"));
    builder.environment().putAll(recording);
    final Process status = builder.start();
    try {
      status.waitFor(DUMP_LIMIT_MINUTES, TimeUnit.MINUTES);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      status.destroyForcibly();
    }
  }

  /** What each process loaded. */
  private static List<List<String>> lists(final Path folder) throws IOException {
    final List<Path> paths = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      files.filter(file -> file.toString().endsWith(".classes")).sorted().forEach(paths::add);
    }
    if (paths.isEmpty()) {
      throw new CommandFailedException("no process left a list of classes");
    }
    final List<List<String>> lists = new ArrayList<>();
    for (final Path path : paths) {
      lists.add(Files.readAllLines(path));
    }
    return lists;
  }

  private static boolean isOfSlave(final List<String> list) {
    return list.stream().anyMatch(line -> line.startsWith(SLAVE_CLASS));
  }

  /** What any of the processes loaded, each line once. */
  private static Set<String> merge(final List<List<String>> lists) {
    final Set<String> lines = new LinkedHashSet<>();
    for (final List<String> list : lists) {
      for (final String line : list) {
        // Numbers are those of one process, and stand for classes of unusual loaders only.
        if (!line.contains(" source: ")) {
          lines.add(CLASS_ID.matcher(line).replaceFirst(""));
        }
      }
    }
    return lines;
  }

  /**
   * Makes an archive.
   *
   * @param jvm command line of a JVM with the class path and the options that the archive is for
   */
  private static void dump(final List<String> jvm, final Path classList, final Path archive)
      throws IOException, InterruptedException {
    final List<String> command = new ArrayList<>(jvm);
    command.addAll(
        1,
        List.of(
            "-Xshare:dump",
            "-XX:SharedClassListFile=" + classList,
            "-XX:SharedArchiveFile=" + archive));
    final Process process = new ProcessBuilder(command).inheritIO().start();
    try {
      if (!process.waitFor(DUMP_LIMIT_MINUTES, TimeUnit.MINUTES) || process.exitValue() != 0) {
        throw new CommandFailedException("the JVM made no archive: " + String.join(" ", command));
      }
    } finally {
      process.destroyForcibly();
    }
  }
}
