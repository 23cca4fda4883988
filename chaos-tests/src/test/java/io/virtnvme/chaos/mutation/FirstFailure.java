package io.virtnvme.chaos.mutation;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs tests one after the other and ends at the first that fails: {@code FirstFailure FILE
 * TEST...}, a test being a class or {@code class#method(types)}. Writes the failed test and its
 * message into the file, two lines.
 */
public final class FirstFailure implements TestExecutionListener {
  static final int EXIT_SOUND = 0;
  static final int EXIT_FAILED = 10;
  static final int EXIT_NO_TESTS = 11;

  private final Path file;
  private int testCount;

  private FirstFailure(final Path file) {
    this.file = file;
  }

  /** See the class. */
  public static void main(final String[] args) {
    final FirstFailure listener = new FirstFailure(Path.of(args[0]));
    final Launcher launcher = LauncherFactory.create();
    for (final String test : List.of(args).subList(1, args.length)) {
      final DiscoverySelector selector =
          test.contains("#")
              ? DiscoverySelectors.selectMethod(test)
              : DiscoverySelectors.selectClass(test);
      final LauncherDiscoveryRequest request =
          LauncherDiscoveryRequestBuilder.request()
              .selectors(selector)
              // What fails once is enough, and nothing is written into the tree.
              .configurationParameter("jqwik.shrinking.default", "OFF")
              .configurationParameter("jqwik.database", "")
              .build();
      final int before = listener.testCount;
      launcher.execute(request, listener);
      if (listener.testCount == before) {
        System.err.println(test + " does not run here");
        System.exit(EXIT_NO_TESTS);
      }
    }
    System.exit(EXIT_SOUND);
  }

  @Override
  public void executionFinished(final TestIdentifier identifier, final TestExecutionResult result) {
    if (result.getStatus() == TestExecutionResult.Status.SUCCESSFUL) {
      testCount += identifier.isTest() ? 1 : 0;
    } else if (result.getStatus() == TestExecutionResult.Status.FAILED) {
      onFailure(identifier, result);
    }
  }

  private void onFailure(final TestIdentifier identifier, final TestExecutionResult result) {
    final Throwable cause = result.getThrowable().orElseThrow();
    cause.printStackTrace();
    try {
      Files.writeString(file, nameOf(identifier) + "\n" + oneLine(messageOf(cause)) + "\n");
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    // In good order: tests with processes have hooks that end them.
    System.exit(EXIT_FAILED);
  }

  private static String nameOf(final TestIdentifier identifier) {
    return identifier
        .getSource()
        .map(
            source -> {
              if (source instanceof MethodSource method) {
                return simpleName(method.getClassName()) + "." + method.getMethodName();
              }
              return source instanceof ClassSource type
                  ? simpleName(type.getClassName())
                  : identifier.getDisplayName();
            })
        .orElse(identifier.getDisplayName());
  }

  private static String simpleName(final String className) {
    return className.substring(className.lastIndexOf('.') + 1);
  }

  /** An assertion's text stands for itself. */
  private static String messageOf(final Throwable cause) {
    return cause instanceof AssertionError && cause.getMessage() != null
        ? cause.getMessage()
        : cause.toString();
  }

  private static String oneLine(final String text) {
    return text.replaceAll("\\s+", " ").strip();
  }
}
