package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.IoStat;
import java.nio.charset.StandardCharsets;
import java.util.EnumMap;
import java.util.Map;
import java.util.UUID;

/** A bdev that exists or is being made. Conductor thread. */
final class BdevEntry {
  private static final int SERIAL_LENGTH_MAX = 20;

  private final long id;
  private BdevSpec spec;
  private BdevDescription description;
  private int seat;
  private String problem = "";

  /** Whose requests wait, as slaves are told. */
  private BdevHold hold = BdevHold.NONE;

  /** Number of the hold that ends by itself; 0 when there is none. */
  private long holdId;

  /** Limits for a moment, beside those of the spec. */
  private BdevLimits throttle = BdevLimits.NONE;

  /** Number of the throttle; 0 when there is none. */
  private long throttleId;

  /** Counters of the sessions that are over. */
  private final Map<QueueCounter, Long> ended = new EnumMap<>(QueueCounter.class);

  BdevEntry(final BdevSpec spec, final BdevDescription description, final int seat) {
    this.id = id(spec.uuid());
    this.spec = spec;
    this.description = description;
    this.seat = seat;
    this.hold = spec.migration().hold();
  }

  /** The number by which slaves know a bdev: the same after every restart of the master. */
  static long id(final UUID uuid) {
    return uuid.getMostSignificantBits() ^ uuid.getLeastSignificantBits();
  }

  /** A spec for a bdev that only a slave knows of; {@link #id} of its uuid is {@code id}. */
  static BdevSpec specOf(final long id, final BdevDescription description) {
    final BdevMethod method =
        switch (description.kind()) {
          case MEM -> BdevMethod.MALLOC;
          case URING -> BdevMethod.URING;
          case NULL -> BdevMethod.NULL;
          case NVME -> BdevMethod.NVME;
        };
    return new BdevSpec(
        description.name(),
        method,
        new UUID(0, id),
        description.blockBytes(),
        method.kind() == BdevKind.URING ? 0 : description.blockCount(),
        description.path(),
        description.readOnly());
  }

  static BdevDescription describe(
      final BdevSpec spec, final int blockBytes, final long blockCount) {
    final BdevDescription.Kind kind =
        switch (spec.kind()) {
          case MEM -> BdevDescription.Kind.MEM;
          case URING -> BdevDescription.Kind.URING;
          case NULL -> BdevDescription.Kind.NULL;
          case NVME -> BdevDescription.Kind.NVME;
        };
    return new BdevDescription(
        spec.name(), kind, blockBytes, blockCount, spec.filename(), spec.readOnly(), serial(spec));
  }

  /** The name where a guest can take it, so that it finds the disk by it; else part of the uuid. */
  private static String serial(final BdevSpec spec) {
    final String name = spec.name();
    final boolean fits =
        name.length() <= SERIAL_LENGTH_MAX
            && StandardCharsets.US_ASCII.newEncoder().canEncode(name);
    return fits ? name : spec.uuid().toString().replace("-", "").substring(0, SERIAL_LENGTH_MAX);
  }

  long id() {
    return id;
  }

  String name() {
    return spec.name();
  }

  BdevSpec spec() {
    return spec;
  }

  void spec(final BdevSpec newSpec) {
    spec = newSpec;
  }

  BdevDescription description() {
    return description;
  }

  void description(final BdevDescription newDescription) {
    description = newDescription;
  }

  int seat() {
    return seat;
  }

  void seat(final int newSeat) {
    seat = newSeat;
  }

  /** Why it cannot be served; empty when it can. */
  String problem() {
    return problem;
  }

  void problem(final String newProblem) {
    problem = newProblem;
  }

  BdevHold hold() {
    return hold;
  }

  /** Number of the hold that ends by itself, 0 when there is none. */
  long holdId() {
    return holdId;
  }

  /** Another hold; slaves are the caller's. */
  void hold(final BdevHold newHold, final long newId) {
    hold = newHold;
    holdId = newId;
  }

  /** Limits as slaves are told. */
  BdevLimits limits() {
    return spec.limits().and(throttle);
  }

  BdevLimits throttle() {
    return throttle;
  }

  long throttleId() {
    return throttleId;
  }

  /** Another throttle; slaves are the caller's. */
  void throttle(final BdevLimits limits, final long newId) {
    throttle = limits;
    throttleId = newId;
  }

  /** False when not even its length is known: no slave is told of it. */
  boolean isKnown() {
    return description.blockCount() > 0;
  }

  /** A session is over, which may have served it. */
  void addEnded(final FrontEndSession session) {
    session.addIo(id, ended);
  }

  IoStat ioStat(final Iterable<FrontEndSession> live) {
    final Map<QueueCounter, Long> sums = new EnumMap<>(ended);
    for (final FrontEndSession session : live) {
      session.addIo(id, sums);
    }
    return new IoStat(
        name(),
        sums.getOrDefault(QueueCounter.READ_BYTES, 0L),
        sums.getOrDefault(QueueCounter.READ_OPS, 0L),
        sums.getOrDefault(QueueCounter.WRITE_BYTES, 0L),
        sums.getOrDefault(QueueCounter.WRITE_OPS, 0L),
        sums.getOrDefault(QueueCounter.UNMAP_BYTES, 0L),
        sums.getOrDefault(QueueCounter.UNMAP_OPS, 0L),
        sums.getOrDefault(QueueCounter.FLUSH_OPS, 0L),
        sums.getOrDefault(QueueCounter.ERRORS, 0L),
        sums.getOrDefault(QueueCounter.READ_NS, 0L),
        sums.getOrDefault(QueueCounter.WRITE_NS, 0L),
        0);
  }
}
