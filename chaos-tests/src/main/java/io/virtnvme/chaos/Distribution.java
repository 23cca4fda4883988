package io.virtnvme.chaos;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The distribution that the build has put together. Child processes run its jars with its class
 * data, as installed ones do: that is a third of the time of a start, and a pair is a handful of
 * them. A run without packaged jars has none: its children run the classes as they are. Any thread.
 *
 * @param flags of a JVM that runs commands of the product
 * @param classPath the jars, then the classes of this module
 */
record Distribution(List<String> flags, String classPath) {
  private static final Path TREE = Path.of("..").toAbsolutePath().normalize();
  private static final Path FOLDER = TREE.resolve("tools").resolve("target").resolve("dist");
  private static final String ARCHIVE_FLAG = "-XX:SharedArchiveFile=";
  private static final String NATIVE = "native/com/sun/jna/linux-x86-64";
  private static final long TRAINING_LIMIT_MINUTES = 3;

  private static final class Holder {
    private static final Optional<Distribution> OF_THIS_BUILD = find();
  }

  /** That of the build which this process belongs to, if its jars are what this process runs. */
  static Optional<Distribution> ofThisBuild() {
    return Holder.OF_THIS_BUILD;
  }

  private static Optional<Distribution> find() {
    final String mine = System.getProperty("java.class.path");
    // The first of the jars that are packaged into the distribution itself, not copied there.
    if (Stream.of(mine.split(File.pathSeparator, -1))
        .noneMatch(entry -> entry.startsWith(FOLDER.resolve("lib").resolve("tools-").toString()))) {
      return Optional.empty();
    }
    try {
      train();
      final List<Path> jars = files(FOLDER.resolve("lib"), "", ".jar");
      final String classes = Path.of("target", "classes").toAbsolutePath().toString();
      final String classPath =
          jars.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
      return Optional.of(
          new Distribution(launcherFlags(), classPath + File.pathSeparator + classes));
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The launcher makes class data of this JVM where there are none. */
  private static void train() throws IOException {
    final ProcessBuilder builder =
        new ProcessBuilder(TREE.resolve("virtnvme").toString(), "version")
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.INHERIT)
            .redirectInput(new File("/dev/null"));
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.environment().put("VIRTNVME_NO_BUILD", "1");
    builder.environment().remove("VIRTNVME_NO_CDS");
    final Process process = builder.start();
    try {
      if (!process.waitFor(TRAINING_LIMIT_MINUTES, TimeUnit.MINUTES)) {
        process.destroyForcibly();
        throw new AssertionError("the launcher does not end");
      }
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      process.destroyForcibly();
      throw new AssertionError("interrupted", e);
    }
  }

  /** As the launcher gives them; empty when it could not make class data. */
  private static List<String> launcherFlags() throws IOException {
    final List<String> flags = new ArrayList<>();
    final String name = "cds-" + Runtime.version().feature() + "-";
    for (final Path archive : files(FOLDER, name, ".jsa")) {
      if (Files.size(archive) == 0) {
        continue;
      }
      if (archive.toString().endsWith("-slave.jsa")) {
        flags.add("-Dvirtnvme.slave.archive=" + archive);
      } else {
        flags.addAll(List.of("-Xshare:auto", ARCHIVE_FLAG + archive, "-Xlog:disable"));
      }
    }
    for (final Path jar : files(FOLDER.resolve("lib"), "slave-", ".jar")) {
      flags.add("-Dvirtnvme.slave.jar=" + jar);
    }
    if (Files.isDirectory(FOLDER.resolve(NATIVE))) {
      flags.add("-Djna.boot.library.path=" + FOLDER.resolve(NATIVE));
      flags.add("-Djna.nounpack=true");
    }
    return flags;
  }

  private static List<Path> files(final Path folder, final String prefix, final String suffix)
      throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith(prefix))
          .filter(file -> file.toString().endsWith(suffix))
          .sorted()
          .toList();
    }
  }
}
