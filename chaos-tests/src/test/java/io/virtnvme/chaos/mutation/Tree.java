package io.virtnvme.chaos.mutation;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The source tree: where its tests are, and the class paths that the build left. Only read. */
final class Tree {
  /** What {@code chaos-tests/mutations/run} has the build write for each module. */
  private static final String CLASS_PATH_FILE = "target/test-class-path";

  private static final List<String> MODULES =
      List.of("virtnvme-ipc", "shared-journal", "master", "slave", "chaos-tests");

  /**
   * A class of tests.
   *
   * @param module the folder of its module
   * @param className with its package
   */
  record TestClass(String module, String className) {}

  private final Path root;
  private final Map<String, TestClass> tests = new HashMap<>();

  Tree(final Path root) throws IOException {
    this.root = root;
    for (final String module : MODULES) {
      final Path sources = root.resolve(module).resolve(Path.of("src", "test", "java"));
      try (Stream<Path> files = Files.walk(sources)) {
        files
            .filter(file -> file.toString().endsWith("Test.java"))
            .map(file -> sources.relativize(file).toString())
            .forEach(
                file -> {
                  final String className =
                      file.substring(0, file.length() - ".java".length()).replace('/', '.');
                  tests.put(
                      className.substring(className.lastIndexOf('.') + 1),
                      new TestClass(module, className));
                });
      }
    }
  }

  Path root() {
    return root;
  }

  /**
   * Finds tests by the simple name of their class; a method after {@code #} is left out.
   *
   * @throws IllegalArgumentException when there is none of this name
   */
  TestClass test(final String name) {
    final String simpleName = name.contains("#") ? name.substring(0, name.indexOf('#')) : name;
    final TestClass test = tests.get(simpleName);
    if (test == null) {
      throw new IllegalArgumentException("no such test in any module: " + simpleName);
    }
    return test;
  }

  /** What the tests of a module need, its own classes first, then this command's. */
  String classPath(final String module) throws IOException {
    final Path target = root.resolve(module).resolve("target");
    return String.join(
        File.pathSeparator,
        target.resolve("test-classes").toString(),
        target.resolve("classes").toString(),
        Files.readString(root.resolve(module).resolve(CLASS_PATH_FILE)).strip(),
        System.getProperty("java.class.path"));
  }
}
