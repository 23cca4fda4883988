package io.virtnvme.master.supervisor;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.rpc.JsonText;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Saves what is known of a slave that may hang, while it may still come back: once it is killed
 * nobody can say why it stood still. A folder per case in {@code DIR/evidence}, the newest are
 * kept. {@link #begin} belongs to the conductor, which never waits; a thread of its own writes.
 */
final class HangEvidence implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(HangEvidence.class);
  private static final int CASES_KEPT_MAX = 16;
  private static final int LOG_TAIL_BYTES = 64 * 1024;
  private static final int THREADS_BYTES_MAX = 1 << 20;
  private static final long THREADS_LIMIT_NS = TimeUnit.MILLISECONDS.toNanos(300);
  private static final long POLL_NS = TimeUnit.MILLISECONDS.toNanos(5);

  /** The last thing that a JVM prints when it is asked for its threads. */
  private static final String THREADS_END = "JNI global refs";

  private static final DateTimeFormatter STAMP =
      DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss-SSS").withZone(ZoneOffset.UTC);

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final MasterCounters counters;
  private final RecentEvents events;
  private final Path directory;
  private final ExecutorService writer =
      Executors.newSingleThreadExecutor(
          task -> {
            final Thread thread = new Thread(task, "evidence");
            thread.setDaemon(true);
            return thread;
          });

  HangEvidence(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final RecentEvents events) {
    this.config = config;
    this.loop = loop;
    this.counters = counters;
    this.events = events;
    this.directory = config.runDirectory().resolve("evidence");
  }

  /**
   * Begins to save what is known of a slave.
   *
   * @param log what the slave prints goes there
   */
  EvidenceCase begin(final Slave slave, final Seat seat, final Path log, final String reason) {
    final String name =
        STAMP.format(Instant.now()) + "-slave-" + slave.id() + "-pid-" + slave.pid();
    final EvidenceCase evidence = new EvidenceCase(directory.resolve(name));
    final String report = JsonText.pretty(report(slave, seat, reason));
    final List<String> lines = events.lines();
    // A descriptor of our own: the slave may be buried before the writer gets to it.
    final int pidfd = Fds.duplicate(slave.pidfd());
    final int pid = slave.pid();
    writer.execute(
        () -> {
          try {
            save(evidence, report, lines, pid, pidfd, log);
          } catch (final IOException e) {
            LOG.warn("evidence about process {} is not complete: {}", pid, e.toString());
          } finally {
            Fds.close(pidfd);
            loop.execute(() -> onSaved(evidence));
          }
        });
    return evidence;
  }

  private void onSaved(final EvidenceCase evidence) {
    evidence.saved();
    if (evidence.isDropped()) {
      delete(evidence);
    }
  }

  /** The slave moves again, so nothing has to be explained. */
  void drop(final EvidenceCase evidence) {
    evidence.drop();
    if (evidence.isSaved()) {
      delete(evidence);
    }
  }

  private void delete(final EvidenceCase evidence) {
    writer.execute(
        () -> {
          try {
            delete(evidence.folder());
          } catch (final IOException e) {
            LOG.warn("cannot remove {}: {}", evidence.folder(), e.toString());
          }
        });
  }

  private ObjectNode report(final Slave slave, final Seat seat, final String reason) {
    final long nowNs = System.nanoTime();
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("v", 1)
        .put("time_ms", System.currentTimeMillis())
        .put("reason", reason)
        .put("slave", slave.id())
        .put("pid", slave.pid())
        .put("build", slave.build())
        .put("seat", seat.id())
        .put("epoch", seat.segment().epoch())
        .put("owner_pid", seat.segment().ownerPid())
        .put("hang_limit_ms", TimeUnit.NANOSECONDS.toMillis(config.hangNsMax()));
    final ArrayNode reactors = json.putArray("reactors");
    for (int i = 0; i < seat.segment().reactorCount(); i++) {
      reactors
          .addObject()
          .put("activity", activity(seat.segment().activity(i)))
          .put("heartbeat_age_us", (nowNs - seat.segment().heartbeatNs(i)) / 1000)
          .put("duty_cycles", seat.segment().dutyCycles(i));
    }
    final ObjectNode counted = json.putObject("counters");
    counters.all().forEach(counted::put);
    return json;
  }

  private static String activity(final long code) {
    return code == SeatSegment.ACTIVITY_POLLING
        ? "polling"
        : code == SeatSegment.ACTIVITY_ASLEEP ? "asleep" : "none";
  }

  // The writer's thread from here on.

  private void save(
      final EvidenceCase evidence,
      final String report,
      final List<String> lines,
      final int pid,
      final int pidfd,
      final Path log)
      throws IOException {
    final Path folder = evidence.folder();
    makeRoom();
    Files.createDirectories(folder);
    // First what vanishes first.
    Files.writeString(folder.resolve("process.txt"), config.processes().describe(pid));
    Files.writeString(folder.resolve("report.json"), report);
    Files.write(folder.resolve("events.txt"), lines);
    final long logLength = Files.exists(log) ? Files.size(log) : 0;
    Files.write(
        folder.resolve("slave.log"),
        read(log, Math.max(0, logLength - LOG_TAIL_BYTES), LOG_TAIL_BYTES));
    Files.writeString(folder.resolve("threads.txt"), threads(pid, pidfd, log, logLength));
  }

  /** A JVM prints its threads to its log; what it added there is the answer. */
  private String threads(final int pid, final int pidfd, final Path log, final long from)
      throws IOException {
    if (!config.processes().askForThreads(pid, pidfd)) {
      return "not asked: the process is stopped or gone, or it would not survive SIGQUIT\n";
    }
    final long deadlineNs = System.nanoTime() + Math.min(THREADS_LIMIT_NS, config.hangNsMax());
    String text = "";
    while (!text.contains(THREADS_END) && System.nanoTime() - deadlineNs < 0) {
      LockSupport.parkNanos(POLL_NS);
      text = new String(read(log, from, THREADS_BYTES_MAX), StandardCharsets.UTF_8);
    }
    return text.contains(THREADS_END)
        ? text
        : text + "\n(no more within the limit: it does not reach a safepoint, or has no core)\n";
  }

  private static byte[] read(final Path file, final long from, final int bytesMax)
      throws IOException {
    if (!Files.exists(file)) {
      return new byte[0];
    }
    try (RandomAccessFile input = new RandomAccessFile(file.toFile(), "r")) {
      final byte[] bytes = new byte[(int) Math.max(0, Math.min(bytesMax, input.length() - from))];
      input.seek(from);
      input.readFully(bytes);
      return bytes;
    }
  }

  /** Names begin with the time, so the oldest come first. */
  private void makeRoom() throws IOException {
    if (!Files.isDirectory(directory)) {
      return;
    }
    final NavigableSet<Path> folders = new TreeSet<>();
    try (DirectoryStream<Path> found = Files.newDirectoryStream(directory)) {
      found.forEach(folders::add);
    }
    while (folders.size() >= CASES_KEPT_MAX) {
      delete(folders.pollFirst());
    }
  }

  private static void delete(final Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return;
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (final Path file : files) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }

  /** Nothing new; what is being written is finished, or dies with this process. */
  @Override
  public void close() {
    writer.shutdown();
  }
}
