package io.virtnvme.master.relay;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.sys.Fds;
import java.util.Map;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One front-end's connection: its socket, what the slaves made of it so far (a record that only
 * they understand, and the descriptors it names), and the message under way. Conductor thread.
 */
public final class FrontEndSession {
  private static final Logger LOG = LoggerFactory.getLogger(FrontEndSession.class);

  private final long id;
  private SessionDescription description;
  private final int fd;
  private final SessionSegment segment;
  private final SessionIo io;
  private final Map<Integer, Integer> slots = new TreeMap<>();
  private SessionState state;
  private long recordVersion;
  private byte[] record = new byte[0];
  private FrontEndMessage message;
  private SlaveAnswer answer;
  private boolean replyIsOut;
  private boolean queued;

  FrontEndSession(
      final long id,
      final SessionDescription description,
      final int fd,
      final SessionSegment segment,
      final SessionState state) {
    this.id = id;
    this.description = description;
    this.fd = fd;
    this.segment = segment;
    this.io = new SessionIo(segment);
    this.state = state;
    io.claim(description);
  }

  public long id() {
    return id;
  }

  public SessionDescription description() {
    return description;
  }

  /** The controller's namespaces are others now. */
  public void description(final SessionDescription newDescription) {
    io.claim(newDescription);
    description = newDescription;
  }

  Framing framing() {
    return Framing.of(description.protocol());
  }

  public SessionState state() {
    return state;
  }

  public SessionSegment segment() {
    return segment;
  }

  /** Adds what its guest did on one disk, whether it serves that or not. */
  public void addIo(final long bdevId, final Map<QueueCounter, Long> sums) {
    io.add(description, bdevId, sums);
  }

  public long recordVersion() {
    return recordVersion;
  }

  /** Queues that carried I/O; what the rings are set up for only slaves know. */
  public int usedQueueCount() {
    int count = 0;
    for (int queue = 0; queue < SessionSegment.QUEUE_COUNT_MAX; queue++) {
      final long block = segment.queueCounters(queue);
      final boolean used =
          Mem.getLongAcquire(block + QueueCounter.READ_OPS.offsetBytes()) != 0
              || Mem.getLongAcquire(block + QueueCounter.WRITE_OPS.offsetBytes()) != 0;
      count += used ? 1 : 0;
    }
    return count;
  }

  int fd() {
    return fd;
  }

  void state(final SessionState newState, final String reason) {
    if (!state.mayBecome(newState)) {
      throw new IllegalStateException(
          "session " + id + " cannot go from " + state + " to " + newState + ": " + reason);
    }
    LOG.debug("session {}: {} -> {}: {}", id, state, newState, reason);
    state = newState;
  }

  /** The number of the message under way, or of the next one. */
  long sequence() {
    return segment.settledSequence() + 1;
  }

  FrontEndMessage message() {
    return message;
  }

  void message(final FrontEndMessage peeked) {
    message = peeked;
  }

  /** What the seat's owner says to the message under way; null until it does. */
  SlaveAnswer answer() {
    return answer;
  }

  void answer(final SlaveAnswer newAnswer) {
    answer = newAnswer;
  }

  /** True when a dead master sent the reply to the message under way. */
  boolean replyIsOut() {
    return replyIsOut;
  }

  void replyIsOut(final boolean out) {
    replyIsOut = out;
  }

  boolean queued() {
    return queued;
  }

  void queued(final boolean nowQueued) {
    queued = nowQueued;
  }

  /** Takes over what a slave made of the session; replaced and removed descriptors are closed. */
  void record(final long version, final byte[] newRecord, final Map<Integer, Integer> changes) {
    recordVersion = version;
    record = newRecord;
    changes.forEach(
        (slot, newFd) -> {
          final Integer before = newFd < 0 ? slots.remove(slot) : slots.put(slot, newFd);
          if (before != null) {
            Fds.close(before);
          }
        });
  }

  /** Replaces everything, as a slave that outlived a master hands it back. */
  void replaceRecord(
      final long version, final byte[] newRecord, final Map<Integer, Integer> newSlots) {
    slots.values().forEach(Fds::close);
    slots.clear();
    record(version, newRecord, newSlots);
  }

  int slotCount() {
    return slots.size();
  }

  /** The body of a SESSION message. */
  public void write(final RelayWriter writer) {
    description.write(writer);
    writer.putLong(recordVersion).putBytes(record).putInt(slots.size());
    slots.keySet().forEach(writer::putInt);
    writer.putFd(fd);
    slots.values().forEach(writer::putFd);
  }

  /** The body of a RELAY message. */
  public void writeMessage(final RelayWriter writer) {
    writer.putBytes(message.bytes());
    for (final int messageFd : message.fds()) {
      writer.putFd(messageFd);
    }
  }

  /** Releases the message under way, and the answer to it. */
  void dropMessage() {
    if (message != null) {
      message.closeFds();
      message = null;
    }
    if (answer != null) {
      answer.closeReplyFds();
      answer = null;
    }
  }

  /** Closes every descriptor and the mapping of the segment. */
  void release() {
    dropMessage();
    slots.values().forEach(Fds::close);
    slots.clear();
    Fds.close(fd);
    segment.close();
  }

  @Override
  public String toString() {
    return "session " + id + " of controller " + description.controller();
  }
}
