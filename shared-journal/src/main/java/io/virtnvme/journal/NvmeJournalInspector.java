package io.virtnvme.journal;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Reads the journal of one NVMe queue and says what is in it, without storing anything: for
 * operators, while its writer runs or after everything died. Trusts nothing it reads. Any thread;
 * while a writer runs the picture may be of two instants.
 */
public final class NvmeJournalInspector {
  private NvmeJournalInspector() {}

  /** A field of the header, or what follows from one, and its value. */
  public record HeaderField(String name, long value) {}

  /**
   * A command that is marked inflight.
   *
   * @param slot its slot
   * @param number absolute fetch number, unsigned
   * @param opcode command opcode, 0..255
   * @param commandId command identifier, 0..65535
   * @param namespaceId namespace identifier, as an unsigned 32-bit value
   * @param isCommitted false if its fetch was cut: the next recovery forgets it
   * @param intent the intent word of its completion, 0 if it has none
   */
  public record Entry(
      int slot,
      long number,
      int opcode,
      int commandId,
      long namespaceId,
      boolean isCommitted,
      long intent) {
    private String line() {
      final String command =
          String.format(
              "    number %s  slot %d  cid %d  opcode 0x%02x  nsid %d",
              Long.toUnsignedString(number), slot, commandId, opcode, namespaceId);
      if (!isCommitted) {
        return command + "  not committed";
      }
      return NvmeSqJournalDescriptor.isIntent(intent)
          ? String.format(
              "%s  completes at %d with status 0x%04x",
              command,
              NvmeSqJournalDescriptor.intentIndex(intent),
              NvmeSqJournalDescriptor.intentStatus(intent))
          : command;
    }
  }

  /**
   * What a journal holds.
   *
   * @param kind "submission" or "completion"
   * @param header all header fields but padding, and what follows from them
   * @param inflight what is marked inflight, in fetch order
   * @param problems sentences; empty if a recovery would find nothing wrong with this region alone
   */
  public record Report(
      String kind, List<HeaderField> header, List<Entry> inflight, List<String> problems) {
    /** The report as lines of text. */
    public List<String> lines() {
      final List<String> lines = new ArrayList<>();
      lines.add("NVMe " + kind + " queue journal");
      for (final HeaderField field : header) {
        lines.add(String.format("  %-22s %s", field.name, Long.toUnsignedString(field.value)));
      }
      if (kind.equals(SUBMISSION)) {
        lines.add("  inflight commands      " + inflight.size());
      }
      for (final Entry entry : inflight) {
        lines.add(entry.line());
      }
      for (final String problem : problems) {
        lines.add("  problem: " + problem);
      }
      return List.copyOf(lines);
    }
  }

  private static final String SUBMISSION = "submission";
  private static final String COMPLETION = "completion";

  /**
   * Inspects the journal of a submission queue.
   *
   * @param regionAddress absolute address of a readable mapping
   * @param mappedLength bytes that may be read from there on
   */
  public static Report submission(final long regionAddress, final long mappedLength) {
    if (mappedLength < NvmeSqJournalDescriptor.HEADER_LENGTH) {
      return tooShort(SUBMISSION, mappedLength, NvmeSqJournalDescriptor.HEADER_LENGTH);
    }
    final int version = Mem.getInt(regionAddress + NvmeSqJournalDescriptor.VERSION_OFFSET);
    final int storedSize = Mem.getInt(regionAddress + NvmeSqJournalDescriptor.QUEUE_SIZE_OFFSET);
    final long fetched = Mem.getLong(regionAddress + NvmeSqJournalDescriptor.FETCHED_OFFSET);
    final List<HeaderField> header = new ArrayList<>();
    addHeader(
        header,
        version,
        storedSize,
        Mem.getLong(regionAddress + NvmeSqJournalDescriptor.CREATION_OFFSET));
    header.add(new HeaderField("fetched", fetched));
    final List<String> problems = new ArrayList<>();
    final List<Entry> inflight = new ArrayList<>();
    if (isSound(version, storedSize, problems)) {
      header.add(new HeaderField("SQ head", Long.remainderUnsigned(fetched, storedSize)));
      final long length = NvmeSqJournal.regionLength(storedSize);
      if (length > mappedLength) {
        problems.add(
            "queue_size does not fit the mapping: queue_size="
                + storedSize
                + " needs "
                + length
                + " bytes, mapped="
                + mappedLength);
      } else {
        addInflight(regionAddress, storedSize, fetched, inflight, problems);
      }
    }
    return new Report(
        SUBMISSION, List.copyOf(header), List.copyOf(inflight), List.copyOf(problems));
  }

  /**
   * Inspects the journal of a completion queue.
   *
   * @param regionAddress absolute address of a readable mapping
   * @param mappedLength bytes that may be read from there on
   */
  public static Report completion(final long regionAddress, final long mappedLength) {
    if (mappedLength < NvmeCqJournalDescriptor.LENGTH) {
      return tooShort(COMPLETION, mappedLength, NvmeCqJournalDescriptor.LENGTH);
    }
    final int version = Mem.getInt(regionAddress + NvmeCqJournalDescriptor.VERSION_OFFSET);
    final int storedSize = Mem.getInt(regionAddress + NvmeCqJournalDescriptor.QUEUE_SIZE_OFFSET);
    final long posted = Mem.getLong(regionAddress + NvmeCqJournalDescriptor.POSTED_OFFSET);
    final List<HeaderField> header = new ArrayList<>();
    addHeader(
        header,
        version,
        storedSize,
        Mem.getLong(regionAddress + NvmeCqJournalDescriptor.CREATION_OFFSET));
    header.add(new HeaderField("posted", posted));
    final List<String> problems = new ArrayList<>();
    if (isSound(version, storedSize, problems)) {
      header.add(new HeaderField("CQ tail", Long.remainderUnsigned(posted, storedSize)));
      header.add(new HeaderField("phase tag", ~Long.divideUnsigned(posted, storedSize) & 1));
    }
    return new Report(COMPLETION, List.copyOf(header), List.of(), List.copyOf(problems));
  }

  private static void addHeader(
      final List<HeaderField> header,
      final int version,
      final int storedSize,
      final long creation) {
    header.add(new HeaderField("version", Integer.toUnsignedLong(version)));
    header.add(new HeaderField("queue_size", Integer.toUnsignedLong(storedSize)));
    header.add(new HeaderField("creation", creation));
  }

  private static boolean isSound(
      final int version, final int storedSize, final List<String> problems) {
    switch (NvmeHeaderCase.Version.of(version)) {
      case ZERO -> problems.add("never initialised: version=0");
      case OTHER ->
          problems.add(
              "unknown version: version=" + Integer.toUnsignedString(version) + ", known is 1");
      case ONE -> {
        if (storedSize >= NvmeSqJournal.QUEUE_SIZE_MIN
            && storedSize <= NvmeSqJournal.QUEUE_SIZE_MAX) {
          return true;
        }
        problems.add(
            "queue_size out of range: "
                + Integer.toUnsignedString(storedSize)
                + ", at most "
                + NvmeSqJournal.QUEUE_SIZE_MAX);
      }
    }
    return false;
  }

  private static void addInflight(
      final long regionAddress,
      final int queueSize,
      final long fetched,
      final List<Entry> inflight,
      final List<String> problems) {
    final int bitCount = NvmeSqJournalDescriptor.inflightLength(queueSize) * Byte.SIZE;
    for (int slot = 0; slot < bitCount; slot++) {
      final long word =
          Mem.getLong(
              regionAddress
                  + NvmeSqJournalDescriptor.INFLIGHT_OFFSET
                  + (long) (slot / Long.SIZE) * Long.BYTES);
      if ((word & (1L << slot)) == 0) {
        continue;
      }
      if (slot >= queueSize) {
        problems.add("bit set that belongs to no slot: " + slot + " of " + queueSize);
        continue;
      }
      inflight.add(entry(regionAddress, queueSize, fetched, slot, problems));
    }
    inflight.sort(
        Comparator.comparing(Entry::number, Long::compareUnsigned).thenComparingInt(Entry::slot));
    for (int i = 1; i < inflight.size(); i++) {
      if (inflight.get(i).number == inflight.get(i - 1).number) {
        problems.add(
            "two commands have one number: slots "
                + inflight.get(i - 1).slot
                + " and "
                + inflight.get(i).slot);
      }
    }
  }

  private static Entry entry(
      final long regionAddress,
      final int queueSize,
      final long fetched,
      final int slot,
      final List<String> problems) {
    final long address =
        regionAddress
            + NvmeSqJournalDescriptor.slotsOffset(queueSize)
            + (long) slot * NvmeSqJournalDescriptor.SLOT_LENGTH;
    final long command = address + NvmeSqJournalDescriptor.SLOT_COMMAND_OFFSET;
    final long number = Mem.getLong(address + NvmeSqJournalDescriptor.SLOT_NUMBER_OFFSET);
    final long intent = Mem.getLong(address + NvmeSqJournalDescriptor.SLOT_INTENT_OFFSET);
    final NvmeRecovery.Fetch fetch = NvmeRecovery.Fetch.of(number, fetched, queueSize);
    if (fetch == NvmeRecovery.Fetch.BEYOND) {
      problems.add(
          "slot "
              + slot
              + " has a number far beyond fetched: number="
              + Long.toUnsignedString(number)
              + " fetched="
              + Long.toUnsignedString(fetched));
    }
    return new Entry(
        slot,
        number,
        Mem.getByte(command + SubmissionEntry.OPCODE_OFFSET) & 0xFF,
        Mem.getUnsignedShort(command + SubmissionEntry.COMMAND_ID_OFFSET),
        Integer.toUnsignedLong(Mem.getInt(command + SubmissionEntry.NAMESPACE_ID_OFFSET)),
        fetch == NvmeRecovery.Fetch.COMMITTED,
        intent);
  }

  private static Report tooShort(
      final String kind, final long mappedLength, final int headerLength) {
    return new Report(
        kind,
        List.of(),
        List.of(),
        List.of(
            "mapping too short: length="
                + mappedLength
                + ", the header alone has "
                + headerLength));
  }
}
