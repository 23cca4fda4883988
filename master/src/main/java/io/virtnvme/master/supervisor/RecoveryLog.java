package io.virtnvme.master.supervisor;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.segment.TakeoverReport;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.relay.Relay;
import io.virtnvme.master.rpc.RecoveryInfo;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The takeovers since this master started, with their phases. Conductor thread. */
final class RecoveryLog {
  private static final Logger LOG = LoggerFactory.getLogger(RecoveryLog.class);
  private static final int KEPT_MAX = 4096;

  private record Entry(RecoveryInfo info, long epoch, Slave successor, boolean settled) {}

  private final Relay relay;
  private final BiConsumer<String, ObjectNode> history;
  private final List<Entry> entries = new ArrayList<>();

  /**
   * Processes killed because they hung, with the evidence about them; their successors' reports
   * only know that they died.
   */
  private final Map<Integer, Path> hungPids = new HashMap<>();

  private long lastNumber;

  RecoveryLog(final Relay relay, final BiConsumer<String, ObjectNode> history) {
    this.relay = relay;
    this.history = history;
  }

  void onHung(final int pid, final Path evidence) {
    hungPids.put(pid, evidence);
  }

  /**
   * A slave says that it took a seat, or, with the same epoch, that it measured that. What the
   * owner before it could not say any more stands in the seat's segment, too.
   */
  void onSeatTaken(final Seat seat, final long epoch, final Slave successor) {
    final Entry before = find(seat.id(), epoch - 1);
    if (before != null) {
      enter(seat, before.epoch, before.successor, true);
    }
    enter(seat, epoch, successor, false);
  }

  private void enter(
      final Seat seat, final long epoch, final Slave successor, final boolean isOver) {
    final Entry last = find(seat.id(), epoch);
    final TakeoverReport report = seat.segment().takeover(epoch);
    if (report == null || report.previousPid() == 0 || (last != null && last.settled)) {
      return;
    }
    final long number = last == null ? ++lastNumber : last.info.number();
    final long timeMs = last == null ? System.currentTimeMillis() : last.info.timeMs();
    final RecoveryInfo info = info(number, timeMs, seat.id(), successor, report);
    final boolean settled = isOver || report.measured();
    final Entry entry = new Entry(info, epoch, successor, settled);
    if (last == null) {
      entries.add(entry);
    } else {
      entries.set(entries.indexOf(last), entry);
    }
    if (entries.size() > KEPT_MAX) {
      entries.remove(0);
    }
    if (settled) {
      LOG.info("recovery of seat {}: {}", seat.id(), info);
      history.accept("recovery", json(info));
      hungPids.remove(report.previousPid());
    }
  }

  private Entry find(final int seat, final long epoch) {
    for (final Entry entry : entries) {
      if (entry.info.seat() == seat && entry.epoch == epoch) {
        return entry;
      }
    }
    return null;
  }

  /** The slave measures from the mutex on; here each phase starts where the one before ended. */
  private RecoveryInfo info(
      final long number,
      final long timeMs,
      final int seat,
      final Slave successor,
      final TakeoverReport report) {
    final List<FrontEndSession> sessions = relay.sessionsOfSeat(seat);
    final long readyNs = report.mapNs() + report.replayNs();
    final long fenceNs = Math.max(0, report.fenceNs() - readyNs);
    final boolean completed = report.firstCompletionNs() >= 0;
    final long completionNs =
        completed ? Math.max(0, report.firstCompletionNs() - readyNs - fenceNs) : -1;
    final long totalNs =
        Math.max(0, report.detectNs()) + readyNs + fenceNs + Math.max(0, completionNs);
    final RecoveryInfo.Cause cause =
        !report.ownerDied()
            ? RecoveryInfo.Cause.HANDOVER
            : hungPids.containsKey(report.previousPid())
                ? RecoveryInfo.Cause.HUNG
                : RecoveryInfo.Cause.DIED;
    return new RecoveryInfo(
        number,
        timeMs,
        seat,
        cause,
        report.previousPid(),
        successor.pid(),
        report.warm(),
        sessions.size(),
        sessions.stream().mapToInt(FrontEndSession::usedQueueCount).sum(),
        report.resubmittedCount(),
        micros(report.detectNs()),
        micros(fenceNs),
        micros(report.mapNs()),
        micros(report.replayNs()),
        micros(completionNs),
        micros(totalNs),
        evidence(report.previousPid()));
  }

  private String evidence(final int deadPid) {
    final Path folder = hungPids.get(deadPid);
    return folder == null ? "" : folder.toString();
  }

  private static long micros(final long ns) {
    return ns < 0 ? -1 : TimeUnit.NANOSECONDS.toMicros(ns);
  }

  private static ObjectNode json(final RecoveryInfo info) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("number", info.number())
        .put("seat", info.seat())
        .put("cause", info.cause().name().toLowerCase(Locale.ROOT))
        .put("dead_pid", info.deadPid())
        .put("successor_pid", info.successorPid())
        .put("warm", info.warm())
        .put("sessions", info.sessions())
        .put("queues", info.queues())
        .put("resubmitted", info.resubmitted())
        .put("detect_us", info.detectUs())
        .put("fence_us", info.fenceUs())
        .put("map_us", info.mapUs())
        .put("replay_us", info.replayUs())
        .put("first_completion_us", info.firstCompletionUs())
        .put("total_us", info.totalUs())
        .put("evidence", info.evidence());
  }

  /** Oldest first. */
  List<RecoveryInfo> all() {
    return entries.stream().map(Entry::info).toList();
  }
}
