package io.virtnvme.chaos;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Random;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Gives a test its pair, loads and random numbers; ends all of them afterwards, the newest first,
 * and prints the logs and the seed when the test failed or something was left behind.
 */
final class Pairs implements BeforeEachCallback, AfterEachCallback {
  private final Deque<AutoCloseable> opened = new ArrayDeque<>();
  private Pair pair;
  private long seed;
  private Random random;

  @Override
  public void beforeEach(final ExtensionContext context) {
    seed = Long.getLong("virtnvme.seed", System.nanoTime());
    random = new Random(seed);
  }

  Pair start(final PairOptions options) {
    pair = add(new Pair(options));
    pair.startMaster();
    return pair;
  }

  /** Ends with the test. */
  <T extends AutoCloseable> T add(final T closeable) {
    opened.push(closeable);
    return closeable;
  }

  LoadProcess load(final Pair on, final String controller, final LoadOptions options) {
    return add(LoadProcess.start(on, controller, options));
  }

  long seed() {
    return seed;
  }

  Random random() {
    return random;
  }

  @Override
  public void afterEach(final ExtensionContext context) throws Exception {
    if (context.getExecutionException().isPresent()) {
      printEvidence(context);
    }
    Exception failure = null;
    while (!opened.isEmpty()) {
      try {
        opened.pop().close();
      } catch (final AssertionError e) {
        failure = new IllegalStateException("seed " + seed + ": " + e.getMessage(), e);
      } catch (final Exception e) {
        failure = e;
      }
    }
    if (failure != null && context.getExecutionException().isEmpty()) {
      throw failure;
    }
  }

  private void printEvidence(final ExtensionContext context) {
    System.err.println(context.getDisplayName() + " failed: -Dvirtnvme.seed=" + seed);
    if (pair != null) {
      System.err.println(pair.evidence());
    }
  }
}
