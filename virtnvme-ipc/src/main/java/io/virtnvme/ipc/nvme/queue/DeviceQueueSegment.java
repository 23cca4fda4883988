package io.virtnvme.ipc.nvme.queue;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.Segment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SegmentHeader;
import io.virtnvme.ipc.segment.SegmentKind;

/**
 * An I/O queue pair of a real NVMe device, version 1.1, little endian: the queues, the pages that
 * commands point to, and the journal that tells a successor what the device still holds. The device
 * reaches all of it, at {@link DeviceQueueGeometry#iova} plus the offset.
 *
 * <pre>
 *  0      +-------------------------------+
 *         | segment header                |
 *  64     +---------------+---------------+  master, once: see DeviceQueueGeometry
 *         | entry count   | slot count    |
 *  72     +---------------+---------------+
 *         | queue id      | namespace id  |
 *  80     +---------------+---------------+
 *         | iova of offset 0              |
 *  88     +-------------------------------+
 *         | first block                   |
 *  96     +-------------------------------+
 *         | block count                   |
 *  104    +---------------+---------------+
 *         | block bytes   | transfer max  |
 *  112    +---------------+---------------+
 *         | features      | spare         |
 *  128    +---------------+---------------+  master: see below
 *         | creation                      |
 *  136    +-------------------------------+
 *         | gate                          |
 *  144    +---------------+---------------+  since 1.1
 *         | retries: n + 1| 1: injecting  |  retries 0: not said
 *  192    +-------------------------------+  slave: the journal, see DeviceQueueJournal
 *         | joined: creation it is for    |
 *  200    +-------------------------------+
 *         | submitted: commands, absolute |
 *  208    +-------------------------------+
 *         | rung: of these, the device    |
 *         | was told                      |
 *  216    +-------------------------------+
 *         | reaped: completions, absolute |
 *  224    +-------------------------------+
 *         | released: of these, the       |
 *         | device was told               |
 *  256    +-------------------------------+  slave: to the master
 *         | gate seen                     |
 *  264    +---------------+---------------+
 *         | fault         | spare         |
 *  272    +---------------+---------------+
 *         | counters, 8 bytes each        |  see Counter
 *  1024   +-------------------------------+  since 1.1
 *         | errors made up                |  see InjectedErrors
 *  4096   +-------------------------------+
 *         | slots, 64 bytes each          |  slave: one per command id
 *         +-------------------------------+  multiple of 4096
 *         | submission queue              |  slave
 *         +-------------------------------+  multiple of 4096
 *         | completion queue              |  device; zeroed by the master for each creation
 *         +-------------------------------+  multiple of 4096
 *         | pages of slot 0: PRP list (1),|  slave and device
 *         | bounce buffer (4)             |
 *         +-------------------------------+
 *         | pages of slot 1 ...           |
 *         +-------------------------------+
 *
 *  slot:
 *  0      +-------------------------------+
 *         | place: 0 never used; n &gt; 0:    |
 *         | in flight with number n - 1;  |
 *         | n &lt; 0: ended by completion    |
 *         | -n - 1                        |
 *  8      +-------------------------------+  who wants to know the end
 *         | session id                    |
 *  16     +---------------+---------------+
 *         | its queue     | its slot      |
 *  24     +---------------+---------------+  bytes of the disk
 *         | offset                        |
 *  32     +-------------------------------+
 *         | length                        |
 *  40     +---------------+---------------+
 *         | operation     | 1: bounced    |
 *  48     +---------------+---------------+
 *         | spare                         |
 *  64     +-------------------------------+
 * </pre>
 *
 * <p>Reset, by the master: it makes the gate odd; waits until {@code gate seen} is the same, or
 * until nobody has the seat; resets the controller; zeroes the completion queue, creates both
 * queues anew, adds 1 to {@code creation}, makes the gate even again. A slave that sees an odd gate
 * answers in its next duty cycle and touches neither queue nor doorbell until it is even. When
 * creation is another one then, the device holds nothing any more, and what was in flight is
 * submitted again.
 */
public final class DeviceQueueSegment implements AutoCloseable {
  public static final int ENTRY_COUNT_OFFSET = SegmentHeader.HEADER_LENGTH;
  public static final int SLOT_COUNT_OFFSET = ENTRY_COUNT_OFFSET + Integer.BYTES;
  public static final int QUEUE_ID_OFFSET = SLOT_COUNT_OFFSET + Integer.BYTES;
  public static final int NAMESPACE_ID_OFFSET = QUEUE_ID_OFFSET + Integer.BYTES;
  public static final int IOVA_OFFSET = NAMESPACE_ID_OFFSET + Integer.BYTES;
  public static final int FIRST_BLOCK_OFFSET = IOVA_OFFSET + Long.BYTES;
  public static final int BLOCK_COUNT_OFFSET = FIRST_BLOCK_OFFSET + Long.BYTES;
  public static final int BLOCK_BYTES_OFFSET = BLOCK_COUNT_OFFSET + Long.BYTES;
  public static final int TRANSFER_MAX_OFFSET = BLOCK_BYTES_OFFSET + Integer.BYTES;
  public static final int FEATURES_OFFSET = TRANSFER_MAX_OFFSET + Integer.BYTES;

  public static final int CREATION_OFFSET = 128;
  public static final int GATE_OFFSET = CREATION_OFFSET + Long.BYTES;
  public static final int RETRIES_OFFSET = GATE_OFFSET + Long.BYTES;
  public static final int INJECTING_OFFSET = RETRIES_OFFSET + Integer.BYTES;

  public static final int JOINED_OFFSET = 192;
  public static final int SUBMITTED_OFFSET = JOINED_OFFSET + Long.BYTES;
  public static final int RUNG_OFFSET = SUBMITTED_OFFSET + Long.BYTES;
  public static final int REAPED_OFFSET = RUNG_OFFSET + Long.BYTES;
  public static final int RELEASED_OFFSET = REAPED_OFFSET + Long.BYTES;

  public static final int GATE_SEEN_OFFSET = 256;
  public static final int FAULT_OFFSET = GATE_SEEN_OFFSET + Long.BYTES;
  public static final int COUNTERS_OFFSET = FAULT_OFFSET + Long.BYTES;

  public static final int INJECTIONS_OFFSET = 1024;

  public static final int SLOTS_OFFSET = 4096;

  public static final int PLACE_OFFSET = 0;
  public static final int SESSION_OFFSET = PLACE_OFFSET + Long.BYTES;
  public static final int OWNER_QUEUE_OFFSET = SESSION_OFFSET + Long.BYTES;
  public static final int OWNER_SLOT_OFFSET = OWNER_QUEUE_OFFSET + Integer.BYTES;
  public static final int DISK_OFFSET_OFFSET = OWNER_SLOT_OFFSET + Integer.BYTES;
  public static final int DISK_LENGTH_OFFSET = DISK_OFFSET_OFFSET + Long.BYTES;
  public static final int OPERATION_OFFSET = DISK_LENGTH_OFFSET + Long.BYTES;
  public static final int BOUNCED_OFFSET = OPERATION_OFFSET + Integer.BYTES;
  public static final int SLOT_LENGTH = 64;

  /** Pages of a slot's bounce buffer. */
  public static final int BOUNCE_PAGES = 4;

  public static final int BOUNCE_BYTES = BOUNCE_PAGES * PrpEntry.PAGE_BYTES;

  private static final int SLOT_PAGES_BYTES = PrpEntry.PAGE_BYTES + BOUNCE_BYTES;

  /** What a slave counts; the place is part of the layout. One writer: the owner of the queue. */
  public enum Counter {
    /** Completions without error. */
    COMPLETIONS(0),
    /** Media and data integrity errors, which the guest is told. */
    MEDIA_ERRORS(1),
    /** Errors of transport or controller; the command was submitted again. */
    RETRIES(2),
    /** Commands that failed for another reason than the medium, and the guest was told. */
    OTHER_ERRORS(3),
    /** Completions of commands that are not in flight. */
    UNKNOWN_COMPLETIONS(4),
    /** Commands that a successor found on the device, and waited for. */
    ADOPTED(5),
    /** Pieces of requests that went through the bounce buffer. */
    BOUNCED(6),
    /** What no crash explains in the journal. */
    INCONSISTENCIES(7);

    private final int offset;

    Counter(final int index) {
      this.offset = COUNTERS_OFFSET + index * Long.BYTES;
    }

    /** Where it is in the segment. */
    public int offset() {
      return offset;
    }
  }

  private final Segment segment;
  private final DeviceQueueGeometry geometry;

  private DeviceQueueSegment(final Segment segment, final DeviceQueueGeometry geometry) {
    this.segment = segment;
    this.geometry = geometry;
  }

  /**
   * Makes the segment of a queue pair, with its gate shut and no creation yet. Master.
   *
   * @param index which of the disk's queue pairs: the number of the reactor that drives it
   * @throws IllegalArgumentException when a number of the geometry is out of range
   */
  public static DeviceQueueSegment create(
      final SegmentDirectory directory,
      final String bdevName,
      final int index,
      final DeviceQueueGeometry geometry) {
    final String problem = geometry.problem();
    if (problem != null) {
      throw new IllegalArgumentException("queue pair of " + bdevName + ": " + problem);
    }
    return new DeviceQueueSegment(
        Segment.create(
            directory,
            directory.nvmeQueue(bdevName, index),
            SegmentKind.NVME_QUEUE,
            length(geometry.entryCount(), geometry.slotCount()),
            0,
            address -> format(address, geometry)),
        geometry);
  }

  /**
   * Maps the segment of a queue pair and checks it.
   *
   * @throws BadSegmentException that says what is wrong with it
   */
  public static DeviceQueueSegment open(
      final SegmentDirectory directory, final String bdevName, final int index) {
    final Segment segment =
        Segment.open(directory, directory.nvmeQueue(bdevName, index), SegmentKind.NVME_QUEUE);
    if (segment.lengthBytes() < SLOTS_OFFSET) {
      segment.close();
      throw new BadSegmentException(
          segment.path(), "too short for a queue pair: bytes=" + segment.lengthBytes());
    }
    final DeviceQueueGeometry geometry = read(segment.address());
    final String problem = geometry.problem();
    if (problem != null
        || length(geometry.entryCount(), geometry.slotCount()) != segment.lengthBytes()) {
      segment.close();
      throw new BadSegmentException(
          segment.path(), problem != null ? problem : "its length does not fit: " + geometry);
    }
    return new DeviceQueueSegment(segment, geometry);
  }

  /** Fills zeroed memory of {@link #length} but for the segment's header; the gate is shut. */
  public static void format(final long address, final DeviceQueueGeometry geometry) {
    Mem.putInt(address + ENTRY_COUNT_OFFSET, geometry.entryCount());
    Mem.putInt(address + SLOT_COUNT_OFFSET, geometry.slotCount());
    Mem.putInt(address + QUEUE_ID_OFFSET, geometry.queueId());
    Mem.putInt(address + NAMESPACE_ID_OFFSET, geometry.namespaceId());
    Mem.putLong(address + IOVA_OFFSET, geometry.iova());
    Mem.putLong(address + FIRST_BLOCK_OFFSET, geometry.firstBlock());
    Mem.putLong(address + BLOCK_COUNT_OFFSET, geometry.blockCount());
    Mem.putInt(address + BLOCK_BYTES_OFFSET, geometry.blockBytes());
    Mem.putInt(address + TRANSFER_MAX_OFFSET, geometry.transferBytesMax());
    Mem.putInt(address + FEATURES_OFFSET, geometry.features());
    Mem.putLong(address + GATE_OFFSET, 1);
    Mem.putLong(address + GATE_SEEN_OFFSET, 1);
  }

  /** The geometry as it stands there, not checked. */
  static DeviceQueueGeometry read(final long address) {
    return new DeviceQueueGeometry(
        Mem.getInt(address + ENTRY_COUNT_OFFSET),
        Mem.getInt(address + SLOT_COUNT_OFFSET),
        Mem.getInt(address + QUEUE_ID_OFFSET),
        Mem.getInt(address + NAMESPACE_ID_OFFSET),
        Mem.getLong(address + IOVA_OFFSET),
        Mem.getLong(address + FIRST_BLOCK_OFFSET),
        Mem.getLong(address + BLOCK_COUNT_OFFSET),
        Mem.getInt(address + BLOCK_BYTES_OFFSET),
        Mem.getInt(address + TRANSFER_MAX_OFFSET),
        Mem.getInt(address + FEATURES_OFFSET));
  }

  private static int pages(final int lengthBytes) {
    return (lengthBytes + PrpEntry.OFFSET_MASK) & -PrpEntry.PAGE_BYTES;
  }

  /** Where the submission queue begins. */
  public static int sqOffset(final int slotCount) {
    return SLOTS_OFFSET + pages(slotCount * SLOT_LENGTH);
  }

  /** Where the completion queue begins. */
  public static int cqOffset(final int entryCount, final int slotCount) {
    return sqOffset(slotCount) + pages(entryCount * SubmissionEntry.ENTRY_LENGTH);
  }

  /** Where the pages of slot 0 begin. */
  public static int slotPagesOffset(final int entryCount, final int slotCount) {
    return cqOffset(entryCount, slotCount) + pages(entryCount * CompletionEntry.ENTRY_LENGTH);
  }

  /** Bytes of the whole segment. */
  public static long length(final int entryCount, final int slotCount) {
    return slotPagesOffset(entryCount, slotCount) + (long) slotCount * SLOT_PAGES_BYTES;
  }

  /** Where a slot's page for a PRP list is; its bounce buffer follows it. */
  public static long listOffset(final DeviceQueueGeometry geometry, final int slot) {
    return slotPagesOffset(geometry.entryCount(), geometry.slotCount())
        + (long) slot * SLOT_PAGES_BYTES;
  }

  /** Where a slot is. */
  public static int slotOffset(final int slot) {
    return SLOTS_OFFSET + slot * SLOT_LENGTH;
  }

  public DeviceQueueGeometry geometry() {
    return geometry;
  }

  public long address() {
    return segment.address();
  }

  public long lengthBytes() {
    return segment.lengthBytes();
  }

  /** Where the device sees the submission queue: PRP 1 of Create I/O Submission Queue. */
  public long sqIova() {
    return geometry.iova() + sqOffset(geometry.slotCount());
  }

  /** Where the device sees the completion queue: PRP 1 of Create I/O Completion Queue. */
  public long cqIova() {
    return geometry.iova() + cqOffset(geometry.entryCount(), geometry.slotCount());
  }

  /** Tells the slave to keep off; see {@link #isShutAndSeen}. Master. */
  public void shutGate() {
    final long gate = Mem.getLong(address() + GATE_OFFSET);
    if (isOpen(gate)) {
      Mem.putLongRelease(address() + GATE_OFFSET, gate + 1);
    }
  }

  /** Whether the slave has seen that the gate is shut: it touches nothing until it opens. */
  public boolean isShutAndSeen() {
    final long gate = Mem.getLong(address() + GATE_OFFSET);
    return !isOpen(gate) && Mem.getLongAcquire(address() + GATE_SEEN_OFFSET) == gate;
  }

  /**
   * Empties the completion queue, whose phase tags begin at 0, before the queues are created anew;
   * the device must not have them. Master, with the gate shut.
   */
  public void clearCompletions() {
    Mem.fill(
        address() + cqOffset(geometry.entryCount(), geometry.slotCount()),
        (long) geometry.entryCount() * CompletionEntry.ENTRY_LENGTH,
        (byte) 0);
  }

  /**
   * Opens the gate. Master.
   *
   * @param isNew whether the queues were created anew since it was shut
   */
  public void openGate(final boolean isNew) {
    if (isNew) {
      Mem.putInt(address() + FAULT_OFFSET, 0);
      Mem.putLongRelease(address() + CREATION_OFFSET, creation() + 1);
    }
    final long gate = Mem.getLong(address() + GATE_OFFSET);
    if (!isOpen(gate)) {
      Mem.putLongRelease(address() + GATE_OFFSET, gate + 1);
    }
  }

  /** The gate: another number each time that it is shut or opened, see {@link #isOpen}. */
  public long gate() {
    return Mem.getLongAcquire(address() + GATE_OFFSET);
  }

  /** Whether the gate is open now. */
  public boolean isGateOpen() {
    return isOpen(gate());
  }

  /** Whether a gate of this value lets the slave through. */
  public static boolean isOpen(final long gate) {
    return (gate & 1) == 0;
  }

  /** Says how often a command is submitted again after an error of transport or controller. */
  public void retries(final int count) {
    Mem.putIntRelease(address() + RETRIES_OFFSET, count + 1);
  }

  /** How often the queues were created; 0 when never. */
  public long creation() {
    return Mem.getLongAcquire(address() + CREATION_OFFSET);
  }

  /** Commands that were put into the submission queue since its creation. */
  public long submitted() {
    return Mem.getLongAcquire(address() + SUBMITTED_OFFSET);
  }

  /** Why the slave gave the queue pair up until the next creation: see {@link DeviceQueueFault}. */
  public int fault() {
    return Mem.getIntAcquire(address() + FAULT_OFFSET);
  }

  /** A counter of the slave. */
  public long counter(final Counter counter) {
    return Mem.getLongAcquire(address() + counter.offset());
  }

  /**
   * Commands that the journal has in flight; the device may have ended some of them. Any thread, a
   * moment's view.
   */
  public int inFlightCount() {
    int count = 0;
    for (int slot = 0; slot < geometry.slotCount(); slot++) {
      if (place(slot) > 0) {
        count++;
      }
    }
    return count;
  }

  /** Completions that the slave has taken, since the queues were created. */
  public long reapedCount() {
    return Mem.getLongAcquire(address() + REAPED_OFFSET);
  }

  /**
   * Whether the device has posted a completion that the slave has not taken yet: then it is the
   * slave that is late. Any thread, a moment's view.
   */
  public boolean isCompletionWaiting() {
    final long reaped = reapedCount();
    final int entryCount = geometry.entryCount();
    final long entry =
        address()
            + cqOffset(entryCount, geometry.slotCount())
            + Math.floorMod(reaped, entryCount) * (long) CompletionEntry.ENTRY_LENGTH;
    final boolean isFirstPhase = (Math.floorDiv(reaped, entryCount) & 1) == 0;
    return CompletionEntry.phase(Mem.getIntAcquire(entry + CompletionEntry.DWORD3_OFFSET))
        == isFirstPhase;
  }

  /**
   * A slot's place, as the layout has it. A watcher that sees the same positive number for as long
   * as a command may take has found a command that hangs; the slot is its command id.
   */
  public long place(final int slot) {
    return Mem.getLongAcquire(address() + slotOffset(slot) + PLACE_OFFSET);
  }

  @Override
  public void close() {
    segment.close();
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    final LayoutText text =
        LayoutText.of("NVMe device queue pair segment, version 1.1", SLOTS_OFFSET)
            .field("entry_count", ENTRY_COUNT_OFFSET, Integer.BYTES)
            .field("slot_count", SLOT_COUNT_OFFSET, Integer.BYTES)
            .field("queue_id", QUEUE_ID_OFFSET, Integer.BYTES)
            .field("namespace_id", NAMESPACE_ID_OFFSET, Integer.BYTES)
            .field("iova", IOVA_OFFSET, Long.BYTES)
            .field("first_block", FIRST_BLOCK_OFFSET, Long.BYTES)
            .field("block_count", BLOCK_COUNT_OFFSET, Long.BYTES)
            .field("block_bytes", BLOCK_BYTES_OFFSET, Integer.BYTES)
            .field("transfer_max", TRANSFER_MAX_OFFSET, Integer.BYTES)
            .field("features", FEATURES_OFFSET, Integer.BYTES)
            .field("creation", CREATION_OFFSET, Long.BYTES)
            .field("gate", GATE_OFFSET, Long.BYTES)
            .field("retries", RETRIES_OFFSET, Integer.BYTES)
            .field("injecting", INJECTING_OFFSET, Integer.BYTES)
            .field("joined", JOINED_OFFSET, Long.BYTES)
            .field("submitted", SUBMITTED_OFFSET, Long.BYTES)
            .field("rung", RUNG_OFFSET, Long.BYTES)
            .field("reaped", REAPED_OFFSET, Long.BYTES)
            .field("released", RELEASED_OFFSET, Long.BYTES)
            .field("gate_seen", GATE_SEEN_OFFSET, Long.BYTES)
            .field("fault", FAULT_OFFSET, Integer.BYTES);
    for (final Counter counter : Counter.values()) {
      text.field(
          "counter " + counter.name().toLowerCase(java.util.Locale.ROOT),
          counter.offset(),
          Long.BYTES);
    }
    text.field(
        "injections", INJECTIONS_OFFSET, InjectedErrors.ENTRY_COUNT * InjectedErrors.ENTRY_LENGTH);
    return text.text()
        + InjectedErrors.describe()
        + LayoutText.of("slot of a device queue pair", SLOT_LENGTH)
            .field("place", PLACE_OFFSET, Long.BYTES)
            .field("session", SESSION_OFFSET, Long.BYTES)
            .field("owner_queue", OWNER_QUEUE_OFFSET, Integer.BYTES)
            .field("owner_slot", OWNER_SLOT_OFFSET, Integer.BYTES)
            .field("disk_offset", DISK_OFFSET_OFFSET, Long.BYTES)
            .field("disk_length", DISK_LENGTH_OFFSET, Long.BYTES)
            .field("operation", OPERATION_OFFSET, Integer.BYTES)
            .field("bounced", BOUNCED_OFFSET, Integer.BYTES)
            .text();
  }
}
