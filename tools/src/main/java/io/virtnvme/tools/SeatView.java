package io.virtnvme.tools;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.SysException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * What a seat's segment says, readable when every process is dead.
 *
 * @param seat id
 * @param reactors reactor threads of the seat
 * @param ownerPid process that owns it or owned it last, 0 for none
 * @param ownerAlive whether that process lives
 * @param epoch how often it was taken
 * @param activity of reactor 0: none, polling, asleep
 * @param heartbeatAgeMs since reactor 0's last duty cycle, -1 when it never had one
 * @param problem why the segment cannot be read; empty when it can
 */
record SeatView(
    int seat,
    int reactors,
    int ownerPid,
    boolean ownerAlive,
    long epoch,
    String activity,
    long heartbeatAgeMs,
    String problem) {
  private static final String PREFIX = "seat-";

  /** Every seat of an instance, by id. */
  static List<SeatView> read(final SegmentDirectory segments) throws IOException {
    final List<SeatView> seats = new ArrayList<>();
    if (segments == null || !Files.isDirectory(segments.path())) {
      return seats;
    }
    final List<Integer> ids = new ArrayList<>();
    try (Stream<Path> files = Files.list(segments.path())) {
      files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.matches(PREFIX + "\\d{1,6}"))
          .forEach(name -> ids.add(Integer.parseInt(name.substring(PREFIX.length()))));
    }
    ids.sort(null);
    for (final int id : ids) {
      seats.add(read(segments, id));
    }
    return seats;
  }

  private static SeatView read(final SegmentDirectory segments, final int id) {
    try (SeatSegment segment = SeatSegment.open(segments, id)) {
      final int pid = segment.ownerPid();
      final long heartbeatNs = segment.heartbeatNs(0);
      return new SeatView(
          id,
          segment.reactorCount(),
          pid,
          pid > 0 && isAlive(pid),
          segment.epoch(),
          activity(segment.activity(0)),
          heartbeatNs == 0 ? -1 : (System.nanoTime() - heartbeatNs) / 1_000_000,
          "");
    } catch (final BadSegmentException | SysException e) {
      return new SeatView(id, 0, 0, false, 0, "none", -1, e.getMessage());
    }
  }

  private static boolean isAlive(final int pid) {
    return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
  }

  private static String activity(final long code) {
    if (code == SeatSegment.ACTIVITY_POLLING) {
      return "polling";
    }
    return code == SeatSegment.ACTIVITY_ASLEEP ? "asleep" : "none";
  }

  ObjectNode toJson() {
    return JsonNodeFactory.instance
        .objectNode()
        .put("seat", seat)
        .put("reactors", reactors)
        .put("owner_pid", ownerPid)
        .put("owner_alive", ownerAlive)
        .put("epoch", epoch)
        .put("activity", activity)
        .put("heartbeat_age_ms", heartbeatAgeMs)
        .put("problem", problem);
  }
}
