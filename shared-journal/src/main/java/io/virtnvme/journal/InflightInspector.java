package io.virtnvme.journal;

import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Reads one queue's inflight region and says what is in it, without storing anything: for
 * operators, while its writer runs or after everything died. Trusts nothing it reads. Any thread;
 * while a writer runs the picture may be of two instants.
 */
public final class InflightInspector {
  private InflightInspector() {}

  /** A field of the header and its value. */
  public record HeaderField(String name, long value) {}

  /**
   * A request marked inflight.
   *
   * @param index descriptor head (split) or first entry (packed)
   * @param counter place in fetch order, unsigned
   * @param descriptorCount length of its descriptor chain; 0 for split, where the table has it
   * @param bufferId id of its last descriptor; -1 for split, or when the chain is broken
   */
  public record Entry(int index, long counter, int descriptorCount, int bufferId) {}

  /**
   * What a region holds.
   *
   * @param kind "split" or "packed"
   * @param header all header fields but padding
   * @param inflight what is marked inflight, in fetch order
   * @param problems sentences; empty if a recovery would find nothing wrong
   */
  public record Report(
      String kind, List<HeaderField> header, List<Entry> inflight, List<String> problems) {
    /** The report as lines of text. */
    public List<String> lines() {
      final List<String> lines = new ArrayList<>();
      lines.add(kind + " inflight region");
      for (final HeaderField field : header) {
        lines.add(String.format("  %-22s %d", field.name, field.value));
      }
      lines.add("  inflight requests      " + inflight.size());
      for (final Entry entry : inflight) {
        final String place =
            String.format(
                "    counter %s  entry %d", Long.toUnsignedString(entry.counter), entry.index);
        lines.add(
            entry.descriptorCount == 0
                ? place
                : place + "  descriptors " + entry.descriptorCount + "  id " + entry.bufferId);
      }
      for (final String problem : problems) {
        lines.add("  problem: " + problem);
      }
      return List.copyOf(lines);
    }
  }

  /**
   * Inspects the region of a split virtqueue.
   *
   * @param regionAddress absolute address of a readable mapping
   * @param mappedLength bytes that may be read from there on
   */
  public static Report split(final long regionAddress, final long mappedLength) {
    if (mappedLength < SplitInflightDescriptor.HEADER_LENGTH) {
      return tooShort("split", mappedLength, SplitInflightDescriptor.HEADER_LENGTH);
    }
    final int version =
        Mem.getUnsignedShort(regionAddress + SplitInflightDescriptor.VERSION_OFFSET);
    final int descNum =
        Mem.getUnsignedShort(regionAddress + SplitInflightDescriptor.DESC_NUM_OFFSET);
    final int lastBatchHead =
        Mem.getUnsignedShort(regionAddress + SplitInflightDescriptor.LAST_BATCH_HEAD_OFFSET);
    final List<HeaderField> header =
        List.of(
            new HeaderField(
                "features", Mem.getLong(regionAddress + SplitInflightDescriptor.FEATURES_OFFSET)),
            new HeaderField("version", version),
            new HeaderField("desc_num", descNum),
            new HeaderField("last_batch_head", lastBatchHead),
            new HeaderField(
                "used_idx",
                Mem.getUnsignedShort(regionAddress + SplitInflightDescriptor.USED_IDX_OFFSET)));
    final List<String> problems = new ArrayList<>();
    final int entryCount =
        checkHeader(
            version,
            descNum,
            (mappedLength - SplitInflightDescriptor.HEADER_LENGTH)
                / SplitInflightDescriptor.ENTRY_LENGTH,
            problems);
    if (entryCount > 0 && lastBatchHead >= entryCount) {
      problems.add("last_batch_head outside the region: " + lastBatchHead);
    }
    final List<Entry> inflight = new ArrayList<>();
    for (int i = 0; i < entryCount; i++) {
      final long entry =
          regionAddress
              + SplitInflightDescriptor.HEADER_LENGTH
              + (long) i * SplitInflightDescriptor.ENTRY_LENGTH;
      if (isMarked(entry + SplitInflightDescriptor.ENTRY_INFLIGHT_OFFSET, i, problems)) {
        final long counter = Mem.getLong(entry + SplitInflightDescriptor.ENTRY_COUNTER_OFFSET);
        inflight.add(new Entry(i, counter, 0, -1));
      }
    }
    return report("split", header, inflight, problems);
  }

  /**
   * Inspects the region of a packed virtqueue.
   *
   * @param regionAddress absolute address of a readable mapping
   * @param mappedLength bytes that may be read from there on
   */
  public static Report packed(final long regionAddress, final long mappedLength) {
    if (mappedLength < PackedInflightDescriptor.HEADER_LENGTH) {
      return tooShort("packed", mappedLength, PackedInflightDescriptor.HEADER_LENGTH);
    }
    final int version =
        Mem.getUnsignedShort(regionAddress + PackedInflightDescriptor.VERSION_OFFSET);
    final int descNum =
        Mem.getUnsignedShort(regionAddress + PackedInflightDescriptor.DESC_NUM_OFFSET);
    final List<HeaderField> header = packedHeader(regionAddress);
    final List<String> problems = new ArrayList<>();
    final int entryCount =
        checkHeader(
            version,
            descNum,
            (mappedLength - PackedInflightDescriptor.HEADER_LENGTH)
                / PackedInflightDescriptor.ENTRY_LENGTH,
            problems);
    if (entryCount > 0) {
      for (final HeaderField field : header) {
        final long limit =
            field.name.endsWith("used_idx")
                ? entryCount - 1L
                : field.name.endsWith("wrap_counter") ? 1 : Long.MAX_VALUE;
        if (field.value > limit) {
          problems.add(field.name + " out of range: " + field.value + ", at most " + limit);
        }
      }
    }
    final List<Entry> inflight = new ArrayList<>();
    for (int i = 0; i < entryCount; i++) {
      final long entry = packedEntry(regionAddress, i);
      if (isMarked(entry + PackedInflightDescriptor.ENTRY_INFLIGHT_OFFSET, i, problems)) {
        inflight.add(packedRequest(regionAddress, i, entryCount, problems));
      }
    }
    return report("packed", header, inflight, problems);
  }

  private static List<HeaderField> packedHeader(final long regionAddress) {
    final List<HeaderField> header = new ArrayList<>();
    header.add(
        new HeaderField(
            "features", Mem.getLong(regionAddress + PackedInflightDescriptor.FEATURES_OFFSET)));
    addShort(header, "version", regionAddress + PackedInflightDescriptor.VERSION_OFFSET);
    addShort(header, "desc_num", regionAddress + PackedInflightDescriptor.DESC_NUM_OFFSET);
    addShort(header, "free_head", regionAddress + PackedInflightDescriptor.FREE_HEAD_OFFSET);
    addShort(
        header, "old_free_head", regionAddress + PackedInflightDescriptor.OLD_FREE_HEAD_OFFSET);
    addShort(header, "used_idx", regionAddress + PackedInflightDescriptor.USED_IDX_OFFSET);
    addShort(header, "old_used_idx", regionAddress + PackedInflightDescriptor.OLD_USED_IDX_OFFSET);
    addByte(
        header,
        "used_wrap_counter",
        regionAddress + PackedInflightDescriptor.USED_WRAP_COUNTER_OFFSET);
    addByte(
        header,
        "old_used_wrap_counter",
        regionAddress + PackedInflightDescriptor.OLD_USED_WRAP_COUNTER_OFFSET);
    return List.copyOf(header);
  }

  private static void addShort(
      final List<HeaderField> header, final String name, final long address) {
    header.add(new HeaderField(name, Mem.getUnsignedShort(address)));
  }

  private static void addByte(
      final List<HeaderField> header, final String name, final long address) {
    header.add(new HeaderField(name, Mem.getByte(address) & 0xFF));
  }

  private static Entry packedRequest(
      final long regionAddress,
      final int first,
      final int entryCount,
      final List<String> problems) {
    final long head = packedEntry(regionAddress, first);
    final int num = Mem.getUnsignedShort(head + PackedInflightDescriptor.ENTRY_NUM_OFFSET);
    final int last = Mem.getUnsignedShort(head + PackedInflightDescriptor.ENTRY_LAST_OFFSET);
    final long counter = Mem.getLong(head + PackedInflightDescriptor.ENTRY_COUNTER_OFFSET);
    int index = first;
    for (int i = 1; i < num && i < entryCount && index < entryCount; i++) {
      index =
          Mem.getUnsignedShort(
              packedEntry(regionAddress, index) + PackedInflightDescriptor.ENTRY_NEXT_OFFSET);
    }
    if (num < 1 || num > entryCount || index >= entryCount || index != last) {
      problems.add(
          "entry "
              + first
              + " is inflight but its chain is broken: num="
              + num
              + " last="
              + last
              + " reached="
              + index);
      return new Entry(first, counter, num, -1);
    }
    final int id =
        Mem.getUnsignedShort(
            packedEntry(regionAddress, last) + PackedInflightDescriptor.ENTRY_ID_OFFSET);
    return new Entry(first, counter, num, id);
  }

  private static long packedEntry(final long regionAddress, final int index) {
    return regionAddress
        + PackedInflightDescriptor.HEADER_LENGTH
        + (long) index * PackedInflightDescriptor.ENTRY_LENGTH;
  }

  private static int checkHeader(
      final int version, final int descNum, final long entriesMapped, final List<String> problems) {
    switch (HeaderCase.Version.of(version)) {
      case ZERO -> {
        problems.add("never initialised: version=0");
        return 0;
      }
      case OTHER -> {
        problems.add("unknown version: version=" + version + ", known is 1");
        return 0;
      }
      case ONE -> {}
    }
    if (descNum == 0 || descNum > entriesMapped) {
      problems.add(
          "desc_num does not fit the mapping: desc_num="
              + descNum
              + ", room for "
              + entriesMapped
              + " entries");
      return 0;
    }
    return descNum;
  }

  private static boolean isMarked(
      final long address, final int index, final List<String> problems) {
    final byte value = Mem.getByte(address);
    if (InflightFlag.of(value) == InflightFlag.GARBAGE) {
      problems.add("entry " + index + " has inflight=" + (value & 0xFF) + ", known are 0 and 1");
    }
    return InflightFlag.of(value) == InflightFlag.SET;
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

  private static Report report(
      final String kind,
      final List<HeaderField> header,
      final List<Entry> inflight,
      final List<String> problems) {
    inflight.sort(
        Comparator.comparing(Entry::counter, Long::compareUnsigned).thenComparingInt(Entry::index));
    for (int i = 1; i < inflight.size(); i++) {
      if (inflight.get(i).counter == inflight.get(i - 1).counter) {
        problems.add(
            "two requests have one counter: entries "
                + inflight.get(i - 1).index
                + " and "
                + inflight.get(i).index);
      }
    }
    return new Report(kind, header, List.copyOf(inflight), List.copyOf(problems));
  }
}
