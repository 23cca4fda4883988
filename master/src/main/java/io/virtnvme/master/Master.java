package io.virtnvme.master;

import io.virtnvme.ipc.relay.FormatVersions;
import io.virtnvme.master.registry.ConfigCall;
import io.virtnvme.master.registry.ConfigException;
import io.virtnvme.master.registry.ConfigReader;
import io.virtnvme.master.registry.DesiredState;
import io.virtnvme.master.registry.EventHistory;
import io.virtnvme.master.registry.Registry;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.JsonRpcServer;
import io.virtnvme.master.rpc.MasterInfo;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.methods.ConfigLoader;
import io.virtnvme.master.rpc.methods.RpcMethodSet;
import io.virtnvme.master.supervisor.ConductorControlPlane;
import io.virtnvme.master.supervisor.Supervisor;
import io.virtnvme.master.supervisor.SupervisorConfig;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The running master: the conductor thread with everything on it, the registry, and the RPC server.
 *
 * <p>{@link #launch} returns when {@code DIR/rpc.sock} answers. {@link #close} may be called from
 * any thread, also while {@link #awaitTermination} waits.
 */
public final class Master implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Master.class);
  private static final long STEP_SECONDS_MAX = 60;

  private final MasterContext context;
  private final RunDirectory runDirectory;
  private final Registry registry;
  private final EventHistory history;
  private final MasterCounters counters = new MasterCounters();
  private final ExecutorService fileThread =
      Executors.newSingleThreadExecutor(
          task -> {
            final Thread thread = new Thread(task, "files");
            thread.setDaemon(true);
            return thread;
          });
  private final EventLoop loop;
  private final Supervisor supervisor;
  private final Thread conductor;
  private final AtomicBoolean closing = new AtomicBoolean();

  /** Completes when the conductor has ended, for whatever reason. */
  private final CompletableFuture<Void> ended = new CompletableFuture<>();

  /** Completes when another build is to take the place of this one. */
  private final CompletableFuture<Replacement> replacement = new CompletableFuture<>();

  /** The conductor did what it was asked to do last; true at first. */
  private volatile boolean moved = true;

  private volatile ConductorControlPlane controlPlane;
  private volatile JsonRpcServer rpcServer;
  private volatile boolean running = true;
  private volatile RuntimeException failure;

  private Master(final MasterContext context, final RunDirectory runDirectory) {
    this.context = context;
    this.runDirectory = runDirectory;
    registry =
        Registry.open(
            runDirectory.path().resolve("registry").resolve("calls"), context.wallClockMs());
    history =
        EventHistory.open(
            runDirectory.path().resolve("registry").resolve("events"), context.wallClockMs());
    loop = new EventLoop(context.nanoClock());
    final SupervisorConfig config = context.supervisorConfig(runDirectory.segments());
    supervisor = new Supervisor(config, loop, counters, fileThread, history::append);
    conductor = new Thread(this::conduct, "conductor");
  }

  /**
   * Starts a master: takes the run directory's lock, adopts or starts slaves, brings back what the
   * registry says, carries out the configuration file if there is one, and serves RPC.
   *
   * @throws StartRefusedException with a sentence for the operator; slaves that ran before run on
   */
  public static Master launch(final MasterContext context) {
    final List<ConfigCall> calls;
    final RunDirectory runDirectory;
    try {
      context.conclude();
      calls = context.configFile() == null ? List.of() : ConfigReader.read(context.configFile());
      runDirectory = RunDirectory.open(context.runDirectory());
    } catch (final ConfigException e) {
      throw new StartRefusedException(e.getMessage(), e);
    } catch (final UnsatisfiedLinkError | ExceptionInInitializerError e) {
      throw new StartRefusedException(
          "the C library lacks something: " + e + "; use glibc 2.30 or later", e);
    }
    try {
      HostCheck.checkKernel();
      HostCheck.checkSpace(runDirectory.segments());
    } catch (final RuntimeException e) {
      runDirectory.close();
      throw e;
    }
    final Master master = new Master(context, runDirectory);
    try {
      master.start(calls);
      return master;
    } catch (final RuntimeException | IOException e) {
      master.abandon();
      throw e instanceof StartRefusedException refused
          ? refused
          : new StartRefusedException("the master does not start: " + e.getMessage(), e);
    }
  }

  private void start(final List<ConfigCall> calls) throws IOException {
    final long startNs = System.nanoTime();
    LOG.info("{}", context);
    conductor.start();
    await(onConductor(supervisor::start), "start of the supervisor");
    await(supervisor.adopted(), "adoption");
    final boolean adopted = counters.get(MasterCounter.SLAVES_ADOPTED) > 0;
    final DesiredState desired = await(registry.desired().toCompletableFuture(), "registry");
    await(stageOnConductor(() -> supervisor.restore(desired)), "what the registry says");
    final MasterInfo info =
        new MasterInfo(
            ProcessHandle.current().pid(),
            Long.toHexString(runDirectory.segments().instanceId()),
            runDirectory.path().toString(),
            context.version(),
            System.currentTimeMillis(),
            adopted,
            context.lastUpgrade());
    final ConductorControlPlane plane =
        new ConductorControlPlane(supervisor, info, this::otherCounters);
    await(onConductor(() -> show(plane)), "control plane");
    final RpcMethods methods =
        RpcMethodSet.create(context.version(), plane, registry::append, history, this::replace);
    try {
      await(new ConfigLoader(methods, plane).load(calls).toCompletableFuture(), "configuration");
    } catch (final StartRefusedException e) {
      stopSlavesUnless(adopted);
      throw e;
    }
    rpcServer = JsonRpcServer.start(runDirectory.path().resolve("rpc.sock"), methods);
    LOG.info(
        "ready after {} ms{}",
        (System.nanoTime() - startNs) / 1_000_000,
        adopted ? ", slaves of a master before were adopted" : "");
  }

  private void show(final ConductorControlPlane plane) {
    plane.publish();
    controlPlane = plane;
  }

  private void stopSlavesUnless(final boolean adopted) {
    if (!adopted) {
      // A configuration that cannot be carried out leaves nothing running that it started.
      stopSlaves();
    }
  }

  /** Work of the conductor that may fail. */
  @FunctionalInterface
  private interface Step {
    void run() throws IOException;
  }

  private CompletableFuture<Void> onConductor(final Step step) {
    final CompletableFuture<Void> done = new CompletableFuture<>();
    loop.execute(
        () -> {
          try {
            step.run();
            done.complete(null);
          } catch (final IOException | RuntimeException e) {
            done.completeExceptionally(e);
          }
        });
    return done;
  }

  private <T> CompletableFuture<T> stageOnConductor(final Supplier<CompletableFuture<T>> work) {
    return CompletableFuture.<Void>completedFuture(null)
        .thenComposeAsync(nothing -> work.get(), loop::execute);
  }

  private <T> T await(final CompletableFuture<T> future, final String what) {
    try {
      return getUnlessEnded(future);
    } catch (final ExecutionException e) {
      throw new StartRefusedException(what + ": " + e.getCause().getMessage(), e.getCause());
    } catch (final TimeoutException e) {
      throw new StartRefusedException(what + " took more than " + STEP_SECONDS_MAX + " seconds", e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StartRefusedException(what + " was interrupted", e);
    }
  }

  /** Does not wait for a conductor that will never answer. */
  private <T> T getUnlessEnded(final CompletableFuture<T> future)
      throws ExecutionException, TimeoutException, InterruptedException {
    CompletableFuture.anyOf(future, ended).get(STEP_SECONDS_MAX, TimeUnit.SECONDS);
    if (!future.isDone()) {
      throw new ExecutionException(
          failure == null ? new IllegalStateException("the conductor has ended") : failure);
    }
    return future.get();
  }

  private Map<String, Long> otherCounters() {
    final Map<String, Long> all = new LinkedHashMap<>();
    final JsonRpcServer server = rpcServer;
    if (server != null) {
      all.putAll(server.counters());
    }
    all.putAll(registry.counters());
    all.putAll(history.counters());
    return all;
  }

  private void conduct() {
    try {
      boolean moreWork = false;
      while (running) {
        loop.doWork(!moreWork);
        if (running) {
          moreWork = supervisor.doWork();
          if (controlPlane != null) {
            controlPlane.publish();
          }
        }
      }
    } catch (final RuntimeException | Error e) {
      // A fault of ours: stop here, before it does harm. Slaves go on, a new master adopts them.
      LOG.error("the conductor stops; start the master again, the guests go on meanwhile", e);
      failure = e instanceof RuntimeException known ? known : new IllegalStateException(e);
    } finally {
      ended.complete(null);
    }
  }

  /** The control plane, as RPC clients see it. */
  public ControlPlane controlPlane() {
    return controlPlane;
  }

  /** Counters of this master; any thread. */
  public MasterCounters counters() {
    return counters;
  }

  /** Whether the conductor has made a turn since this was asked last; any one thread. */
  boolean isMoving() {
    if (!moved) {
      return false;
    }
    moved = false;
    loop.execute(() -> moved = true);
    return true;
  }

  /** An operator wants another build in this one's place; completes on the conductor. */
  private CompletionStage<Void> replace(
      final List<String> command, final FormatVersions formats, final long limitNs) {
    return stageOnConductor(
        () -> {
          if (!context.isReplaceable()) {
            throw new RpcException(
                RpcException.ENOTSUP,
                "this process is more than a master: stop it and start the other build");
          }
          supervisor.checkReplacement(formats);
          LOG.info("to be replaced by {}", command);
          replacement.complete(new Replacement(command, limitNs));
          return CompletableFuture.completedFuture(null);
        });
  }

  /**
   * Waits until {@link #close} is done, or until another build is to take over.
   *
   * @return null when it was closed; else this master still runs, and {@link #leave} is due
   * @throws IllegalStateException when the conductor stopped by a fault; slaves run on
   */
  Replacement awaitTermination() throws InterruptedException {
    try {
      CompletableFuture.anyOf(ended, replacement).get();
    } catch (final ExecutionException e) {
      throw new IllegalStateException(e);
    }
    if (failure != null) {
      abandon();
      throw new IllegalStateException("the master stopped by a fault of its own", failure);
    }
    return ended.isDone() ? null : replacement.join();
  }

  /**
   * Ends the master. In good order it also ends every slave, removes sockets and segments, and,
   * unless told otherwise, memory disks; with {@link MasterContext#leaveSlavesOnStop} it leaves
   * them for the next master.
   */
  @Override
  public void close() {
    end(context.leaveSlavesOnStop());
  }

  /** Ends the master and leaves slaves and guests running, for the next one to adopt. */
  void leave() {
    end(true);
  }

  private void end(final boolean leaveSlaves) {
    if (!closing.compareAndSet(false, true)) {
      awaitEnd();
      return;
    }
    if (rpcServer != null) {
      rpcServer.close();
    }
    if (failure == null && !leaveSlaves) {
      stopSlaves();
    } else if (failure == null) {
      loop.execute(
          () -> {
            supervisor.leave();
            running = false;
          });
    }
    awaitEnd();
    releaseAll();
    LOG.info("stopped");
  }

  private void stopSlaves() {
    final CompletableFuture<Void> stopped =
        stageOnConductor(() -> supervisor.stop().thenRun(() -> running = false));
    try {
      getUnlessEnded(stopped);
      runDirectory.clean(context.keepMemDisksOnStop());
    } catch (final ExecutionException | TimeoutException e) {
      LOG.error("not everything was stopped", e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    endConductor();
  }

  private void endConductor() {
    running = false;
    loop.execute(() -> {});
  }

  private void awaitEnd() {
    try {
      ended.get(STEP_SECONDS_MAX, TimeUnit.SECONDS);
    } catch (final ExecutionException | TimeoutException e) {
      LOG.error("the conductor does not end", e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends this process's part and leaves slaves as they are. */
  private void abandon() {
    if (closing.compareAndSet(false, true)) {
      if (rpcServer != null) {
        rpcServer.close();
      }
      endConductor();
      awaitEnd();
      releaseAll();
    }
  }

  private void releaseAll() {
    registry.close();
    history.close();
    fileThread.shutdown();
    loop.close();
    runDirectory.close();
  }
}
