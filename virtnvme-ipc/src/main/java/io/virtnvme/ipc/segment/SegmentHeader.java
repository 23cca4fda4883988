package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.memory.Mem;

/**
 * The header at the start of every segment. Its creator writes the magic last, with release, so a
 * segment whose creator died half way is never taken for a good one. Nothing in it changes
 * afterwards but the length of a mem disk, which only grows.
 *
 * <pre>
 *  0               8              16              24             32
 *  +---------------+-------+---+---+---------------+---------------+  0
 *  |     magic     | kind  |maj|min|    length     |  boot id high |
 *  +---------------+-------+---+---+---------------+---------------+ 32
 *  |  boot id low  |  instance id  |  generation   | created, ms   |
 *  +---------------+---------------+---------------+---------------+ 64
 * </pre>
 */
public final class SegmentHeader {
  /** "VIRTNVME" in memory order. */
  public static final long MAGIC = 0x454D564E54524956L;

  public static final int MAGIC_OFFSET = 0;
  public static final int KIND_OFFSET = MAGIC_OFFSET + Long.BYTES;
  public static final int MAJOR_VERSION_OFFSET = KIND_OFFSET + Integer.BYTES;
  public static final int MINOR_VERSION_OFFSET = MAJOR_VERSION_OFFSET + Short.BYTES;
  public static final int LENGTH_OFFSET = MINOR_VERSION_OFFSET + Short.BYTES;
  public static final int BOOT_ID_HIGH_OFFSET = LENGTH_OFFSET + Long.BYTES;
  public static final int BOOT_ID_LOW_OFFSET = BOOT_ID_HIGH_OFFSET + Long.BYTES;
  public static final int INSTANCE_ID_OFFSET = BOOT_ID_LOW_OFFSET + Long.BYTES;
  public static final int GENERATION_OFFSET = INSTANCE_ID_OFFSET + Long.BYTES;
  public static final int CREATED_MS_OFFSET = GENERATION_OFFSET + Long.BYTES;
  public static final int HEADER_LENGTH = CREATED_MS_OFFSET + Long.BYTES;

  private SegmentHeader() {}

  /** Makes the header of a zeroed segment; the last store before it is shown to anybody. */
  public static void write(
      final long address,
      final SegmentKind kind,
      final long lengthBytes,
      final BootId bootId,
      final long instanceId,
      final long generation) {
    Mem.putInt(address + KIND_OFFSET, kind.code());
    Mem.putShort(address + MAJOR_VERSION_OFFSET, (short) kind.majorVersion());
    Mem.putShort(address + MINOR_VERSION_OFFSET, (short) kind.minorVersion());
    Mem.putLong(address + LENGTH_OFFSET, lengthBytes);
    Mem.putLong(address + BOOT_ID_HIGH_OFFSET, bootId.high());
    Mem.putLong(address + BOOT_ID_LOW_OFFSET, bootId.low());
    Mem.putLong(address + INSTANCE_ID_OFFSET, instanceId);
    Mem.putLong(address + GENERATION_OFFSET, generation);
    Mem.putLong(address + CREATED_MS_OFFSET, System.currentTimeMillis());
    Mem.putLongRelease(address + MAGIC_OFFSET, MAGIC);
  }

  /** The one field that changes: a mem disk that grew, after its file did. */
  static void grow(final long address, final long lengthBytes) {
    Mem.putLongRelease(address + LENGTH_OFFSET, lengthBytes);
  }

  /**
   * Null when the header is one of ours for this kind, length, boot and instance; else a sentence
   * with the two values.
   */
  static String problem(
      final long address,
      final SegmentKind kind,
      final long lengthBytes,
      final BootId bootId,
      final long instanceId) {
    final String problem = formatProblem(address, kind, lengthBytes);
    if (problem != null) {
      return problem;
    }
    final BootId found =
        new BootId(
            Mem.getLong(address + BOOT_ID_HIGH_OFFSET), Mem.getLong(address + BOOT_ID_LOW_OFFSET));
    if (!found.equals(bootId)) {
      return "written before the host was booted: boot id found=" + found + " current=" + bootId;
    }
    final long instance = Mem.getLong(address + INSTANCE_ID_OFFSET);
    if (instance != instanceId) {
      return "belongs to another instance: found="
          + Long.toHexString(instance)
          + " expected="
          + Long.toHexString(instanceId);
    }
    return null;
  }

  /** The same for who was handed the segment and knows nothing of boot and instance. */
  public static String formatProblem(
      final long address, final SegmentKind kind, final long lengthBytes) {
    final long magic = Mem.getLongAcquire(address + MAGIC_OFFSET);
    if (magic != MAGIC) {
      return "no segment of virtnvme, or one whose creator died: magic=0x"
          + Long.toHexString(magic);
    }
    final int foundKind = Mem.getInt(address + KIND_OFFSET);
    if (foundKind != kind.code()) {
      return "another kind of segment: found="
          + foundKind
          + " expected="
          + kind.code()
          + " ("
          + kind
          + ")";
    }
    final int major = Mem.getUnsignedShort(address + MAJOR_VERSION_OFFSET);
    if (major != kind.majorVersion()) {
      return "unknown format version: found=" + major + " known=" + kind.majorVersion();
    }
    final long length = Mem.getLong(address + LENGTH_OFFSET);
    // A mem disk grows at its end; killed while it does, the file is longer than its header says.
    if (kind == SegmentKind.MEM_DISK ? length > lengthBytes : length != lengthBytes) {
      return "length in header differs from the file's: header=" + length + " file=" + lengthBytes;
    }
    return null;
  }
}
