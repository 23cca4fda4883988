package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.vfiouser.DmaMap;
import io.virtnvme.ipc.vfiouser.DmaUnmap;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * DMA_MAP and DMA_UNMAP. A region without a descriptor is remembered, and a command that points
 * there ends with a transfer error: what would reach it, messages to the front-end, would make each
 * I/O wait for the front-end's main loop. Control thread.
 */
final class DmaMessages {
  VfioChange map(final VfioState state, final byte[] message, final int[] fds) {
    VfioMessages.requirePayload(message, DmaMap.LENGTH);
    VfioMessages.requireArgsz(DmaMap.argsz(message), DmaMap.LENGTH);
    final int flags = DmaMap.flags(message);
    final int access = flags & (DmaMap.READ_FLAG | DmaMap.WRITE_FLAG);
    final int known = DmaMap.READ_FLAG | DmaMap.WRITE_FLAG | DmaMap.MMAP_FLAG;
    if ((flags & ~known) != 0 || access == 0) {
      throw new RefusedException(
          Errno.EINVAL, "flags=0x" + Integer.toHexString(flags) + ": readable, writable or both");
    }
    if (fds.length > 1 || (fds.length == 0 && (flags & DmaMap.MMAP_FLAG) != 0)) {
      throw new RefusedException(
          Errno.EINVAL, "one descriptor for a region that can be mapped, not " + fds.length);
    }
    final long address = DmaMap.address(message);
    final long size = DmaMap.size(message);
    final long offset = DmaMap.offset(message);
    requireRange(address, size, fds.length == 0 ? 0 : offset);
    for (final DmaRegion region : state.regions()) {
      if (region.overlaps(address, size)) {
        throw new RefusedException(
            Errno.EEXIST,
            "it overlaps the region of "
                + region.lengthBytes()
                + " bytes at 0x"
                + Long.toHexString(region.address()));
      }
    }
    final int slot = fds.length == 0 ? DmaRegion.NO_SLOT : state.freeRegionSlot();
    if (state.regions().size() >= VfioMessages.REGION_COUNT_MAX || (fds.length > 0 && slot < 0)) {
      throw new RefusedException(
          Errno.ENOSPC,
          state.regions().size()
              + " regions are mapped; at most "
              + VfioMessages.REGION_COUNT_MAX
              + ", "
              + VfioSlots.REGION_COUNT_MAX
              + " of them with a descriptor");
    }
    final List<DmaRegion> regions = new ArrayList<>(state.regions());
    regions.add(
        new DmaRegion(
            address,
            size,
            slot < 0 ? 0 : offset,
            slot,
            (flags & DmaMap.READ_FLAG) != 0,
            (flags & DmaMap.WRITE_FLAG) != 0));
    regions.sort(Comparator.comparing(DmaRegion::address, Long::compareUnsigned));
    final VfioChange change =
        new VfioChange(state.withRegions(regions), VfioUserMessage.reply(message, 0));
    return slot < 0 ? change : change.withSlots(slot);
  }

  private static void requireRange(final long address, final long size, final long offset) {
    final boolean wraps = Long.compareUnsigned(address + size - 1, address) < 0;
    if (size <= 0 || wraps || offset < 0 || offset > Long.MAX_VALUE - size) {
      throw new RefusedException(
          Errno.EINVAL,
          "region out of range: address=0x"
              + Long.toHexString(address)
              + " size="
              + Long.toUnsignedString(size)
              + " file offset="
              + Long.toUnsignedString(offset));
    }
  }

  VfioChange unmap(final VfioState state, final byte[] message) {
    VfioMessages.requirePayload(message, DmaUnmap.LENGTH);
    VfioMessages.requireArgsz(DmaUnmap.argsz(message), DmaUnmap.LENGTH);
    final int flags = DmaUnmap.flags(message);
    final long address = DmaUnmap.address(message);
    final long size = DmaUnmap.size(message);
    if ((flags & DmaUnmap.DIRTY_BITMAP_FLAG) != 0) {
      throw new RefusedException(Errno.EOPNOTSUPP, "dirty pages are not logged");
    }
    if ((flags & ~DmaUnmap.ALL_FLAG) != 0) {
      throw new RefusedException(Errno.EINVAL, "flags=0x" + Integer.toHexString(flags));
    }
    final List<DmaRegion> left = new ArrayList<>();
    if (flags == DmaUnmap.ALL_FLAG) {
      if (address != 0 || size != 0) {
        throw new RefusedException(Errno.EINVAL, "address and size of all regions must be zero");
      }
    } else {
      left.addAll(state.regions());
      // A part of a region cannot go: it must be named as it was mapped.
      if (!left.removeIf(region -> region.address() == address && region.lengthBytes() == size)) {
        throw new RefusedException(
            Errno.ENOENT,
            "no region of "
                + Long.toUnsignedString(size)
                + " bytes was mapped at 0x"
                + Long.toHexString(address));
      }
    }
    final byte[] reply = VfioUserMessage.reply(message, DmaUnmap.LENGTH);
    DmaUnmap.put(reply, DmaUnmap.LENGTH, flags, address, size);
    return new VfioChange(state.withRegions(left), reply);
  }
}
