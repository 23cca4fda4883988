package io.virtnvme.chaos.mutation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A fault that can be planted: some whole lines of one file are replaced by others.
 *
 * @param name unique, for the command line
 * @param breaks a sentence: what it breaks
 * @param file source file, relative to the root of the tree, with slashes
 * @param original the lines as they are, with their line ends
 * @param replacement the lines in their place; may be empty
 * @param expected the cheapest layer that should catch it
 * @param processTests simple names of tests with real processes that are tried last; may be empty
 * @param reasonNotCaught why no test can catch it, or null when one should
 */
record Mutation(
    String name,
    String breaks,
    String file,
    String original,
    String replacement,
    Layer expected,
    List<String> processTests,
    String reasonNotCaught) {

  /** The module that the file belongs to. */
  String module() {
    return file.substring(0, file.indexOf('/'));
  }

  /** Name of the top-level class in the file, with its package. */
  String className() {
    final String marker = "src/main/java/";
    final int begin = file.indexOf(marker) + marker.length();
    return file.substring(begin, file.length() - ".java".length()).replace('/', '.');
  }

  /** How often the original lines occur in the file today. */
  int occurrences(final Path root) throws IOException {
    final String text = text(root);
    int count = 0;
    for (int at = text.indexOf(original); at >= 0; at = text.indexOf(original, at + 1)) {
      count += startsLine(text, at) ? 1 : 0;
    }
    return count;
  }

  /**
   * The file's text with the fault in it.
   *
   * @throws IllegalStateException unless the original lines occur exactly once
   */
  String apply(final Path root) throws IOException {
    final int count = occurrences(root);
    if (count != 1) {
      throw new IllegalStateException(
          name + ": its lines must occur once in " + file + ", they occur " + count + " times");
    }
    final String text = text(root);
    int at = text.indexOf(original);
    while (!startsLine(text, at)) {
      at = text.indexOf(original, at + 1);
    }
    return text.substring(0, at) + replacement + text.substring(at + original.length());
  }

  private String text(final Path root) throws IOException {
    return Files.readString(root.resolve(file));
  }

  private static boolean startsLine(final String text, final int at) {
    return at == 0 || text.charAt(at - 1) == '\n';
  }
}
