package io.virtnvme.slave.control;

import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.ipc.relay.RelayFormatException;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.qpair.QpairSession;
import io.virtnvme.slave.reactor.PreparedSession;
import io.virtnvme.slave.reactor.Seat;
import io.virtnvme.slave.session.Answer;
import io.virtnvme.slave.session.FrontEndDevice;
import io.virtnvme.slave.session.RingHost;
import io.virtnvme.slave.session.SessionException;
import io.virtnvme.slave.session.VhostUserSession;
import io.virtnvme.slave.vfio.NvmeDevices;
import io.virtnvme.slave.vfio.VfioUserSession;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.function.IntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The sessions that this process serves or has prepared. Control thread only. */
final class Sessions {
  private static final Logger LOGGER = LoggerFactory.getLogger(Sessions.class);

  private final SegmentDirectory segments;
  private final Volumes volumes;
  private final Devices devices;
  private final MasterLink link;
  private final Map<Integer, Seat> seats;
  private final Executor later;
  private final IntFunction<NvmeDevices> nvmeDevices;
  private final Map<Long, SessionEntry> entries = new LinkedHashMap<>();

  /**
   * Made for the control thread.
   *
   * @param nvmeDevices makes the controllers of a seat
   * @param later runs tasks on the control thread, after what it does now
   */
  Sessions(
      final SegmentDirectory segments,
      final Volumes volumes,
      final Devices devices,
      final MasterLink link,
      final Map<Integer, Seat> seats,
      final IntFunction<NvmeDevices> nvmeDevices,
      final Executor later) {
    this.nvmeDevices = nvmeDevices;
    this.later = later;
    this.segments = segments;
    this.volumes = volumes;
    this.devices = devices;
    this.link = link;
    this.seats = seats;
  }

  boolean isEmpty() {
    return entries.isEmpty();
  }

  /** What guests and disks have mapped here, as far as their pages may be entered beforehand. */
  List<MemoryRange> memory() {
    final List<MemoryRange> ranges = new ArrayList<>();
    for (final Volumes.Volume volume : volumes.all()) {
      ranges.addAll(volume.bdev().memory());
    }
    for (final SessionEntry entry : entries.values()) {
      ranges.addAll(entry.session.guestMemory());
    }
    return ranges;
  }

  /** A session as the master has it: new here, or newer than what we have. */
  void onSession(final RelayReader message) {
    final long id = message.id();
    final SessionDescription description = SessionDescription.read(message);
    final long version = message.getLong();
    final byte[] record = message.getBytes();
    final int slotCount = message.getInt();
    if (slotCount != message.fdCount() - 1) {
      throw new RelayFormatException(
          "slots and descriptors differ: slots=" + slotCount + " fds=" + message.fdCount());
    }
    final int[] slots = new int[slotCount];
    for (int i = 0; i < slotCount; i++) {
      slots[i] = message.getInt();
    }
    final int[] received = message.takeFds();
    final int[] fds = java.util.Arrays.copyOfRange(received, 1, received.length);
    final SessionEntry known = entries.get(id);
    if (known != null) {
      Fds.close(received[0]);
      if (!known.description.equals(description)) {
        // Whose namespaces a controller has is for the master to say.
        bringNamespaces(known, description, () -> {});
      }
      if (known.serving) {
        // Ours is at least as new: we made it.
        for (final int fd : fds) {
          Fds.close(fd);
        }
        return;
      }
    }
    final SessionEntry entry = known != null ? known : create(id, description, received[0]);
    final boolean current = known != null && version == known.session.version();
    if (entry == null || current) {
      for (final int fd : fds) {
        Fds.close(fd);
      }
      if (current) {
        settle(entry);
      }
      return;
    }
    final Seat seat = seats.get(description.seat());
    if (seat != null) {
      // Rings that were prepared from the older record point into mappings that the load may end.
      // If a takeover comes now,
      // the rings are started from here.
      seat.forget(id);
    }
    try {
      entry.session.load(version, record, slots, fds);
    } catch (final SessionException e) {
      onFailed(id, e.getMessage());
      return;
    }
    settle(entry);
    reach(entry);
    if (!entry.serving && link.isUp()) {
      link.begin(RelayMessageType.SESSION_PREPARED, id, 0).putLong(version);
      link.send();
    }
  }

  /** Devices whose disks the session uses reach its memory, as soon as they can. */
  private void reach(final SessionEntry entry) {
    for (final Volumes.Volume volume : volumes.all()) {
      final BdevDescription disk = volume.bdev().description();
      if (disk.kind() == BdevDescription.Kind.NVME && entry.description.uses(volume.id())) {
        devices.reach(disk.path(), entry.session.guestAreas());
      }
    }
  }

  private SessionEntry create(
      final long id, final SessionDescription description, final int frontEndFd) {
    SessionSegment segment = null;
    try {
      segment = SessionSegment.open(segments, id);
      final SessionEntry entry =
          new SessionEntry(
              id, description, segment, makeSession(id, description, segment), frontEndFd);
      entries.put(id, entry);
      return entry;
    } catch (final BadSegmentException | SessionException e) {
      if (segment != null) {
        segment.close();
      }
      Fds.close(frontEndFd);
      failToMaster(id, e.getMessage());
      return null;
    }
  }

  private FrontEndDevice makeSession(
      final long id, final SessionDescription description, final SessionSegment segment) {
    return switch (description.protocol()) {
      case VHOST_USER_BLK ->
          new VhostUserSession(
              id, description, segment, disk(description), () -> rings(description.seat()));
      case VIRTNVME ->
          new QpairSession(
              id,
              description,
              segment,
              segments,
              disk(description),
              () -> rings(description.seat()));
      case VFIO_USER_NVME ->
          new VfioUserSession(id, description, segment, nvmeDevices.apply(description.seat()));
    };
  }

  private Bdev disk(final SessionDescription description) {
    final Volumes.Volume volume = volumes.get(description.bdevId());
    if (volume == null) {
      throw new SessionException("its bdev is not open here: bdev id=" + description.bdevId());
    }
    return volume.bdev();
  }

  private RingHost rings(final int seatId) {
    final Seat seat = seats.get(seatId);
    return seat == null ? RingHost.NONE : seat.rings();
  }

  /**
   * Puts a loaded session where it belongs: its rings run if the seat is ours, else they are
   * prepared for when it will be.
   */
  private void settle(final SessionEntry entry) {
    final Seat seat = seats.get(entry.description.seat());
    if (seat == null || entry.serving) {
      return;
    }
    final PreparedSession prepared;
    try {
      prepared =
          new PreparedSession(
              entry.id, entry.session.version(), entry.segment, entry.session.runnableQueues());
    } catch (final SessionException e) {
      onFailed(entry.id, e.getMessage());
      return;
    }
    if (!seat.prepare(prepared)) {
      serveIfCurrent(entry);
    }
  }

  /**
   * Starts rings unless the dead slave went beyond our record; then the master's next message
   * brings what is missing.
   */
  private void serveIfCurrent(final SessionEntry entry) {
    if (!entry.serving && entry.session.mayStart()) {
      serve(entry);
    }
  }

  private void serve(final SessionEntry entry) {
    entry.serving = true;
    try {
      entry.session.startRings();
    } catch (final SessionException e) {
      onFailed(entry.id, e.getMessage());
    }
  }

  void onSeatOpened(final Seat seat) {
    for (final SessionEntry entry : List.copyOf(entries.values())) {
      if (entry.description.seat() == seat.id()) {
        settle(entry);
      }
    }
  }

  /** The reactors have the seat and run what was prepared; the rest is started here. */
  void onSeatOwned(final int seatId) {
    for (final SessionEntry entry : List.copyOf(entries.values())) {
      if (entry.description.seat() == seatId) {
        serveIfCurrent(entry);
      }
    }
  }

  /** A message of the front-end; answered exactly once, perhaps after rings came to a stop. */
  void onRelay(final RelayReader message) {
    final long id = message.id();
    final long sequence = message.sequence();
    final byte[] bytes = message.getBytes();
    final SessionEntry entry = entries.get(id);
    final Seat seat = entry == null ? null : seats.get(entry.description.seat());
    if (entry == null || entry.closing || seat == null || !seat.isOwned()) {
      // The master hands a message to the seat's owner only; it sends it again when it knows more.
      return;
    }
    if (!entry.serving) {
      // The master's record is no newer than ours, or it would have come first: what the dead slave
      // did beyond it, this message does again.
      serve(entry);
    }
    final SessionEntry.Relayed relayed =
        new SessionEntry.Relayed(link.connectionNumber(), sequence, bytes, message.takeFds());
    if (entry.busy) {
      dropWaiting(entry);
      entry.waiting = relayed;
    } else {
      handle(entry, relayed);
    }
  }

  private void handle(final SessionEntry entry, final SessionEntry.Relayed relayed) {
    entry.busy = true;
    entry.session.onMessage(
        relayed.sequence, relayed.bytes, relayed.fds, answer -> onAnswer(entry, relayed, answer));
  }

  private void onAnswer(
      final SessionEntry entry, final SessionEntry.Relayed relayed, final Answer answer) {
    entry.busy = false;
    reach(entry);
    // A master that is gone takes no answer, and its successor finds the message in the socket and
    // asks again: an answer that it did not ask for would leave it with an older record than ours.
    if (link.isUp() && relayed.connectionNumber == link.connectionNumber()) {
      sendAnswer(entry, relayed.sequence, answer);
    }
    final SessionEntry.Relayed next = entry.waiting;
    entry.waiting = null;
    if (next != null && !entry.closing && next.connectionNumber == link.connectionNumber()) {
      // Not from within the answer to the one before.
      later.execute(() -> handleIfOpen(entry, next));
    } else if (next != null) {
      next.closeFds();
    }
  }

  private void handleIfOpen(final SessionEntry entry, final SessionEntry.Relayed relayed) {
    if (entry.closing || entry.busy) {
      relayed.closeFds();
    } else {
      handle(entry, relayed);
    }
  }

  private static void dropWaiting(final SessionEntry entry) {
    if (entry.waiting != null) {
      entry.waiting.closeFds();
      entry.waiting = null;
    }
  }

  private void sendAnswer(final SessionEntry entry, final long sequence, final Answer answer) {
    final byte[] reply = answer.reply();
    final RelayWriter writer =
        link.begin(RelayMessageType.ANSWER, entry.id, sequence)
            .putInt(answer.close() ? 1 : 0)
            .putString(answer.reason())
            .putInt(reply == null ? 0 : 1)
            .putBytes(reply == null ? new byte[0] : reply)
            .putInt(answer.replyFds().length)
            .putLong(answer.version())
            .putBytes(answer.record())
            .putInt(answer.slots().length);
    for (int i = 0; i < answer.slots().length; i++) {
      writer.putInt(answer.slots()[i]).putInt(answer.sources()[i]);
    }
    for (final int fd : answer.replyFds()) {
      writer.putFd(fd);
    }
    for (final int fd : answer.newFds()) {
      writer.putFd(fd);
    }
    link.send();
  }

  void onResize(final long bdevId, final long blockCount) {
    for (final SessionEntry entry : List.copyOf(entries.values())) {
      if (entry.description.uses(bdevId)) {
        resize(entry, bdevId, blockCount);
        prepareAgain(entry);
      }
    }
  }

  private void resize(final SessionEntry entry, final long bdevId, final long blockCount) {
    try {
      entry.session.onResize(bdevId, blockCount);
    } catch (final SessionException e) {
      onFailed(entry.id, e.getMessage());
    }
  }

  /** What was prepared of an NVMe session has its namespaces in it. */
  private void prepareAgain(final SessionEntry entry) {
    if (isPreparedNvme(entry)) {
      settle(entry);
    }
  }

  /** An NVMe controller has other namespaces; answered when nothing runs on those that are gone. */
  void onNamespaces(final RelayReader message) {
    final long id = message.id();
    final long sequence = message.sequence();
    final List<NvmeDescription.Namespace> namespaces = NvmeDescription.readNamespaces(message);
    final SessionEntry entry = entries.get(id);
    if (entry == null || entry.closing || entry.description.nvme() == null) {
      sendNamespacesSet(id, sequence);
      return;
    }
    bringNamespaces(
        entry, entry.description.withNamespaces(namespaces), () -> sendNamespacesSet(id, sequence));
    prepareAgain(entry);
  }

  private void bringNamespaces(
      final SessionEntry entry, final SessionDescription now, final Runnable whenDone) {
    entry.description = now;
    try {
      entry.session.onNamespaces(now, whenDone);
    } catch (final SessionException e) {
      onFailed(entry.id, e.getMessage());
      whenDone.run();
    }
  }

  /** Whether queues are prepared here whose owner may make others without telling. */
  boolean isPreparing() {
    return entries.values().stream().anyMatch(Sessions::isPreparedNvme);
  }

  private static boolean isPreparedNvme(final SessionEntry entry) {
    return !entry.serving && !entry.closing && entry.description.nvme() != null;
  }

  /** Prepares anew the sessions whose owner has made other queues since. */
  void refresh() {
    for (final SessionEntry entry : List.copyOf(entries.values())) {
      if (isPreparedNvme(entry) && !entry.session.isPreparationCurrent()) {
        settle(entry);
      }
    }
  }

  private void sendNamespacesSet(final long id, final long sequence) {
    if (link.isUp()) {
      link.begin(RelayMessageType.NAMESPACES_SET, id, sequence);
      link.send();
    }
  }

  void onClose(final long id) {
    final SessionEntry entry = entries.get(id);
    if (entry == null) {
      sendClosed(id);
      return;
    }
    if (!entry.closing) {
      entry.closing = true;
      dropWaiting(entry);
      final Seat seat = seats.get(entry.description.seat());
      if (seat != null) {
        seat.forget(id);
      }
      entry.session.close(
          () -> {
            entries.remove(id);
            Fds.close(entry.frontEndFd);
            entry.segment.close();
            sendClosed(id);
          });
    }
  }

  private void sendClosed(final long id) {
    if (link.isUp()) {
      link.begin(RelayMessageType.SESSION_CLOSED, id, 0);
      link.send();
    }
  }

  /** A reactor gave up the rings of a session. */
  void onRingsFailed(final long id, final String reason) {
    final SessionEntry entry = entries.get(id);
    if (entry == null || entry.closing || !entry.session.goesOnWithoutRings(reason)) {
      onFailed(id, reason);
    }
  }

  /** A session cannot go on; the master ends it for everybody. */
  void onFailed(final long id, final String reason) {
    final SessionEntry entry = entries.get(id);
    if (entry != null && !entry.closing) {
      LOGGER.warn(
          "session {} of controller {} failed: {}", id, entry.description.controller(), reason);
    }
    failToMaster(id, reason);
  }

  private void failToMaster(final long id, final String reason) {
    if (link.isUp()) {
      link.begin(RelayMessageType.SESSION_FAILED, id, 0).putString(reason);
      link.send();
    }
  }

  /** Gives a new master every session with all descriptors. */
  void handBack() {
    for (final SessionEntry entry : new ArrayList<>(entries.values())) {
      if (!link.isUp()) {
        return;
      }
      final int[] slots = entry.session.heldSlots();
      final int[] fds = entry.session.heldFds();
      if (fds.length >= FdMessage.FD_COUNT_MAX) {
        throw new IllegalStateException("session holds too many descriptors: count=" + fds.length);
      }
      final RelayWriter writer = link.begin(RelayMessageType.SESSION, entry.id, 0);
      entry.description.write(writer);
      writer.putLong(entry.session.version()).putBytes(entry.session.record()).putInt(slots.length);
      for (final int slot : slots) {
        writer.putInt(slot);
      }
      writer.putFd(entry.frontEndFd);
      for (final int fd : fds) {
        writer.putFd(fd);
      }
      link.send();
    }
  }
}
