package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.nvme.PrpEntry;
import java.util.Arrays;

/**
 * Guest memory that a device may reach, as ranges of host addresses. Changed on the control thread
 * before anybody has an address in a new range, and after nobody has one in an old range; looked up
 * by reactors, in a copy that never changes.
 */
public final class DmaTable implements DmaMap {
  private static final int WORDS = 3;

  /** For each range its first host address, its length, its iova; in order of addresses. */
  private volatile long[] ranges = new long[0];

  /**
   * Adds a range that the device sees from now on.
   *
   * @throws IllegalArgumentException when a number is no multiple of the page size, or a part of it
   *     is there already
   */
  public synchronized void add(final long hostAddress, final long lengthBytes, final long iova) {
    if (((hostAddress | lengthBytes | iova) & PrpEntry.OFFSET_MASK) != 0 || lengthBytes <= 0) {
      throw new IllegalArgumentException(
          "not whole pages: " + text(hostAddress, lengthBytes, iova));
    }
    final long[] old = ranges;
    int place = 0;
    while (place < old.length && old[place] < hostAddress) {
      place += WORDS;
    }
    final boolean isInOneBefore =
        place > 0 && old[place - WORDS] + old[place - WORDS + 1] > hostAddress;
    final boolean isInOneBehind = place < old.length && hostAddress + lengthBytes > old[place];
    if (isInOneBefore || isInOneBehind) {
      throw new IllegalArgumentException(
          "a part is mapped already: " + text(hostAddress, lengthBytes, iova));
    }
    final long[] grown = Arrays.copyOf(old, old.length + WORDS);
    System.arraycopy(old, place, grown, place + WORDS, old.length - place);
    grown[place] = hostAddress;
    grown[place + 1] = lengthBytes;
    grown[place + 2] = iova;
    ranges = grown;
  }

  private static String text(final long hostAddress, final long lengthBytes, final long iova) {
    return "address=0x"
        + Long.toHexString(hostAddress)
        + " bytes="
        + lengthBytes
        + " iova=0x"
        + Long.toHexString(iova);
  }

  /** Takes the range away that begins there; nothing when there is none. */
  public synchronized void remove(final long hostAddress) {
    final long[] old = ranges;
    for (int place = 0; place < old.length; place += WORDS) {
      if (old[place] == hostAddress) {
        final long[] less = new long[old.length - WORDS];
        System.arraycopy(old, 0, less, 0, place);
        System.arraycopy(old, place + WORDS, less, place, less.length - place);
        ranges = less;
        return;
      }
    }
  }

  @Override
  public long iova(final long hostAddress, final long lengthBytes) {
    final long[] now = ranges;
    int low = 0;
    int high = now.length / WORDS;
    while (low < high) {
      final int middle = (low + high) >>> 1;
      if (now[middle * WORDS] <= hostAddress) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == 0) {
      return UNMAPPED;
    }
    final int place = (low - 1) * WORDS;
    final long offset = hostAddress - now[place];
    return offset < now[place + 1] && lengthBytes <= now[place + 1] - offset
        ? now[place + 2] + offset
        : UNMAPPED;
  }
}
