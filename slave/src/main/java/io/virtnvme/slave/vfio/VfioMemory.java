package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.slave.session.FdKinds;
import io.virtnvme.slave.session.Holdings;
import io.virtnvme.slave.session.MappedArea;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * All that a session has mapped: DMA regions, doorbell page, controller area. Immutable; made for a
 * state, taking over from its predecessor what did not change. Control thread.
 */
final class VfioMemory implements Holdings.Mapped<VfioMemory> {
  static final VfioMemory EMPTY =
      new VfioMemory(
          new MappedArea[VfioSlots.COUNT],
          new boolean[VfioSlots.COUNT],
          GuestMemory.of(List.of()),
          GuestMemory.of(List.of()));

  private final MappedArea[] areas;
  private final boolean[] areWritable;
  private final GuestMemory readable;
  private final GuestMemory writable;

  private VfioMemory(
      final MappedArea[] areas,
      final boolean[] areWritable,
      final GuestMemory readable,
      final GuestMemory writable) {
    this.areas = areas;
    this.areWritable = areWritable;
    this.readable = readable;
    this.writable = writable;
  }

  /**
   * Maps what a state needs and {@code before} does not have. Throws {@link
   * io.virtnvme.slave.session.SessionException} and leaves nothing mapped if something cannot be.
   *
   * @param fds by slot; where an area of {@code before} is taken over, its descriptor stays in use
   *     instead: see {@link #putFds}
   * @param areaLength bytes of a controller area
   * @param isRecorded the regions were mapped before, by whoever made the record: one whose file is
   *     too short by now is no reason to refuse them
   */
  static VfioMemory map(
      final VfioState state,
      final int[] fds,
      final long areaLength,
      final VfioMemory before,
      final boolean isRecorded) {
    final Builder builder = new Builder(before, isRecorded);
    try {
      final List<MemoryRegion> readable = new ArrayList<>();
      final List<MemoryRegion> writable = new ArrayList<>();
      for (final DmaRegion region : state.regions()) {
        if (region.isMapped()) {
          final MemoryRegion mapped = builder.region(region, fds);
          if (region.readable()) {
            readable.add(mapped);
          }
          if (region.writable()) {
            writable.add(mapped);
          }
        }
      }
      if (state.negotiated()) {
        builder.area(VfioSlots.DOORBELLS, fds, 0, PciConfigSpace.BAR0_LENGTH, true);
        builder.area(VfioSlots.AREA, fds, 0, areaLength, true);
      }
      return new VfioMemory(
          builder.areas,
          builder.areWritable,
          sameOr(before.readable, readable),
          sameOr(before.writable, writable));
    } catch (final RuntimeException e) {
      builder.fresh.forEach(MappedArea::unmap);
      throw e;
    }
  }

  private static GuestMemory sameOr(final GuestMemory before, final List<MemoryRegion> regions) {
    final GuestMemory made = GuestMemory.of(regions);
    return before.regions().equals(made.regions()) ? before : made;
  }

  /** Finds or maps areas, and remembers which are new. */
  private static final class Builder {
    final MappedArea[] areas = new MappedArea[VfioSlots.COUNT];
    final boolean[] areWritable = new boolean[VfioSlots.COUNT];
    final List<MappedArea> fresh = new ArrayList<>();
    private final VfioMemory before;
    private final boolean isRecorded;

    Builder(final VfioMemory before, final boolean isRecorded) {
      this.before = before;
      this.isRecorded = isRecorded;
    }

    MemoryRegion region(final DmaRegion region, final int[] fds) {
      final MappedArea area =
          area(
              region.slot(),
              fds,
              region.fileOffsetBytes(),
              region.lengthBytes(),
              region.writable());
      // There are no addresses of a front-end here: those of the device take their place.
      return new MemoryRegion(
          region.address(),
          region.address(),
          region.lengthBytes(),
          area.address(),
          area.fd(),
          area.fileOffsetBytes());
    }

    MappedArea area(
        final int slot,
        final int[] fds,
        final long fileOffsetBytes,
        final long lengthBytes,
        final boolean writable) {
      final String what = VfioSlots.name(slot);
      FdKinds.requireMemory(fds[slot], what);
      final MappedArea old = before.areas[slot];
      final boolean isSame =
          old != null
              && before.areWritable[slot] == writable
              && old.isSame(fds[slot], fileOffsetBytes, lengthBytes);
      final MappedArea area =
          isSame ? old : map(fds[slot], fileOffsetBytes, lengthBytes, what, writable, slot);
      if (!isSame) {
        fresh.add(area);
      }
      areas[slot] = area;
      areWritable[slot] = writable;
      return area;
    }

    private MappedArea map(
        final int fd,
        final long fileOffsetBytes,
        final long lengthBytes,
        final String what,
        final boolean writable,
        final int slot) {
      // Doorbell page and controller area are sealed: nobody can have cut them.
      return isRecorded && slot < VfioSlots.REGION_COUNT_MAX
          ? MappedArea.mapAgain(fd, fileOffsetBytes, lengthBytes, what, writable)
          : MappedArea.map(fd, fileOffsetBytes, lengthBytes, what, writable);
    }
  }

  private Set<MappedArea> areas() {
    final Set<MappedArea> found = Collections.newSetFromMap(new IdentityHashMap<>());
    for (final MappedArea area : areas) {
      if (area != null) {
        found.add(area);
      }
    }
    return found;
  }

  /** Puts the descriptor of each area into its slot. */
  void putFds(final int[] fds) {
    for (int slot = 0; slot < areas.length; slot++) {
      if (areas[slot] != null) {
        fds[slot] = areas[slot].fd();
      }
    }
  }

  @Override
  public void unmapExcept(final VfioMemory kept) {
    final Set<MappedArea> ended = areas();
    ended.removeAll(kept.areas());
    ended.forEach(MappedArea::unmap);
  }

  /** The guest's memory, as {@link io.virtnvme.slave.session.FrontEndDevice#guestMemory}. */
  List<MemoryRange> populatable() {
    return Arrays.stream(areas, 0, VfioSlots.REGION_COUNT_MAX)
        .filter(Objects::nonNull)
        .flatMap(area -> area.populatable().stream())
        .toList();
  }

  /**
   * The guest's memory, as {@link io.virtnvme.slave.session.FrontEndDevice#guestAreas}: what a
   * controller may not write, a device must not reach.
   */
  List<MappedArea> guestAreas() {
    final List<MappedArea> found = new ArrayList<>();
    for (int slot = 0; slot < VfioSlots.REGION_COUNT_MAX; slot++) {
      if (areas[slot] != null && areWritable[slot]) {
        found.add(areas[slot]);
      }
    }
    return found;
  }

  /** What the device may read. */
  GuestMemory readable() {
    return readable;
  }

  /** What the device may write. */
  GuestMemory writable() {
    return writable;
  }

  /** Host address of the first doorbell, 0 before VERSION. */
  long doorbellsAddress() {
    final MappedArea page = areas[VfioSlots.DOORBELLS];
    return page == null ? 0 : page.address() + Doorbells.BASE_OFFSET;
  }

  /** Host address of the controller area, 0 before VERSION. */
  long areaAddress() {
    final MappedArea area = areas[VfioSlots.AREA];
    return area == null ? 0 : area.address();
  }
}
