package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.master.relay.EventLoop;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The place that a slave takes: its cores, its segment, and who has it. Conductor thread. */
final class Seat {
  /** No seat. */
  static final int NONE = -1;

  private static final Logger LOG = LoggerFactory.getLogger(Seat.class);

  private final int id;
  private final List<Integer> cores;
  private final SeatSegment segment;
  private final RestartPolicy policy;
  private SeatState state;
  private Slave owner;
  private long epoch;
  private int lastOwnerId;
  private String reason = "";
  private EventLoop.Timer timer;

  Seat(
      final int id,
      final List<Integer> cores,
      final SeatSegment segment,
      final RestartPolicy policy,
      final SeatState state) {
    this.id = id;
    this.cores = List.copyOf(cores);
    this.segment = segment;
    this.policy = policy;
    this.state = state;
    this.epoch = segment.epoch();
  }

  int id() {
    return id;
  }

  List<Integer> cores() {
    return cores;
  }

  SeatSegment segment() {
    return segment;
  }

  RestartPolicy policy() {
    return policy;
  }

  SeatState state() {
    return state;
  }

  /** The one door to another state; ends the timer of the state before. */
  void state(final SeatState newState, final String why) {
    if (!state.mayBecome(newState)) {
      throw new IllegalStateException(
          "seat " + id + " cannot go from " + state + " to " + newState + ": " + why);
    }
    if (newState == SeatState.FAILED) {
      LOG.error("seat {}: {} -> {}: {}", id, state, newState, why);
    } else {
      LOG.info("seat {}: {} -> {}: {}", id, state, newState, why);
    }
    timer(null);
    state = newState;
    reason = why;
  }

  /** Why the seat is in its state. */
  String reason() {
    return reason;
  }

  /** The timer of the present state. */
  void timer(final EventLoop.Timer newTimer) {
    if (timer != null) {
      timer.cancel();
    }
    timer = newTimer;
  }

  /** The slave that owns it, or null. */
  Slave owner() {
    return owner;
  }

  void owner(final Slave newOwner) {
    owner = newOwner;
    if (newOwner != null) {
      lastOwnerId = newOwner.id();
    }
  }

  int lastOwnerId() {
    return lastOwnerId;
  }

  /** The newest takeover that was reported. */
  long epoch() {
    return epoch;
  }

  void epoch(final long newEpoch) {
    epoch = newEpoch;
  }
}
