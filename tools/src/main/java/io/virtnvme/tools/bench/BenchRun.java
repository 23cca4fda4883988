package io.virtnvme.tools.bench;

import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.pair.FrontEnd;
import io.virtnvme.tools.pair.PairSettings;
import io.virtnvme.tools.pair.TemporaryPair;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * One benchmark from start to end. {@link #run} on the main thread; {@link #close} from there or
 * from the shutdown hook.
 */
final class BenchRun implements AutoCloseable {
  private static final long START_LIMIT_NS = TimeUnit.SECONDS.toNanos(60);
  private static final long POLL_NS = 20_000_000;

  /** Makes the rings' journals do nothing in every process of a pair. */
  private static final Map<String, String> WITHOUT_JOURNAL =
      Map.of("JAVA_TOOL_OPTIONS", "-Dvirtnvme.journal.off=true");

  private final BenchSettings settings;
  private final BenchReport report;
  private final PrintWriter err;
  private final List<AutoCloseable> resources = new ArrayList<>();
  private boolean closed;

  BenchRun(final BenchSettings settings, final BenchReport report, final PrintWriter err) {
    this.settings = settings;
    this.report = report;
    this.err = err;
  }

  /** Fills the report; what was measured before a failure stays in it. */
  void run() throws IOException {
    if (settings.storageDaemon()) {
      StorageDaemon.checkInstalled();
    }
    prepareFile();
    final List<Subject> subjects = startSubjects();
    final BenchClient client = keep(new BenchClient());
    for (final int queueDepth : settings.queueDepths()) {
      final Measurement limit =
          new Measurement(
              settings.works().get(0),
              queueDepth,
              new Subject("client limit (do-nothing peer)", null, List.of()));
      report.limit(limit);
      if (settings.clientCore() >= 0 && settings.blkioLibrary() == null) {
        measure(client, limit);
      }
    }
    for (final Work work : settings.works()) {
      for (final int queueDepth : settings.queueDepths()) {
        compare(client, work, queueDepth, subjects);
      }
    }
  }

  private void compare(
      final BenchClient client,
      final Work work,
      final int queueDepth,
      final List<Subject> subjects) {
    final List<Measurement> measurements = new ArrayList<>();
    for (final Subject subject : subjects) {
      final Measurement measurement = new Measurement(work, queueDepth, subject);
      measurements.add(measurement);
      report.add(measurement);
    }
    for (int round = 0; round < settings.rounds(); round++) {
      for (final Measurement measurement : measurements) {
        measure(client, measurement);
      }
    }
  }

  private void measure(final BenchClient client, final Measurement measurement) {
    final Subject subject = measurement.subject();
    final RunResult result =
        client.run(
            settings.order(
                measurement.work(), measurement.queueDepth(), subject.socket(), subject.pids()));
    if (result.error() != null) {
      throw new CommandFailedException(
          subject.label()
              + ", "
              + measurement.work().label()
              + " at queue depth "
              + measurement.queueDepth()
              + ": "
              + result.error());
    }
    measurement.add(result);
    say(
        "%-9s QD %3d  %-30s %,11.0f IO/s  p50 %.2f us  p99 %.2f us  p99.9 %.2f us  (%.0f ns between"
            + " cores)",
        measurement.work().label(),
        measurement.queueDepth(),
        subject.label(),
        result.iops(),
        result.p50Us(),
        result.p99Us(),
        result.p999Us(),
        result.oneWayNs());
  }

  private List<Subject> startSubjects() throws IOException {
    final List<Subject> subjects = new ArrayList<>();
    for (final boolean journal : settings.journals()) {
      subjects.add(startPair(journal));
    }
    for (final String socket : settings.sockets()) {
      subjects.add(new Subject(socket, socket, List.of()));
    }
    if (settings.storageDaemon()) {
      final StorageDaemon daemon = keep(new StorageDaemon(settings));
      daemon.awaitSocket();
      subjects.add(new Subject("qemu-storage-daemon", daemon.socket(), List.of(daemon.pid())));
    }
    return subjects;
  }

  private Subject startPair(final boolean journal) throws IOException {
    final TemporaryPair pair =
        keep(
            new TemporaryPair(
                new PairSettings(
                    Math.max(0, settings.slaveCore()),
                    0,
                    settings.kind(),
                    settings.blockCount(),
                    settings.file(),
                    settings.packed(),
                    settings.frontEnd()),
                journal ? Map.of() : WITHOUT_JOURNAL));
    final String kind =
        "virtnvme "
            + (settings.frontEnd() == FrontEnd.BLK
                ? ""
                : settings.frontEnd().name().toLowerCase(Locale.ROOT) + " ")
            + settings.kind().name().toLowerCase(Locale.ROOT);
    final String label = journal ? kind : kind + ", no journal";
    say("%s: run directory %s", label, pair.runDirectory().path());
    pair.startMaster();
    pair.awaitMaster();
    pair.createDisk();
    final int slavePid = awaitSlave(pair);
    return new Subject(label, pair.socket().toString(), List.of(slavePid, pair.masterPid()));
  }

  private static int awaitSlave(final TemporaryPair pair) throws IOException {
    final long deadlineNs = System.nanoTime() + START_LIMIT_NS;
    int pid = pair.activePid();
    while (pid == 0) {
      if (System.nanoTime() - deadlineNs > 0) {
        throw new CommandFailedException("no slave in time:\n" + pair.logTail());
      }
      LockSupport.parkNanos(POLL_NS);
      pid = pair.activePid();
    }
    return pid;
  }

  /** A file that is not there yet is made, and removed afterwards. */
  private void prepareFile() throws IOException {
    final Path file = settings.file();
    if (file != null && !Files.exists(file)) {
      say("making %s, %d MiB", file, settings.megabytes());
      keep(() -> Files.deleteIfExists(file));
      Fill.fill(file, settings.rangeBytes());
    }
  }

  /** Has it closed in the end; at once if everything was closed already. */
  private synchronized <T extends AutoCloseable> T keep(final T resource) {
    if (closed) {
      end(resource);
      throw new CommandFailedException("stopped");
    }
    resources.add(resource);
    return resource;
  }

  private void say(final String format, final Object... arguments) {
    err.println(String.format(Locale.ROOT, format, arguments));
    err.flush();
  }

  synchronized boolean isClosed() {
    return closed;
  }

  @Override
  public synchronized void close() {
    closed = true;
    for (int i = resources.size() - 1; i >= 0; i--) {
      end(resources.get(i));
    }
    resources.clear();
  }

  private static void end(final AutoCloseable resource) {
    try {
      resource.close();
    } catch (final Exception e) {
      System.err.println("virtnvme bench: " + e.getMessage());
    }
  }
}
