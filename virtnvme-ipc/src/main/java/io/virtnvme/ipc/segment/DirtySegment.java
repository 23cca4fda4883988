package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.SysException;
import java.nio.file.Path;
import java.util.Objects;

/**
 * Which parts of a disk changed, version 1, little endian: two bitmaps with a bit for each grain.
 * Slaves set bits of the first; one client moves them to the second and clears them there when it
 * has copied what they stand for. So a bit is in one of both from the change to the end of the
 * copy, whoever dies in between.
 *
 * <pre>
 *  0      +---------------------------------------------------------------+
 *         | segment header                                                |
 *  64     +-------------------------------+-------------------------------+
 *         | grain: 1 &lt;&lt; this, bytes       | spare                         |  master, once
 *  72     +-------------------------------+-------------------------------+
 *         | count of grains                                               |  master, once
 *  4096   +---------------------------------------------------------------+
 *         | dirty: words of 64 bits, the lowest bit first                 |  slaves set, client clears
 *         +---------------------------------------------------------------+ multiple of 4096
 *         | taken: as many words                                          |  client
 *         +---------------------------------------------------------------+ multiple of 4096
 * </pre>
 *
 * <p>A slave marks a change twice. Before it begins, so that no crash leaves a change without a
 * mark. And when it has ended, before anybody is told so: a client may have taken the first mark
 * and read the old data in between. If the slave dies there, its successor runs the request again.
 */
public final class DirtySegment implements AutoCloseable {
  public static final int GRAIN_SHIFT_OFFSET = SegmentHeader.HEADER_LENGTH;
  public static final int GRAIN_COUNT_OFFSET = GRAIN_SHIFT_OFFSET + 2 * Integer.BYTES;
  public static final int DIRTY_OFFSET = 4096;

  public static final int GRAIN_SHIFT_MIN = 12;
  public static final int GRAIN_SHIFT_MAX = 30;

  private static final int PAGE_LENGTH = 4096;
  private static final int WORD_SHIFT = 6;

  private final Mapping mapping;
  private final int lockFd;
  private final int grainShift;
  private final long grainCount;
  private final long dirty;
  private final long taken;

  private DirtySegment(final Mapping mapping, final int lockFd) {
    this.mapping = mapping;
    this.lockFd = lockFd;
    // Read once, and checked by the caller: whoever has the file may store anything later.
    this.grainShift = Mem.getInt(mapping.address() + GRAIN_SHIFT_OFFSET);
    this.grainCount = Mem.getLong(mapping.address() + GRAIN_COUNT_OFFSET);
    this.dirty = mapping.address() + DIRTY_OFFSET;
    this.taken = dirty + bitmapLength(grainCount);
  }

  private static long words(final long grainCount) {
    return (grainCount + Long.SIZE - 1) >>> WORD_SHIFT;
  }

  private static long bitmapLength(final long grainCount) {
    return (words(grainCount) * Long.BYTES + PAGE_LENGTH - 1) & -PAGE_LENGTH;
  }

  private static long length(final long grainCount) {
    return DIRTY_OFFSET + 2 * bitmapLength(grainCount);
  }

  /**
   * Makes the segment of a disk. Throws as {@link Segment#create} does.
   *
   * @param diskBytes at least 1
   * @param grainShift {@link #GRAIN_SHIFT_MIN} to {@link #GRAIN_SHIFT_MAX}
   * @param allDirty nobody knows what changed before
   */
  public static void create(
      final SegmentDirectory directory,
      final String bdevName,
      final long diskBytes,
      final int grainShift,
      final boolean allDirty) {
    final long grainCount = ((diskBytes - 1) >>> grainShift) + 1;
    Segment.create(
            directory,
            directory.dirty(bdevName),
            SegmentKind.DIRTY,
            length(grainCount),
            0,
            address -> {
              Mem.putInt(address + GRAIN_SHIFT_OFFSET, grainShift);
              Mem.putLong(address + GRAIN_COUNT_OFFSET, grainCount);
              for (long grain = 0; allDirty && grain < grainCount; grain += Long.SIZE) {
                final long left = Math.min(Long.SIZE, grainCount - grain);
                Mem.putLong(address + DIRTY_OFFSET + grain / Byte.SIZE, -1L >>> (Long.SIZE - left));
              }
            })
        .close();
  }

  /**
   * Maps the segment of a disk, for a slave.
   *
   * @throws BadSegmentException when it is no such segment, or of another boot or instance
   */
  public static DirtySegment open(final SegmentDirectory directory, final String bdevName) {
    final Path path = directory.dirty(bdevName);
    final Segment segment = Segment.open(directory, path, SegmentKind.DIRTY);
    return checked(new DirtySegment(segment.mapping(), -1), path);
  }

  /**
   * Maps it for the one client that takes marks; it is the client's until {@link #close} or death.
   *
   * @throws BadSegmentException when it is no such segment, or another process has it
   */
  public static DirtySegment attach(final Path path) {
    int fd = -1;
    try {
      fd = Fds.open(path.toString(), Fds.O_RDWR, 0);
      if (!Fds.tryLock(fd)) {
        throw new BadSegmentException(path, "another process takes its marks");
      }
      final Mapping mapping = Mapping.map(fd, 0, Fds.length(fd));
      final String problem =
          SegmentHeader.formatProblem(mapping.address(), SegmentKind.DIRTY, mapping.lengthBytes());
      if (problem != null) {
        mapping.close();
        throw new BadSegmentException(path, problem);
      }
      return checked(new DirtySegment(mapping, fd), path);
    } catch (final SysException e) {
      Fds.close(fd);
      throw new BadSegmentException(path, e.getMessage());
    } catch (final BadSegmentException e) {
      Fds.close(fd);
      throw e;
    }
  }

  private static DirtySegment checked(final DirtySegment segment, final Path path) {
    final long length = segment.mapping.lengthBytes();
    if (segment.grainShift < GRAIN_SHIFT_MIN
        || segment.grainShift > GRAIN_SHIFT_MAX
        || segment.grainCount < 1
        || segment.grainCount > length * Byte.SIZE
        || length(segment.grainCount) != length) {
      segment.mapping.close();
      throw new BadSegmentException(
          path, "grain shift=" + segment.grainShift + " grains=" + segment.grainCount);
    }
    return segment;
  }

  /** Bytes that one bit stands for. */
  public long grainBytes() {
    return 1L << grainShift;
  }

  /** Bits of either bitmap. */
  public long grainCount() {
    return grainCount;
  }

  /** Whether every byte of a disk has a bit. */
  public boolean covers(final long diskBytes) {
    return diskBytes <= grainCount << grainShift;
  }

  /** Words of either bitmap. */
  public int wordCount() {
    return (int) words(grainCount);
  }

  /**
   * Marks a range that is about to change. Any reactor; does not allocate or block, and stores only
   * where a mark is missing.
   *
   * @param offsetBytes within the disk, as is the end
   * @param lengthBytes at least 1
   */
  public void mark(final long offsetBytes, final long lengthBytes) {
    final long first = offsetBytes >>> grainShift;
    final long last = (offsetBytes + lengthBytes - 1) >>> grainShift;
    long mask = -1L << first;
    for (long word = first >>> WORD_SHIFT; word < last >>> WORD_SHIFT; word++) {
      set(word, mask);
      mask = -1L;
    }
    set(last >>> WORD_SHIFT, mask & (-1L >>> ~last));
  }

  /**
   * Marks a range that has changed, before anybody is told so. The fence: the client clears, then
   * reads data; so who changed data must see the mark as it is afterwards, not as it was before.
   */
  public void markAgain(final long offsetBytes, final long lengthBytes) {
    Mem.fullFence();
    mark(offsetBytes, lengthBytes);
  }

  private void set(final long word, final long mask) {
    final long address = dirty + word * Long.BYTES;
    if ((Mem.getLongAcquire(address) & mask) != mask) {
      Mem.getAndBitwiseOrLong(address, mask);
    }
  }

  /**
   * Takes the marks of one word. They stay taken until {@link #copied}, also when the client dies:
   * the next one finds them here. What is read from the disk after this is at least as new as the
   * marks that were taken. Client only.
   *
   * @return a bit for each grain to be copied, those of earlier calls included
   */
  public long take(final int word) {
    final long offset = (long) Objects.checkIndex(word, wordCount()) * Long.BYTES;
    final long marks = Mem.getLongAcquire(dirty + offset);
    if (marks != 0) {
      // Died behind this store: the marks are in both, and taken again.
      Mem.putLongRelease(taken + offset, Mem.getLong(taken + offset) | marks);
      Mem.getAndBitwiseAndLong(dirty + offset, ~marks);
    }
    return Mem.getLong(taken + offset);
  }

  /** What was read of these grains after {@link #take} is safe elsewhere. Client only. */
  public void copied(final int word, final long grains) {
    final long address = taken + (long) Objects.checkIndex(word, wordCount()) * Long.BYTES;
    Mem.putLongRelease(address, Mem.getLong(address) & ~grains);
  }

  /** Grains that are marked and not taken, at about this moment. Any thread. */
  public long dirtyCount() {
    long count = 0;
    for (int word = 0; word < wordCount(); word++) {
      count += Long.bitCount(Mem.getLong(dirty + (long) word * Long.BYTES));
    }
    return count;
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("dirty segment, version 1", DIRTY_OFFSET)
        .field("grain_shift", GRAIN_SHIFT_OFFSET, Integer.BYTES)
        .field("grain_count", GRAIN_COUNT_OFFSET, Long.BYTES)
        .text();
  }

  @Override
  public void close() {
    mapping.close();
    if (lockFd >= 0) {
      Fds.close(lockFd);
    }
  }
}
