package io.virtnvme.slave.control;

import io.virtnvme.ipc.nvme.device.DmaSpace;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.slave.bdev.DmaMap;
import io.virtnvme.slave.bdev.DmaTable;
import io.virtnvme.slave.session.MappedArea;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Guests' memory as one device reaches it from this process: mapped for it piece by piece, so that
 * a large guest does not hold up the control thread, and until it is unmapped here. What the device
 * does not reach, or not yet, goes through the bounce buffers of the queue pairs. Control thread
 * only.
 *
 * <p>A dead process's mappings stay, since the device may still be told to use them; the master
 * ends them when it does not any more.
 */
final class GuestDma {
  private static final Logger LOGGER = LoggerFactory.getLogger(GuestDma.class);
  private static final long PAGE_MASK = 4095;

  /** Takes some 100 ms where pages are small. */
  static final long PIECE_BYTES = 256L << 20;

  /** Memory and I/O addresses have the same place in their large page: the IOMMU can use those. */
  private static final long ALIGNMENT_BYTES = 2L << 20;

  private static final long NONE = -1;

  /** Whole pages of an area. */
  private static final class Share {
    private final long address;
    private final long iova;
    private long lengthBytes;
    private long mappedBytes;

    Share(final long address, final long lengthBytes, final long iova) {
      this.address = address;
      this.lengthBytes = lengthBytes;
      this.iova = iova;
    }
  }

  private final String device;
  private final DmaSpace space;
  private final long windowBase;
  private final long windowEnd;
  private final long pieceBytes;
  private final DmaTable table = new DmaTable();
  private final Map<MappedArea, Share> shares = new HashMap<>();
  private final ArrayDeque<Share> unfinished = new ArrayDeque<>();

  /** First I/O address to end, exclusive. */
  private final TreeMap<Long, Long> taken = new TreeMap<>();

  private boolean closed;

  /**
   * Nothing is mapped yet.
   *
   * @param windowBase first of the I/O addresses that are this process's
   * @param windowBytes how many there are; 0 for none
   * @param pieceBytes what is mapped at once at most, whole pages
   */
  GuestDma(
      final String device,
      final DmaSpace space,
      final long windowBase,
      final long windowBytes,
      final long pieceBytes) {
    this.device = device;
    this.space = space;
    this.pieceBytes = pieceBytes;
    this.windowBase = windowBase;
    this.windowEnd = windowBase + windowBytes;
  }

  DmaMap map() {
    return table;
  }

  /** Begins to let the device reach an area, if it does not. */
  void add(final MappedArea area) {
    if (closed || shares.containsKey(area)) {
      return;
    }
    final long address = (area.address() + PAGE_MASK) & ~PAGE_MASK;
    final long lengthBytes = ((area.address() + area.lengthBytes()) & ~PAGE_MASK) - address;
    final Share share = new Share(address, lengthBytes, take(address, lengthBytes));
    shares.put(area, share);
    area.beforeUnmap(() -> remove(area));
    if (share.iova == NONE) {
      LOGGER.warn(
          "device {} gets {} bytes of a guest through bounce buffers: no I/O addresses are left",
          device,
          area.lengthBytes());
    } else {
      unfinished.add(share);
    }
  }

  private long take(final long address, final long lengthBytes) {
    final long place = address & (ALIGNMENT_BYTES - 1);
    long candidate = alignUp(windowBase) + place;
    for (final Map.Entry<Long, Long> used : taken.entrySet()) {
      if (candidate + lengthBytes <= used.getKey()) {
        break;
      }
      candidate = alignUp(used.getValue()) + place;
    }
    if (lengthBytes <= 0 || lengthBytes > windowEnd - candidate) {
      return NONE;
    }
    taken.put(candidate, candidate + lengthBytes);
    return candidate;
  }

  private static long alignUp(final long iova) {
    return (iova + ALIGNMENT_BYTES - 1) & -ALIGNMENT_BYTES;
  }

  /** Maps one more piece; whether there are more. */
  boolean mapNext() {
    final Share share = unfinished.peek();
    if (share == null) {
      return false;
    }
    final long address = share.address + share.mappedBytes;
    final long iova = share.iova + share.mappedBytes;
    final long lengthBytes = Math.min(pieceBytes, share.lengthBytes - share.mappedBytes);
    try {
      space.map(address, iova, lengthBytes);
      table.add(address, lengthBytes, iova);
      share.mappedBytes += lengthBytes;
    } catch (final SysException e) {
      LOGGER.warn(
          "device {} gets {} bytes of a guest through bounce buffers: {}",
          device,
          share.lengthBytes - share.mappedBytes,
          e.getMessage());
      share.lengthBytes = share.mappedBytes;
    }
    if (share.mappedBytes == share.lengthBytes) {
      unfinished.remove();
    }
    return !unfinished.isEmpty();
  }

  private void remove(final MappedArea area) {
    final Share share = shares.remove(area);
    unfinished.remove(share);
    if (closed || share.iova == NONE) {
      return;
    }
    for (long done = 0; done < share.mappedBytes; done += pieceBytes) {
      table.remove(share.address + done);
    }
    if (share.mappedBytes > 0) {
      space.unmap(share.iova, share.mappedBytes);
    }
    taken.remove(share.iova);
  }

  /** The device is not used by this process any more; what is mapped ends with it. */
  void close() {
    closed = true;
    unfinished.clear();
  }
}
