package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.sys.Fds;
import java.util.List;

/**
 * The memory map of one guest: translates and checks its addresses. Immutable, any thread;
 * translation does not allocate.
 *
 * <p>Addresses and lengths from the guest are unsigned 64-bit values, and every check holds for all
 * of them.
 */
public final class GuestMemory {
  private static final GuestMemory EMPTY = new GuestMemory(List.of());

  private final List<MemoryRegion> regions;
  private final long[] starts;
  private final long[] lengths;
  private final long[] hosts;
  // The largest region answers nearly every translation, so it is asked first.
  private final long largestStart;
  private final long largestLength;
  private final long largestHost;

  private GuestMemory(final List<MemoryRegion> regions) {
    this.regions = regions;
    final int count = regions.size();
    this.starts = new long[count];
    this.lengths = new long[count];
    this.hosts = new long[count];
    int largest = -1;
    for (int i = 0; i < count; i++) {
      final MemoryRegion region = regions.get(i);
      starts[i] = region.guestAddress();
      lengths[i] = region.lengthBytes();
      hosts[i] = region.hostAddress();
      if (largest < 0 || lengths[i] > lengths[largest]) {
        largest = i;
      }
    }
    this.largestStart = largest < 0 ? 0 : starts[largest];
    this.largestLength = largest < 0 ? 0 : lengths[largest];
    this.largestHost = largest < 0 ? 0 : hosts[largest];
  }

  /**
   * Makes a map.
   *
   * @param regions in any order
   * @throws IllegalArgumentException if one is empty, runs over 2^64, or two overlap in guest
   *     addresses
   */
  public static GuestMemory of(final List<MemoryRegion> regions) {
    if (regions.isEmpty()) {
      return EMPTY;
    }
    final List<MemoryRegion> sorted =
        regions.stream()
            .sorted((a, b) -> Long.compareUnsigned(a.guestAddress(), b.guestAddress()))
            .toList();
    for (int i = 0; i < sorted.size(); i++) {
      final MemoryRegion region = sorted.get(i);
      checkRange("guest", region.guestAddress(), region.lengthBytes());
      checkRange("user", region.userAddress(), region.lengthBytes());
      if (i > 0) {
        final MemoryRegion before = sorted.get(i - 1);
        if (Long.compareUnsigned(
                region.guestAddress() - before.guestAddress(), before.lengthBytes())
            < 0) {
          throw new IllegalArgumentException(
              "memory regions overlap: guest address 0x"
                  + Long.toHexString(region.guestAddress())
                  + " lies in the region of "
                  + before.lengthBytes()
                  + " bytes at 0x"
                  + Long.toHexString(before.guestAddress()));
        }
      }
    }
    return new GuestMemory(sorted);
  }

  private static void checkRange(final String kind, final long address, final long lengthBytes) {
    if (lengthBytes <= 0 || Long.compareUnsigned(address + lengthBytes - 1, address) < 0) {
      throw new IllegalArgumentException(
          "memory region out of range: "
              + kind
              + " address=0x"
              + Long.toHexString(address)
              + " length="
              + Long.toUnsignedString(lengthBytes));
    }
  }

  /**
   * Host address of a guest range.
   *
   * @param guestAddress any value
   * @param lengthBytes any value; unsigned
   * @return the address if all of the range lies in one region and it is not empty, else 0
   */
  public long translate(final long guestAddress, final long lengthBytes) {
    final long offset = guestAddress - largestStart;
    final long left = largestLength - offset;
    if (offset >= 0 && left > 0 && lengthBytes > 0 && lengthBytes <= left) {
      return largestHost + offset;
    }
    return translateInOther(guestAddress, lengthBytes);
  }

  private long translateInOther(final long guestAddress, final long lengthBytes) {
    final int index = find(guestAddress);
    if (index < 0 || lengthBytes <= 0) {
      return 0;
    }
    final long offset = guestAddress - starts[index];
    return lengthBytes <= lengths[index] - offset ? hosts[index] + offset : 0;
  }

  /** Bytes from a guest address to the end of its region; 0 if it is in none. */
  public long contiguousLength(final long guestAddress) {
    final int index = find(guestAddress);
    return index < 0 ? 0 : lengths[index] - (guestAddress - starts[index]);
  }

  /** Index of the region that holds the address, or -1. */
  private int find(final long guestAddress) {
    int low = 0;
    int high = starts.length - 1;
    while (low <= high) {
      final int middle = (low + high) >>> 1;
      if (Long.compareUnsigned(starts[middle], guestAddress) > 0) {
        high = middle - 1;
      } else if (Long.compareUnsigned(guestAddress - starts[middle], lengths[middle]) >= 0) {
        low = middle + 1;
      } else {
        return middle;
      }
    }
    return -1;
  }

  /**
   * Host address of a range in the front-end's own addresses, under the same conditions as {@link
   * #translate}.
   */
  public long translateUser(final long userAddress, final long lengthBytes) {
    for (final MemoryRegion region : regions) {
      final long offset = userAddress - region.userAddress();
      if (offset >= 0
          && offset < region.lengthBytes()
          && lengthBytes > 0
          && lengthBytes <= region.lengthBytes() - offset) {
        return region.hostAddress() + offset;
      }
    }
    return 0;
  }

  /** Guest address of a host address in one of the regions, or -1. */
  public long guestAddressOf(final long hostAddress) {
    for (int i = 0; i < hosts.length; i++) {
      final long offset = hostAddress - hosts[i];
      if (offset >= 0 && offset < lengths[i]) {
        return starts[i] + offset;
      }
    }
    return -1;
  }

  /** Whether the file behind a region was made shorter than what is mapped. System calls. */
  public boolean isCutShort() {
    return regions.stream()
        .anyMatch(
            region -> Fds.length(region.fd()) < region.fileOffsetBytes() + region.lengthBytes());
  }

  /** All regions, by guest address. */
  public List<MemoryRegion> regions() {
    return regions;
  }
}
