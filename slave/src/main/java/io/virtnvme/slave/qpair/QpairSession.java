package io.virtnvme.slave.qpair;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.qpair.QpairGeometry;
import io.virtnvme.ipc.qpair.QpairMessage;
import io.virtnvme.ipc.qpair.QpairSegment;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.session.Answer;
import io.virtnvme.slave.session.AnswerSink;
import io.virtnvme.slave.session.FrontEndDevice;
import io.virtnvme.slave.session.MappedArea;
import io.virtnvme.slave.session.RingHost;
import io.virtnvme.slave.session.SessionException;
import io.virtnvme.slave.session.SlotTable;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.Supplier;

/**
 * One secondary process, as the back-end of its queue pair. Its one message makes the queue pair;
 * everything else goes through memory. A message that comes again is answered again: by the slave
 * that handled it with the same descriptors, by its successor, which knows of none, with new ones.
 * Control thread only.
 */
public final class QpairSession implements FrontEndDevice {
  private static final int SEGMENT_SLOT = 0;
  private static final int KICK_SLOT = 1;
  private static final int CALL_SLOT = 2;
  private static final int JOURNAL_SLOT = 3;
  private static final int SLOT_COUNT = 4;
  private static final int[] NO_NUMBERS = {};
  private static final int[] ALL_SLOTS = {SEGMENT_SLOT, KICK_SLOT, CALL_SLOT, JOURNAL_SLOT};
  private static final int[] ALL_NEW = {
    Answer.NEW_FD, Answer.NEW_FD + 1, Answer.NEW_FD + 2, Answer.NEW_FD + 3
  };
  private static final byte[] NO_RECORD = {};

  private final long id;
  private final SessionSegment sessionSegment;
  private final SegmentDirectory directory;
  private final Bdev bdev;
  private final boolean readOnly;
  private final Supplier<RingHost> host;
  private int[] fds = SlotTable.empty(SLOT_COUNT);
  private QpairRecord record;
  private long version;
  private MappedArea segment;
  private MappedArea journal;
  private boolean serving;
  private boolean running;
  private boolean closed;

  /**
   * Makes a session whose client has said nothing yet.
   *
   * @param id the session's id in the instance
   * @param description what the master says of it
   * @param sessionSegment its segment; stays the caller's
   * @param directory whose ids the queue pair's segment carries
   * @param bdev the open disk; stays the caller's
   * @param host where its ring runs at the moment; asked before each use
   */
  public QpairSession(
      final long id,
      final SessionDescription description,
      final SessionSegment sessionSegment,
      final SegmentDirectory directory,
      final Bdev bdev,
      final Supplier<RingHost> host) {
    this.id = id;
    this.sessionSegment = sessionSegment;
    this.directory = directory;
    this.bdev = bdev;
    this.readOnly = description.readOnly() || bdev.description().readOnly();
    this.host = host;
  }

  @Override
  public void load(
      final long newVersion, final byte[] newRecord, final int[] slots, final int[] newFds) {
    try {
      if (serving || closed) {
        throw new IllegalStateException("a session that serves cannot be loaded: session=" + id);
      }
      final QpairRecord loaded = newRecord.length == 0 ? null : QpairRecord.decode(newRecord);
      final BitSet held = new BitSet();
      held.set(0, loaded == null ? 0 : SLOT_COUNT);
      final int[] table =
          SlotTable.of(held, SLOT_COUNT, slot -> "queue pair, slot " + slot, slots, newFds);
      letGo();
      if (loaded != null) {
        map(loaded, table);
      }
      fds = table;
      record = loaded;
      version = newVersion;
    } catch (final SessionException | SysException | IllegalStateException e) {
      SlotTable.close(newFds);
      throw new SessionException(
          "session " + id + ", record version " + newVersion + ": " + e.getMessage(), e);
    }
  }

  private void map(final QpairRecord of, final int[] table) {
    final MappedArea shared =
        MappedArea.map(
            table[SEGMENT_SLOT],
            0,
            QpairSegment.length(of.entryCount(), of.poolLength()),
            "the segment of a queue pair");
    try {
      journal =
          MappedArea.map(
              table[JOURNAL_SLOT],
              0,
              QpairJournal.length(of.entryCount()),
              "the journal of a queue pair");
    } catch (final SessionException e) {
      shared.unmap();
      throw e;
    }
    segment = shared;
  }

  /** Nothing runs any more. */
  private void letGo() {
    if (segment != null) {
      segment.unmap();
      journal.unmap();
      segment = null;
      journal = null;
    }
    SlotTable.close(Arrays.stream(fds).filter(fd -> fd >= 0).toArray());
    fds = SlotTable.empty(SLOT_COUNT);
    record = null;
  }

  @Override
  public long version() {
    return version;
  }

  @Override
  public byte[] record() {
    return record == null ? NO_RECORD : record.encode();
  }

  @Override
  public int[] heldSlots() {
    return record == null ? NO_NUMBERS : ALL_SLOTS.clone();
  }

  @Override
  public int[] heldFds() {
    return record == null ? NO_NUMBERS : fds.clone();
  }

  @Override
  public boolean mayStart() {
    return sessionSegment.applying() == version;
  }

  @Override
  public List<MemoryRange> guestMemory() {
    return segment == null ? List.of() : segment.populatable().stream().toList();
  }

  @Override
  public List<QpairSetup> runnableQueues() {
    return record == null ? List.of() : List.of(setup());
  }

  private QpairSetup setup() {
    return new QpairSetup(
        id,
        record.entryCount(),
        record.poolLength(),
        segment.address(),
        journal.address(),
        fds[KICK_SLOT],
        fds[CALL_SLOT],
        sessionSegment.queueCounters(0),
        bdev,
        readOnly || !record.writeAccess());
  }

  @Override
  public void startRings() {
    if (closed) {
      return;
    }
    serving = true;
    if (record != null && !running) {
      running = true;
      showBlockCount(bdev.description().blockCount());
      host.get().start(setup());
    }
  }

  private void showBlockCount(final long blockCount) {
    Mem.putLongRelease(segment.address() + QpairSegment.BLOCK_COUNT_OFFSET, blockCount);
  }

  @Override
  public void onMessage(
      final long sequence, final byte[] message, final int[] messageFds, final AnswerSink sink) {
    SlotTable.close(messageFds);
    startRings();
    final String problem = QpairMessage.problem(message, QpairMessage.ATTACH_LENGTH);
    if (problem != null || (record != null && sequence != record.sequence())) {
      // Not even a version that we know, or a second wish: there is nothing that could go on.
      final String reason = problem == null ? "it is attached already" : problem;
      sink.onAnswer(
          Answer.unchanged(
              true, reason, QpairMessage.refused(Errno.EINVAL, reason), version, record()));
      return;
    }
    final int status = record == null ? attach(wish(sequence, message)) : 0;
    if (status != 0) {
      final String text = refusal(status, wish(sequence, message));
      sink.onAnswer(
          Answer.unchanged(false, "", QpairMessage.refused(status, text), version, record()));
      return;
    }
    sink.onAnswer(
        new Answer(
            false,
            "",
            QpairMessage.attached(),
            new int[] {fds[SEGMENT_SLOT], fds[KICK_SLOT], fds[CALL_SLOT]},
            version,
            record(),
            ALL_SLOTS,
            ALL_NEW,
            fds.clone()));
  }

  private static String refusal(final int status, final QpairRecord asked) {
    return switch (status) {
      case Errno.EACCES -> "the volume is offered for reading only";
      case Errno.EINVAL ->
          "more than a client may have: entries="
              + asked.entryCount()
              + ", allowed "
              + QpairSegment.ENTRY_COUNT_MIN
              + ".."
              + QpairSegment.ENTRY_COUNT_MAX
              + "; bytes of the pool="
              + asked.poolLength()
              + ", allowed multiples of 4096 up to "
              + QpairSegment.POOL_LENGTH_MAX;
      default -> "the queue pair's memory cannot be had";
    };
  }

  private static QpairRecord wish(final long sequence, final byte[] message) {
    return new QpairRecord(
        LittleEndian.getInt(message, QpairMessage.ENTRY_COUNT_OFFSET),
        LittleEndian.getLong(message, QpairMessage.POOL_LENGTH_OFFSET),
        LittleEndian.getInt(message, QpairMessage.ACCESS_OFFSET) == QpairMessage.ACCESS_WRITE,
        sequence);
  }

  /** Makes the queue pair and starts it; 0, or an errno. */
  private int attach(final QpairRecord asked) {
    if (!QpairSegment.isAllowed(asked.entryCount(), asked.poolLength())) {
      return Errno.EINVAL;
    }
    if (asked.writeAccess() && readOnly) {
      return Errno.EACCES;
    }
    try {
      make(asked);
    } catch (final SessionException | SysException e) {
      letGo();
      return Errno.ENOMEM;
    }
    // From here on a successor with the record before must not start anything by itself.
    sessionSegment.applying(version + 1);
    record = asked;
    version++;
    startRings();
    return 0;
  }

  private void make(final QpairRecord asked) {
    fds[SEGMENT_SLOT] =
        memory("virtnvme-qpair", QpairSegment.length(asked.entryCount(), asked.poolLength()));
    fds[JOURNAL_SLOT] = memory("virtnvme-journal", QpairJournal.length(asked.entryCount()));
    fds[KICK_SLOT] = EventFd.create();
    fds[CALL_SLOT] = EventFd.create();
    map(asked, fds);
    QpairSegment.format(
        segment.address(),
        new QpairGeometry(
            asked.entryCount(),
            asked.poolLength(),
            bdev.description().blockBytes(),
            bdev.description().blockCount(),
            readOnly || !asked.writeAccess()),
        directory.bootId(),
        directory.instanceId(),
        id);
  }

  /** Every page is there from the start: a store that finds none would be the reactor's fault. */
  private static int memory(final String name, final long lengthBytes) {
    final int fd = Memfd.create(name, lengthBytes);
    try {
      Fds.allocate(fd, lengthBytes);
      Memfd.seal(fd, Memfd.F_SEAL_SHRINK | Memfd.F_SEAL_GROW);
      return fd;
    } catch (final SysException e) {
      Fds.close(fd);
      throw e;
    }
  }

  @Override
  public void onResize(final long bdevId, final long blockCount) {
    if (running) {
      showBlockCount(blockCount);
    }
  }

  /** A volume has none. */
  @Override
  public void onNamespaces(final SessionDescription now, final Runnable whenDone) {
    whenDone.run();
  }

  @Override
  public void close(final Runnable listener) {
    if (mayStart()) {
      // A takeover may have started the ring already: it is stopped before its memory goes.
      startRings();
    }
    closed = true;
    host.get()
        .stop(
            id,
            0,
            base -> {
              letGo();
              listener.run();
            });
  }
}
