package io.virtnvme.chaos;

import io.virtnvme.tools.pair.Leftovers;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/**
 * Another installation of the product in a folder of its own: the launcher, everything of this
 * build, and before it on the class path what is different. The differences are edits of the
 * sources, compiled here, so that the build really is another one.
 */
final class OtherInstallation implements AutoCloseable {
  /** The version that it says it is. */
  static final String VERSION = "0.2.0-other";

  private static final Path TREE = Path.of("..").toAbsolutePath().normalize();
  private static final String BUILD = "io/virtnvme/ipc/relay/build.properties";

  /**
   * A change to one source file; with {@code from} empty it is compiled again as it is, because it
   * has a copy of a constant that changed elsewhere.
   *
   * @param source below the root of the sources
   * @param from text that is there exactly once
   */
  record Edit(String source, String from, String to) {}

  private final Path path;

  private OtherInstallation(final Path path) {
    this.path = path;
  }

  /** Makes one. */
  static OtherInstallation with(final String version, final List<Edit> edits) {
    try {
      final OtherInstallation made =
          new OtherInstallation(Files.createTempDirectory(Path.of("/tmp"), "vn-build-"));
      made.make(version, edits);
      return made;
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Path path() {
    return path;
  }

  private void make(final String version, final List<Edit> edits) throws IOException {
    Files.copy(TREE.resolve("virtnvme"), path.resolve("virtnvme"));
    final Path dist = path.resolve("tools").resolve("target").resolve("dist");
    Files.createDirectories(dist.resolve("lib"));
    final Path classes = path.resolve("classes");
    compile(edits, classes);
    final Path build = classes.resolve(BUILD);
    Files.createDirectories(build.getParent());
    Files.writeString(build, "version=" + version + "\n");
    // The launcher puts jars on the class path in the order of their names.
    jar(dist.resolve("lib").resolve("00-other.jar"), new Manifest(), classes);
    jar(dist.resolve("lib").resolve("10-same.jar"), everythingOfThisBuild(), null);
    Files.writeString(dist.resolve("built"), "");
  }

  private void compile(final List<Edit> edits, final Path classes) throws IOException {
    Files.createDirectories(classes);
    final List<String> arguments =
        new ArrayList<>(
            List.of("-d", classes.toString(), "-proc:none", "-nowarn", "-encoding", "UTF-8"));
    arguments.addAll(List.of("-cp", System.getProperty("java.class.path")));
    for (final Edit edit : edits) {
      final String text = Files.readString(TREE.resolve(edit.source()));
      if (!edit.from().isEmpty() && text.split(Pattern.quote(edit.from()), -1).length != 2) {
        throw new AssertionError(edit.source() + " does not have this once: " + edit.from());
      }
      final Path copy = path.resolve("src").resolve(edit.source());
      Files.createDirectories(copy.getParent());
      Files.writeString(copy, edit.from().isEmpty() ? text : text.replace(edit.from(), edit.to()));
      arguments.add(copy.toString());
    }
    if (edits.isEmpty()) {
      return;
    }
    final JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    if (compiler.run(null, System.err, System.err, arguments.toArray(new String[0])) != 0) {
      throw new AssertionError("the other build does not compile: " + edits);
    }
  }

  private static Manifest everythingOfThisBuild() {
    final Manifest manifest = new Manifest();
    final Attributes attributes = manifest.getMainAttributes();
    attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    attributes.put(
        Attributes.Name.CLASS_PATH,
        Stream.of(System.getProperty("java.class.path").split(File.pathSeparator, -1))
            .map(entry -> Path.of(entry).toAbsolutePath().toUri().toString())
            .collect(Collectors.joining(" ")));
    return manifest;
  }

  private static void jar(final Path jar, final Manifest manifest, final Path content)
      throws IOException {
    manifest.getMainAttributes().putIfAbsent(Attributes.Name.MANIFEST_VERSION, "1.0");
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file, manifest)) {
      if (content == null) {
        return;
      }
      final List<Path> files;
      try (Stream<Path> found = Files.walk(content)) {
        files = found.filter(Files::isRegularFile).sorted().toList();
      }
      for (final Path entry : files) {
        out.putNextEntry(new ZipEntry(content.relativize(entry).toString()));
        Files.copy(entry, out);
        out.closeEntry();
      }
    }
  }

  @Override
  public void close() throws IOException {
    Leftovers.delete(path);
  }
}
