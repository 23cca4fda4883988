package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.slave.ring.RingSetup;
import io.virtnvme.slave.session.Answer;
import io.virtnvme.slave.session.AnswerSink;
import io.virtnvme.slave.session.Complaints;
import io.virtnvme.slave.session.FdKinds;
import io.virtnvme.slave.session.FrontEndDevice;
import io.virtnvme.slave.session.Holdings;
import io.virtnvme.slave.session.MappedArea;
import io.virtnvme.slave.session.SessionException;
import io.virtnvme.slave.session.SlotChanges;
import io.virtnvme.slave.session.SlotTable;
import java.util.Arrays;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One vfio-user front-end of an NVMe controller, as its server: takes messages one at a time,
 * answers each once, and keeps memory map and interrupts as they say. The controller behind BAR0
 * has its state in the controller area, not here. Control thread only.
 *
 * <p>A change goes in this order, so that a death at any point is repaired by handling the message
 * again from the old record: map what is new, store the new record version in the session's
 * segment, reset, give the queues the new memory and interrupts, write registers, end old mappings,
 * answer.
 */
public final class VfioUserSession implements FrontEndDevice {
  private static final Logger LOGGER = LoggerFactory.getLogger(VfioUserSession.class);
  private static final int[] NO_NUMBERS = {};

  private final long id;
  private final SessionSegment segment;
  private final NvmeDevices devices;
  private final int vectorCount;
  private final VfioMessages messages;
  private final EventFd signal = new EventFd();
  private final Complaints complaints;
  private final Holdings<VfioMemory> holdings = new Holdings<>(VfioSlots.COUNT, VfioMemory.EMPTY);

  private SessionDescription description;
  private VfioState state;
  private byte[] record;
  private long version;

  /** What the last message that this process applied did with descriptors; null before. */
  private Applied applied;

  /** Null before VERSION was answered, and while this process has nothing to do with the seat. */
  private NvmeDevice device;

  /** Whether it runs: this process serves. */
  private boolean resumed;

  private boolean serving;
  private boolean busy;
  private boolean closed;
  private Runnable whenClosed;

  /**
   * Makes a session in its first state; {@link #load} brings it to that of a record.
   *
   * @param id the session's id in the instance
   * @param description what the master says of it
   * @param segment its segment; stays the caller's
   * @param devices makes its controller
   */
  public VfioUserSession(
      final long id,
      final SessionDescription description,
      final SessionSegment segment,
      final NvmeDevices devices) {
    final int ioQueueCount = description.nvme().ioQueueCountMax();
    if (ioQueueCount < 1 || ioQueueCount >= VfioSlots.VECTOR_COUNT_MAX) {
      throw new SessionException(
          "session "
              + id
              + ": I/O queues="
              + ioQueueCount
              + ", allowed 1.."
              + (VfioSlots.VECTOR_COUNT_MAX - 1));
    }
    this.id = id;
    this.complaints = new Complaints("session " + id, LOGGER::info);
    this.description = description;
    this.segment = segment;
    this.devices = devices;
    // One for each I/O queue, and one for the admin queue.
    this.vectorCount = ioQueueCount + 1;
    this.messages = new VfioMessages(vectorCount, description.nvme().mappableDoorbells());
    this.state = VfioState.initial(vectorCount);
    this.record = VfioRecord.encode(state);
  }

  @Override
  public void load(
      final long newVersion, final byte[] newRecord, final int[] slots, final int[] newFds) {
    if (serving || busy || closed) {
      SlotTable.close(newFds);
      throw new IllegalStateException("a session that serves cannot be loaded: session=" + id);
    }
    try {
      final VfioState loaded =
          newRecord.length == 0
              ? VfioState.initial(vectorCount)
              : VfioRecord.decode(newRecord, vectorCount);
      final int[] table =
          SlotTable.of(loaded.slots(), VfioSlots.COUNT, VfioSlots::name, slots, newFds);
      final VfioMemory mapped =
          VfioMemory.map(loaded, table, devices.areaLength(), holdings.memory(), true);
      mapped.putFds(table);
      if (device != null) {
        // Prepared queues of the record before are not started any more: a newer one exists.
        device.update(
            mapped.readable(),
            mapped.writable(),
            loaded.config().isBusMaster(),
            vectorFds(table),
            () -> {});
      }
      holdings.replace(table, mapped, newFds);
      state = loaded;
      record = VfioRecord.encode(loaded);
      version = newVersion;
    } catch (final SessionException | SysException e) {
      SlotTable.close(newFds);
      throw new SessionException(
          "session " + id + ", record version " + newVersion + ": " + e.getMessage(), e);
    }
  }

  @Override
  public long version() {
    return version;
  }

  @Override
  public byte[] record() {
    return record.clone();
  }

  @Override
  public int[] heldSlots() {
    return state.slots().stream().toArray();
  }

  @Override
  public int[] heldFds() {
    return holdings.fdsOf(state.slots());
  }

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

  @Override
  public List<? extends RingSetup> runnableQueues() {
    makeDevice();
    return device == null ? List.of() : device.prepared();
  }

  @Override
  public boolean isPreparationCurrent() {
    return device == null || resumed || device.isPreparationCurrent();
  }

  private void makeDevice() {
    if (state.negotiated() && !resumed && (device == null || !devices.isUsable(device))) {
      device = devices.make(machine());
    }
  }

  private NvmeMachine machine() {
    return new NvmeMachine(
        id,
        description,
        segment,
        vectorCount,
        holdings.memory().areaAddress(),
        holdings.memory().doorbellsAddress(),
        holdings.memory().readable(),
        holdings.memory().writable(),
        state.config().isBusMaster(),
        vectorFds(holdings.fds()));
  }

  private int[] vectorFds(final int[] table) {
    return Arrays.copyOfRange(table, VfioSlots.VECTOR, VfioSlots.VECTOR + vectorCount);
  }

  @Override
  public void startRings() {
    if (!closed && whenClosed == null) {
      serving = true;
      if (!busy) {
        startDevice();
      }
    }
  }

  private void startDevice() {
    makeDevice();
    if (state.negotiated() && !resumed) {
      if (device == null) {
        throw new SessionException("session " + id + " has no seat here");
      }
      device.resume();
      resumed = true;
    }
  }

  @Override
  public void onMessage(
      final long sequence, final byte[] message, final int[] messageFds, final AnswerSink sink) {
    if (busy || closed || whenClosed != null) {
      SlotTable.close(messageFds);
      throw new IllegalStateException(
          "session takes no message now: session=" + id + " busy=" + busy + " closed=" + closed);
    }
    try {
      // Whatever the message changes, it changes it of a controller that runs.
      startRings();
    } catch (final SessionException e) {
      SlotTable.close(messageFds);
      sink.onAnswer(unchanged(true, e.getMessage(), null));
      return;
    }
    if (state.last() != null && state.last().sequence() == sequence) {
      SlotTable.close(messageFds);
      sink.onAnswer(repeated(message, sequence));
      return;
    }
    int[] newFds = NO_NUMBERS;
    VfioMemory mapped = null;
    final VfioChange change;
    final int[] table = holdings.fds();
    try {
      VfioMessages.requireHeader(message);
      change = messages.handle(state, message, messageFds);
      for (int i = 0; i < change.slotsOfFds().length; i++) {
        take(table, change.slotsOfFds()[i], messageFds[i]);
      }
      if (change.state().negotiated() && !state.negotiated()) {
        newFds = makeShared();
        table[VfioSlots.DOORBELLS] = newFds[0];
        table[VfioSlots.AREA] = newFds[1];
      }
      SlotTable.clearExcept(table, change.state().slots());
      mapped =
          VfioMemory.map(change.state(), table, devices.areaLength(), holdings.memory(), false);
      mapped.putFds(table);
      if (newFds.length > 0) {
        devices.format(mapped.areaAddress(), id);
      }
    } catch (final RefusedException e) {
      SlotTable.close(messageFds);
      sink.onAnswer(refusal(message, e.errno(), e.getMessage()));
      return;
    } catch (final SysException e) {
      SlotTable.close(messageFds);
      SlotTable.close(newFds);
      sink.onAnswer(refusal(message, e.errno(), e.getMessage()));
      return;
    } catch (final SessionException e) {
      SlotTable.close(messageFds);
      SlotTable.close(newFds);
      sink.onAnswer(faulty(message, e.getMessage()));
      return;
    }
    apply(new Step(sequence, message, messageFds, change, mapped, table, newFds, sink));
  }

  /** What a message did with descriptors, and those that it made; these are the session's own. */
  @SuppressWarnings("ArrayRecordComponent") // never changed
  private record Applied(long sequence, SlotChanges slotChanges, int[] newFds) {
    static final Applied NOTHING = new Applied(0, SlotChanges.NONE, NO_NUMBERS);
  }

  /**
   * The same answer again, for a master that did not see the first one. It may have been given the
   * record from before the message, which was in the middle of being applied: so it is told again
   * what became of which descriptor. A successor, which has them from a master, knows nothing of
   * that and need not.
   */
  private Answer repeated(final byte[] message, final long sequence) {
    final Applied known =
        applied != null && applied.sequence() == sequence ? applied : Applied.NOTHING;
    return new Answer(
        false,
        "",
        VfioUserMessage.wantsReply(message) ? state.last().reply() : null,
        NO_NUMBERS,
        version,
        record,
        known.slotChanges().slots(),
        known.slotChanges().sources(),
        known.newFds());
  }

  private static void take(final int[] table, final int slot, final int fd) {
    try {
      if (slot < VfioSlots.REGION_COUNT_MAX) {
        FdKinds.requireMemory(fd, VfioSlots.name(slot));
      } else {
        FdKinds.requireEvent(fd, VfioSlots.name(slot));
      }
    } catch (final SessionException e) {
      throw new RefusedException(Errno.EINVAL, e.getMessage());
    }
    table[slot] = fd;
  }

  /** Doorbell page and controller area. Stays shared with nobody if the message is not answered. */
  private int[] makeShared() {
    final int doorbells = Memfd.createSealed("virtnvme-doorbells", PciConfigSpace.BAR0_LENGTH);
    try {
      return new int[] {doorbells, Memfd.createSealed("virtnvme-controller", devices.areaLength())};
    } catch (final SysException e) {
      Fds.close(doorbells);
      throw e;
    }
  }

  /** A message that can be applied: everything that may fail is done. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Step(
      long sequence,
      byte[] message,
      int[] messageFds,
      VfioChange change,
      VfioMemory mapped,
      int[] table,
      int[] newFds,
      AnswerSink sink) {}

  private void apply(final Step step) {
    final VfioChange change = step.change();
    final SlotChanges slotChanges = slotChanges(step);
    busy = true;
    final boolean changed = !change.state().equals(state) || !slotChanges.isEmpty();
    if (changed) {
      // From here on a successor with the old record must not start queues by itself.
      segment.applying(version + 1);
    }
    trigger(change);
    resetIfWanted(
        change,
        () ->
            updateDevice(
                step, () -> writeRegisters(change, () -> onApplied(step, slotChanges, changed))));
  }

  /** The front-end wants to see its own interrupts; one too many does no harm. */
  private void trigger(final VfioChange change) {
    for (final int slot : change.triggeredSlots()) {
      signal.signal(holdings.fd(slot));
    }
  }

  private void resetIfWanted(final VfioChange change, final Runnable next) {
    if (change.isReset() && resumed) {
      device.reset(next);
    } else {
      next.run();
    }
  }

  private void updateDevice(final Step step, final Runnable next) {
    final int[] vectors = vectorFds(step.table());
    final boolean isBusMaster = step.change().state().config().isBusMaster();
    final boolean same =
        step.mapped().readable() == holdings.memory().readable()
            && step.mapped().writable() == holdings.memory().writable()
            && isBusMaster == state.config().isBusMaster()
            && Arrays.equals(vectors, vectorFds(holdings.fds()));
    if (device == null || same) {
      next.run();
    } else {
      device.update(step.mapped().readable(), step.mapped().writable(), isBusMaster, vectors, next);
    }
  }

  private void writeRegisters(final VfioChange change, final Runnable next) {
    if (resumed) {
      RegisterAccesses.write(device, change.writes(), next);
    } else {
      next.run();
    }
  }

  private void onApplied(final Step step, final SlotChanges slotChanges, final boolean changed) {
    if (changed) {
      state = step.change().state().withLast(step.sequence(), step.change().reply());
      record = VfioRecord.encode(state);
      version++;
      applied = new Applied(step.sequence(), slotChanges, step.newFds());
    }
    holdings.replace(step.table(), step.mapped(), step.messageFds());
    String fault = null;
    try {
      if (serving && whenClosed == null) {
        startDevice();
      }
      if (resumed) {
        RegisterAccesses.read(device, step.change());
      }
    } catch (final SessionException e) {
      fault = e.getMessage();
    }
    answer(step, slotChanges, fault);
    busy = false;
    if (whenClosed != null) {
      stopAndEnd();
    }
  }

  private SlotChanges slotChanges(final Step step) {
    final int[] slotsOfNew =
        step.newFds().length > 0 ? new int[] {VfioSlots.DOORBELLS, VfioSlots.AREA} : NO_NUMBERS;
    final VfioChange change = step.change();
    return SlotChanges.of(state.slots(), change.state().slots(), change.slotsOfFds(), slotsOfNew);
  }

  private void answer(final Step step, final SlotChanges slotChanges, final String fault) {
    final VfioChange change = step.change();
    final boolean replies = VfioUserMessage.wantsReply(step.message()) && fault == null;
    step.sink()
        .onAnswer(
            new Answer(
                fault != null,
                fault == null ? "" : VfioMessages.name(step.message()) + ": " + fault,
                replies ? change.reply() : null,
                replies && change.isReplyWithDoorbells()
                    ? new int[] {holdings.fd(VfioSlots.DOORBELLS)}
                    : NO_NUMBERS,
                version,
                record,
                slotChanges.slots(),
                slotChanges.sources(),
                step.newFds()));
  }

  /** The message is answered with an errno, if it wants an answer, and changed nothing. */
  private Answer refusal(final byte[] message, final int errno, final String fault) {
    final String name = VfioMessages.name(message);
    complaints.add(name + " refused with " + Errno.text(errno), fault);
    return unchanged(
        false,
        name + ": " + fault,
        VfioUserMessage.wantsReply(message) ? VfioUserMessage.refusal(message, errno) : null);
  }

  /** Memory that cannot be mapped is refused; what breaks the protocol ends the connection. */
  private Answer faulty(final byte[] message, final String fault) {
    final boolean isCommand =
        message.length >= VfioUserMessage.HEADER_LENGTH
            && VfioUserMessage.size(message) == message.length
            && !VfioUserMessage.isReply(message)
            && state.negotiated();
    return isCommand
        ? refusal(message, Errno.EINVAL, fault)
        : unchanged(true, VfioMessages.name(message) + ": " + fault, null);
  }

  private Answer unchanged(final boolean close, final String reason, final byte[] reply) {
    return Answer.unchanged(close, reason, reply, version, record);
  }

  @Override
  public void onResize(final long bdevId, final long blockCount) {
    if (device != null) {
      device.namespaces(description, () -> {});
    }
  }

  @Override
  public void onNamespaces(final SessionDescription now, final Runnable whenDone) {
    description = now;
    if (device == null) {
      whenDone.run();
    } else {
      device.namespaces(now, whenDone);
    }
  }

  /** The controller has a status for that; the connection is the device itself, and stays. */
  @Override
  public boolean goesOnWithoutRings(final String reason) {
    if (device == null) {
      return false;
    }
    device.fail(reason);
    return true;
  }

  @Override
  public void close(final Runnable listener) {
    if (closed || whenClosed != null) {
      throw new IllegalStateException("session is closed already: session=" + id);
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
    if (!closed) {
      signal.free();
    }
    closed = true;
    device = null;
    holdings.release();
  }

  private void stopAndEnd() {
    // Also one that was only prepared: a takeover may have started its queues.
    if (device != null) {
      device.stop(this::end);
    } else {
      end();
    }
  }

  private void end() {
    closed = true;
    device = null;
    resumed = false;
    signal.free();
    holdings.release();
    whenClosed.run();
  }
}
