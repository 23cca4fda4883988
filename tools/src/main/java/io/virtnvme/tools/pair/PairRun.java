package io.virtnvme.tools.pair;

import io.virtnvme.tools.CommandFailedException;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Locale;
import picocli.CommandLine;

/**
 * What a command does with a pair of its own, until it is done or Ctrl-C ends it. {@link #close} on
 * the main thread or from the shutdown hook, everything else on the main thread.
 */
public abstract class PairRun implements AutoCloseable {
  private static final int EXIT_INTERRUPTED = CommandLine.ExitCode.SOFTWARE;

  private final PrintWriter err;
  private volatile boolean closed;

  /** Work that ends with an exit code. */
  @FunctionalInterface
  public interface Work {
    /** Does it. */
    int call() throws IOException;
  }

  /**
   * Starts nothing.
   *
   * @param err takes what {@link #say} tells
   */
  protected PairRun(final PrintWriter err) {
    this.err = err;
  }

  /** Does the work, and ends all that this run has started, whatever became of it. */
  public final int guard(final Work work) throws IOException {
    Runtime.getRuntime().addShutdownHook(new Thread(this::close, "cleanup"));
    try {
      return work.call();
    } catch (final CommandFailedException | IOException e) {
      if (closed) {
        // Ctrl-C: the shutdown hook has ended everything, and the failure is only its echo.
        return EXIT_INTERRUPTED;
      }
      throw e;
    } finally {
      close();
    }
  }

  /** A line about the progress; none once everything was ended. */
  protected final void say(final String format, final Object... arguments) {
    if (!closed) {
      err.println(String.format(Locale.ROOT, format, arguments));
      err.flush();
    }
  }

  /** What went wrong at the end, whoever ended it. */
  protected final void complain(final String complaint) {
    err.println(complaint);
    err.flush();
  }

  /** Ends what was started so far; called again, it finds nothing left to do. */
  protected abstract void end();

  @Override
  public final synchronized void close() {
    closed = true;
    end();
  }
}
