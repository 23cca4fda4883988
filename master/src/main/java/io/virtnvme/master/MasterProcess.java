package io.virtnvme.master;

import io.virtnvme.ipc.sys.Exec;
import io.virtnvme.ipc.sys.SysException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The life of a master's process: one master after the other, until it is told to stop or until
 * another build takes its place. Main thread, but for the hook that a signal starts.
 */
final class MasterProcess {
  private static final Logger LOG = LoggerFactory.getLogger(MasterProcess.class);
  private static final int EXIT_REFUSED = 1;
  private static final int EXIT_FAULT = 70;

  private final Supplier<MasterContext> contexts;
  private final List<String> arguments;
  private final ServiceManager manager;

  /** The master that runs or is being launched; a signal that comes meanwhile waits for it. */
  private volatile CompletableFuture<Master> launched = new CompletableFuture<>();

  private volatile Trial trial;
  private volatile boolean ending;

  /**
   * Starts nothing yet.
   *
   * @param contexts makes the settings anew for each master
   * @param arguments with which another build would do the same; empty = it cannot be replaced
   */
  MasterProcess(
      final Supplier<MasterContext> contexts,
      final List<String> arguments,
      final ServiceManager manager) {
    this.contexts = contexts;
    this.arguments = List.copyOf(arguments);
    this.manager = manager;
  }

  /** Runs to the end; the exit code. */
  int run() throws InterruptedException {
    // Before the launch: a signal that comes while it is under way must not leave slaves behind.
    Runtime.getRuntime().addShutdownHook(new Thread(this::stop, "stop"));
    manager.startWatchdog();
    String failure = "";
    for (; ; ) {
      final MasterContext context =
          contexts
              .get()
              .descriptorStore(manager)
              .replaceable(!arguments.isEmpty())
              .lastUpgrade(failure);
      final Master master;
      try {
        master = Master.launch(context);
      } catch (final StartRefusedException e) {
        launched.complete(null);
        System.err.println("virtnvme: " + e.getMessage());
        return EXIT_REFUSED;
      } catch (final RuntimeException | Error e) {
        launched.complete(null);
        throw e;
      }
      launched.complete(master);
      manager.closeRest();
      manager.healthy(master::isMoving);
      manager.ready();
      final Replacement replacement;
      try {
        replacement = master.awaitTermination();
      } catch (final IllegalStateException e) {
        System.err.println("virtnvme: " + e.getMessage());
        return EXIT_FAULT;
      }
      if (replacement == null) {
        return 0;
      }
      synchronized (this) {
        if (ending) {
          // The signal's hook ends this master in good order.
          return 0;
        }
        launched = new CompletableFuture<>();
      }
      failure = replace(master, context, replacement);
      LOG.error("the master stays what it was: {}", failure);
    }
  }

  /** Does not return when the other build takes over; otherwise says why it does not. */
  private String replace(
      final Master master, final MasterContext context, final Replacement replacement)
      throws InterruptedException {
    manager.reloading();
    manager.healthy(() -> true);
    master.leave();
    try {
      trial = Trial.start(replacement, arguments, context.runDirectory());
      if (ending) {
        endTrial();
      }
      final String failure = trial.failure(replacement.limitNs());
      if (!failure.isEmpty() || ending) {
        return ending ? "this process is told to stop" : failure;
      }
      final List<String> command = new ArrayList<>(replacement.command());
      command.addAll(arguments);
      LOG.info("the other build takes the place of this one");
      Exec.replaceBy(command, ServiceManager.without(System.getenv(), false));
      return "it was not executed";
    } catch (final IOException | SysException e) {
      return "its master cannot be started: " + e.getMessage();
    } finally {
      trial = null;
    }
  }

  private void stop() {
    manager.stopping();
    final CompletableFuture<Master> latest;
    synchronized (this) {
      ending = true;
      latest = launched;
    }
    endTrial();
    final Master master = latest.join();
    if (master != null) {
      master.close();
    }
  }

  private void endTrial() {
    final Trial underWay = trial;
    if (underWay != null) {
      underWay.end();
    }
  }
}
