package io.virtnvme.master.nvme;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.VfioContainer;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Hands out the I/O virtual addresses of a device: the lowest that are free, within what its IOMMU
 * translates. One thread at a time.
 */
final class IovaSpace {
  private static final long PAGE_BYTES = 4096;

  /** 0 stays free, so that a pointer that was forgotten reaches nothing. */
  private static final long FIRST = 1 << 20;

  /** What every IOMMU translates (39 bits), without the window of interrupts of x86. */
  private static final List<VfioContainer.Range> USUAL =
      List.of(
          new VfioContainer.Range(0, 0xFEDF_FFFFL),
          new VfioContainer.Range(0xFEF0_0000L, (1L << 39) - 1));

  private final List<VfioContainer.Range> ranges;

  /** First address to end, exclusive, of what is taken. */
  private final TreeMap<Long, Long> taken = new TreeMap<>();

  /** Empty {@code ranges}: the kernel does not say. */
  IovaSpace(final List<VfioContainer.Range> ranges) {
    this.ranges = ranges.isEmpty() ? USUAL : ranges;
  }

  /**
   * Takes a range.
   *
   * @param lengthBytes at least 1; whole pages are taken
   * @param alignmentBytes a power of two, at least a page
   * @throws NvmeDeviceException ENOSPC when there is no such range
   */
  long take(final long lengthBytes, final long alignmentBytes) {
    final long rounded = (lengthBytes + PAGE_BYTES - 1) & -PAGE_BYTES;
    for (final VfioContainer.Range range : ranges) {
      // An IOMMU of 64 bits has a last address that is negative here.
      final long last = range.last() < 0 ? Long.MAX_VALUE - 1 : range.last();
      long candidate = align(Math.max(range.first(), FIRST), alignmentBytes);
      while (candidate >= range.first() && last - candidate + 1 >= rounded) {
        final Map.Entry<Long, Long> below = taken.lowerEntry(candidate + rounded);
        if (below == null || below.getValue() <= candidate) {
          taken.put(candidate, candidate + rounded);
          return candidate;
        }
        candidate = align(below.getValue(), alignmentBytes);
      }
    }
    throw new NvmeDeviceException(
        Errno.ENOSPC, "no I/O addresses are left for " + lengthBytes + " bytes");
  }

  /** Gives back what {@link #take} gave. */
  void release(final long iova) {
    if (taken.remove(iova) == null) {
      throw new IllegalStateException("not taken: iova=0x" + Long.toHexString(iova));
    }
  }

  private static long align(final long address, final long alignmentBytes) {
    return (address + alignmentBytes - 1) & -alignmentBytes;
  }
}
