package io.virtnvme.slave.session;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.vhostuser.VhostUserBackendRequest;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.journal.SplitInflightDescriptor;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One vhost-user front-end of a block device, as its back-end: takes messages one at a time,
 * answers each once, and keeps rings and memory as they say. Everything that a successor needs is
 * in its record and its descriptors. Control thread only.
 *
 * <p>A change goes in this order, so that a death at any point is repaired by handling the message
 * again from the old record: map what is new, store the new record version in the session's
 * segment, stop rings, give the others the new memory, start rings, end old mappings, answer.
 */
public final class VhostUserSession implements FrontEndDevice {
  private static final Logger LOGGER = LoggerFactory.getLogger(VhostUserSession.class);
  private static final int[] NO_NUMBERS = {};

  private final long id;
  private final SessionSegment segment;
  private final BlkDevice device;
  private final SessionRules rules;
  private final MessageHandler handler;
  private final RingSetups setups;
  private final RunningRings rings;
  private final Complaints complaints;
  private final Holdings<SessionMemory> holdings =
      new Holdings<>(FdSlots.COUNT, SessionMemory.EMPTY);

  private SessionState state;
  private byte[] record;
  private long version;
  private boolean serving;
  private boolean busy;
  private boolean closed;
  private Runnable whenClosed;

  /**
   * Makes a session in its first state; {@link #load} brings it to that of a record.
   *
   * @param id the session's id in the instance
   * @param description what the master says of it; 1..64 queues
   * @param segment its segment; stays the caller's
   * @param bdev the open disk; stays the caller's
   * @param host where its rings run at the moment; asked before each use
   */
  public VhostUserSession(
      final long id,
      final SessionDescription description,
      final SessionSegment segment,
      final Bdev bdev,
      final Supplier<RingHost> host) {
    final int queueCount = description.queueCountMax();
    if (queueCount < 1 || queueCount > FdSlots.QUEUE_COUNT_MAX) {
      throw new SessionException(
          "queue count of controller "
              + description.controller()
              + ": count="
              + queueCount
              + ", allowed 1.."
              + FdSlots.QUEUE_COUNT_MAX);
    }
    this.id = id;
    this.segment = segment;
    this.device = new BlkDevice(description, bdev);
    this.rules = new SessionRules(device.features(), device.protocolFeatures(), queueCount);
    this.handler = new MessageHandler(device);
    this.setups = new RingSetups(id, segment, device);
    this.rings = new RunningRings(id, queueCount, host);
    this.complaints = new Complaints("session " + id, LOGGER::info);
    this.state = SessionState.initial(queueCount);
    this.record = SessionRecord.encode(state);
  }

  /**
   * Brings the session to the state of a record: maps memory and journals, starts nothing. Only
   * what differs from the state before is mapped anew.
   *
   * @param newVersion the record's version
   * @param newRecord the record; empty for a session whose front-end has said nothing yet
   * @param slots slot of each descriptor
   * @param newFds the descriptors; the session's from now on, also when this throws
   * @throws SessionException if the record is damaged, of another build, or does not fit its
   *     descriptors; the session stays as it was
   */
  @Override
  public void load(
      final long newVersion, final byte[] newRecord, final int[] slots, final int[] newFds) {
    if (serving || busy || closed) {
      SlotTable.close(newFds);
      throw new IllegalStateException("a session that serves cannot be loaded: session=" + id);
    }
    try {
      final SessionState loaded =
          newRecord.length == 0
              ? SessionState.initial(device.queueCount())
              : SessionRecord.decode(newRecord);
      rules.check(loaded);
      final int[] table = SlotTable.of(loaded.slots(), FdSlots.COUNT, FdSlots::name, slots, newFds);
      final SessionMemory mapped = SessionMemory.map(loaded, table, holdings.memory());
      mapped.putFds(table);
      holdings.replace(table, mapped, newFds);
      state = loaded;
      record = SessionRecord.encode(loaded);
      version = newVersion;
    } catch (final SessionException | SysException e) {
      SlotTable.close(newFds);
      throw new SessionException(
          "session " + id + ", record version " + newVersion + ": " + e.getMessage(), e);
    }
  }

  /** Version of the record that the session is in the state of. */
  @Override
  public long version() {
    return version;
  }

  /** The record as it is now. */
  @Override
  public byte[] record() {
    return record.clone();
  }

  /** The slots that hold a descriptor, ascending. */
  @Override
  public int[] heldSlots() {
    return state.slots().stream().toArray();
  }

  /** The descriptors in {@link #heldSlots}; they stay the session's. */
  @Override
  public int[] heldFds() {
    return holdings.fdsOf(state.slots());
  }

  /** Whether nobody went beyond the record that this session was loaded from. */
  @Override
  public boolean mayStart() {
    return segment.applying() == version;
  }

  @Override
  public List<MemoryRange> guestMemory() {
    return holdings.memory().populatable();
  }

  @Override
  public List<MappedArea> guestAreas() {
    return holdings.memory().guestAreas();
  }

  /** Set-ups of all rings that are to run, for a reactor that starts them by itself. */
  @Override
  public List<QueueSetup> runnableQueues() {
    final List<QueueSetup> runnable = new ArrayList<>();
    for (final QueueSetup setup : wantedRings(state, holdings.memory(), holdings.fds())) {
      if (setup != null) {
        runnable.add(setup);
      }
    }
    return runnable;
  }

  /**
   * Starts every ring that is to run and was not started by this session; from now on the session
   * serves, and its rings follow its messages. To call it again is harmless.
   */
  @Override
  public void startRings() {
    if (!closed && whenClosed == null) {
      serving = true;
      if (!busy) {
        rings.start(wantedRings(state, holdings.memory(), holdings.fds()));
      }
    }
  }

  private QueueSetup[] wantedRings(
      final SessionState of, final SessionMemory mapped, final int[] table) {
    final QueueSetup[] wanted = new QueueSetup[device.queueCount()];
    for (int i = 0; i < wanted.length; i++) {
      wanted[i] = setups.of(i, of, mapped, table);
    }
    return wanted;
  }

  /** A ring that waits looks like a disk that hangs: say why. */
  private void logWaiting(final QueueSetup[] wanted) {
    for (int i = 0; i < wanted.length; i++) {
      if (wanted[i] == null && state.ring(i).isComplete()) {
        complaints.add("waits", setups.whyNot(i, state, holdings.memory()));
      }
    }
  }

  /** What is said again has the same effect and the same reply here, whatever its number. */
  @Override
  public void onMessage(
      final long sequence, final byte[] message, final int[] messageFds, final AnswerSink sink) {
    onMessage(message, messageFds, sink);
  }

  /**
   * Handles a message. Its answer comes within this call, or when rings have come to a stop; until
   * then there must be no other message.
   *
   * @param message header and payload, as received
   * @param messageFds its descriptors; the session's from now on
   * @param sink gets exactly one answer
   */
  public void onMessage(final byte[] message, final int[] messageFds, final AnswerSink sink) {
    if (busy || closed || whenClosed != null) {
      SlotTable.close(messageFds);
      throw new IllegalStateException(
          "session takes no message now: session=" + id + " busy=" + busy + " closed=" + closed);
    }
    // Whatever the message changes, it changes it from rings that run: a predecessor may have died
    // with requests in flight that must end first.
    startRings();
    int inflightFd = -1;
    Change change = null;
    SessionMemory mapped = null;
    final int[] table = holdings.fds();
    try {
      Replies.requireHeader(message);
      change = handler.handle(state, message, messageFds);
      rules.check(change.state());
      for (int i = 0; i < change.slotsOfFds().length; i++) {
        if (change.slotsOfFds()[i] >= 0) {
          table[change.slotsOfFds()[i]] = messageFds[i];
        }
      }
      if (change.createInflight()) {
        inflightFd =
            Memfd.createSealed("virtnvme-inflight", change.state().inflight().lengthBytes());
        table[FdSlots.INFLIGHT] = inflightFd;
      }
      SlotTable.clearExcept(table, change.state().slots());
      mapped = SessionMemory.map(change.state(), table, holdings.memory());
      mapped.putFds(table);
      requireRings(change, mapped);
    } catch (final SessionException | SysException e) {
      if (mapped != null) {
        mapped.unmapExcept(holdings.memory());
      }
      Fds.close(inflightFd);
      SlotTable.close(messageFds);
      sink.onAnswer(refusal(message, e.getMessage()));
      return;
    }
    apply(new Step(message, messageFds, change, mapped, table, inflightFd, sink));
  }

  /** A message that can be applied: everything that may fail is done. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Step(
      byte[] message,
      int[] messageFds,
      Change change,
      SessionMemory mapped,
      int[] table,
      int inflightFd,
      AnswerSink sink) {}

  /**
   * A ring set up wrongly is refused with the message that shows it; without memory it may wait.
   */
  private void requireRings(final Change change, final SessionMemory mapped) {
    final SessionState next = change.state();
    if (!next.hasMemory()) {
      return;
    }
    final int located = change.ringToLocate();
    final int checked = change.ringToCheck();
    String fault = null;
    if (located >= 0) {
      fault = setups.addressFault(located, next, mapped);
    }
    if (fault == null && checked >= 0 && next.ring(checked).isComplete()) {
      fault = setups.whyNot(checked, next, mapped);
    }
    if (fault != null) {
      throw new SessionException(fault);
    }
  }

  private void apply(final Step step) {
    final Change change = step.change();
    final SlotChanges slotChanges = slotChanges(step);
    if (change.state().equals(state) && slotChanges.isEmpty()) {
      SlotTable.close(step.messageFds());
      answer(step, slotChanges);
      return;
    }
    busy = true;
    // From here on a successor with the old record must not start rings by itself.
    segment.applying(version + 1);
    rings.stopUnlike(
        wantedRings(change.state(), step.mapped(), step.table()),
        bases -> onStopped(step, slotChanges, withBases(change.state(), bases)));
  }

  private static SessionState withBases(final SessionState state, final long[] bases) {
    SessionState next = state;
    for (int i = 0; i < bases.length; i++) {
      // A ring without a size was reset: it begins at the start, wherever it stopped.
      if (bases[i] != RunningRings.NOT_STOPPED && next.ring(i).size() != 0) {
        next = next.withRing(i, next.ring(i).withBase((int) bases[i]));
      }
    }
    return next;
  }

  private void onStopped(final Step step, final SlotChanges slotChanges, final SessionState next) {
    resetJournal(step, next);
    final QueueSetup[] wanted = wantedRings(next, step.mapped(), step.table());
    rings.update(
        wanted,
        step.mapped().guest(),
        RingSetups.ringLog(next, step.mapped()),
        next.features(),
        () -> {
          rings.start(wanted);
          state = next;
          record = SessionRecord.encode(next);
          version++;
          holdings.replace(step.table(), step.mapped(), step.messageFds());
          logWaiting(wanted);
          answer(step, slotChanges);
          busy = false;
          if (whenClosed != null) {
            stopAndEnd();
          }
        });
  }

  /**
   * Makes the journal of a stopped ring new again, so that the ring starts at its base. Nothing is
   * in flight in it. The one store to a journal outside of reactors: the message that starts the
   * ring comes later, so no successor can be running it while we, dying, still store.
   */
  private static void resetJournal(final Step step, final SessionState next) {
    final int ring = step.change().ringToReset();
    if (ring >= 0) {
      final long stride = next.inflight().strideBytes(SessionRules.isPacked(next.features()));
      // Version zero means new; the field is at the same place in both layouts.
      Mem.putShortRelease(
          step.mapped().inflightAddress() + ring * stride + SplitInflightDescriptor.VERSION_OFFSET,
          (short) 0);
    }
  }

  private SlotChanges slotChanges(final Step step) {
    final int[] slotsOfNew = step.inflightFd() >= 0 ? new int[] {FdSlots.INFLIGHT} : NO_NUMBERS;
    final Change change = step.change();
    return SlotChanges.of(state.slots(), change.state().slots(), change.slotsOfFds(), slotsOfNew);
  }

  private void answer(final Step step, final SlotChanges slotChanges) {
    final byte[] message = step.message();
    final Change change = step.change();
    byte[] reply = change.reply();
    if (change.ringToTell() >= 0) {
      reply = VhostUserMessage.reply(VhostUserMessage.requestCode(message), VringState.LENGTH);
      VringState.put(reply, change.ringToTell(), state.ring(change.ringToTell()).base());
    } else if (reply == null) {
      reply = Replies.status(message, state, Replies.STATUS_OK);
    }
    final int[] newFds =
        step.inflightFd() >= 0 ? new int[] {holdings.fd(FdSlots.INFLIGHT)} : NO_NUMBERS;
    step.sink()
        .onAnswer(
            new Answer(
                false,
                "",
                reply,
                change.replyWithInflight() ? newFds : NO_NUMBERS,
                version,
                record,
                slotChanges.slots(),
                slotChanges.sources(),
                newFds));
  }

  /** An error status where the specification has one, else the end of the connection. */
  private Answer refusal(final byte[] message, final String fault) {
    final byte[] reply = Replies.refusal(message, state);
    return Answer.unchanged(
        reply == null, Replies.name(message) + ": " + fault, reply, version, record);
  }

  /**
   * The disk has a new length: the configuration space says so, and a front-end that listens is
   * told.
   */
  @Override
  public void onResize(final long bdevId, final long blockCount) {
    device.blockCount(blockCount);
    final long wanted =
        VhostUserProtocolFeature.maskOf(
            VhostUserProtocolFeature.BACKEND_REQ, VhostUserProtocolFeature.CONFIG);
    final int socketFd = holdings.fd(FdSlots.BACKEND_REQUEST);
    if (serving && socketFd >= 0 && (state.protocolFeatures() & wanted) == wanted) {
      // Without NEED_REPLY, so nothing comes back on this socket.
      final byte[] message =
          VhostUserMessage.backendRequest(VhostUserBackendRequest.CONFIG_CHANGE_MSG, 0);
      final long address = Mem.allocate(message.length);
      Mem.copyIn(message, 0, address, message.length);
      final long written = Fds.write(socketFd, address, message.length);
      Mem.free(address);
      if (written != message.length) {
        LOGGER.warn(
            "session {}: the front-end was not told of the new length: blocks={} result={}",
            id,
            blockCount,
            written);
      }
    }
  }

  /** A disk has none. */
  @Override
  public void onNamespaces(final SessionDescription now, final Runnable whenDone) {
    whenDone.run();
  }

  /**
   * Ends the session: rings come to a stop, memory is unmapped, descriptors are closed. A message
   * that is being handled is answered first.
   *
   * @param listener called once, when nothing is left
   */
  @Override
  public void close(final Runnable listener) {
    if (closed || whenClosed != null) {
      throw new IllegalStateException("session is closed already: session=" + id);
    }
    if (!busy && mayStart()) {
      // A takeover may have started rings that this session has not heard of yet: they are stopped
      // before their memory goes.
      startRings();
    }
    whenClosed = listener;
    if (!busy) {
      stopAndEnd();
    }
  }

  /**
   * Gives back memory and descriptors at once, whatever the session is doing. For a host that has
   * ended already: nothing of the session may run, and nothing may be called any more.
   */
  public void abandon() {
    closed = true;
    holdings.release();
  }

  private void stopAndEnd() {
    rings.stopUnlike(
        new QueueSetup[device.queueCount()],
        bases -> {
          closed = true;
          holdings.release();
          whenClosed.run();
        });
  }
}
