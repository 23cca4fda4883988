package io.virtnvme.slave.session;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.slave.virtqueue.DirtyLog;
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
 * All that a session has mapped: guest memory, inflight region, dirty log. Immutable; made for a
 * state, taking over from its predecessor what did not change. Control thread.
 */
final class SessionMemory implements Holdings.Mapped<SessionMemory> {
  static final SessionMemory EMPTY =
      new SessionMemory(
          new MappedArea[FdSlots.REGION_COUNT_MAX], null, null, GuestMemory.of(List.of()), null);

  private final MappedArea[] regions;
  private final MappedArea inflight;
  private final MappedArea log;
  private final GuestMemory guest;
  private final DirtyLog dirtyLog;

  private SessionMemory(
      final MappedArea[] regions,
      final MappedArea inflight,
      final MappedArea log,
      final GuestMemory guest,
      final DirtyLog dirtyLog) {
    this.regions = regions;
    this.inflight = inflight;
    this.log = log;
    this.guest = guest;
    this.dirtyLog = dirtyLog;
  }

  /**
   * Maps what a state needs and {@code before} does not have. Throws {@link SessionException} and
   * leaves nothing mapped if something cannot be.
   *
   * @param fds by slot; where an area of {@code before} is taken over, its descriptor stays in use
   *     instead: see {@link #putFds}
   */
  static SessionMemory map(final SessionState state, final int[] fds, final SessionMemory before) {
    final Builder builder = new Builder(before);
    try {
      final MappedArea[] regions = new MappedArea[FdSlots.REGION_COUNT_MAX];
      final List<MemoryRegion> guestRegions = new ArrayList<>();
      for (int slot = 0; slot < regions.length; slot++) {
        final RegionState region = state.regions().get(slot);
        if (region != null) {
          final MappedArea area =
              builder.area(slot, fds, region.fileOffsetBytes(), region.lengthBytes());
          regions[slot] = area;
          guestRegions.add(
              new MemoryRegion(
                  region.guestAddress(),
                  region.userAddress(),
                  region.lengthBytes(),
                  area.address(),
                  area.fd(),
                  area.fileOffsetBytes()));
        }
      }
      final InflightState inflight = state.inflight();
      final AreaState log = state.log();
      final MappedArea logArea =
          log == null
              ? null
              : builder.area(FdSlots.LOG, fds, log.fileOffsetBytes(), log.lengthBytes());
      return new SessionMemory(
          regions,
          inflight == null
              ? null
              : builder.area(
                  FdSlots.INFLIGHT, fds, inflight.fileOffsetBytes(), inflight.lengthBytes()),
          logArea,
          before.guest.regions().equals(GuestMemory.of(guestRegions).regions())
              ? before.guest
              : GuestMemory.of(guestRegions),
          logArea == null
              ? null
              : logArea == before.log
                  ? before.dirtyLog
                  : new DirtyLog(logArea.address(), logArea.lengthBytes()));
    } catch (final RuntimeException e) {
      builder.unmapNew();
      throw e;
    }
  }

  /** Finds or maps areas, and remembers which are new. */
  private static final class Builder {
    private final Set<MappedArea> left;
    private final List<MappedArea> fresh = new ArrayList<>();

    Builder(final SessionMemory before) {
      left = before.areas();
    }

    MappedArea area(
        final int slot, final int[] fds, final long fileOffsetBytes, final long lengthBytes) {
      final int fd = fds[slot];
      final String what = FdSlots.name(slot);
      FdKinds.requireMemory(fd, what);
      for (final MappedArea area : left) {
        if (area.isSame(fd, fileOffsetBytes, lengthBytes)) {
          left.remove(area);
          return area;
        }
      }
      final MappedArea area = MappedArea.map(fd, fileOffsetBytes, lengthBytes, what);
      fresh.add(area);
      return area;
    }

    void unmapNew() {
      fresh.forEach(MappedArea::unmap);
    }
  }

  private Set<MappedArea> areas() {
    final Set<MappedArea> areas = Collections.newSetFromMap(new IdentityHashMap<>());
    for (final MappedArea region : regions) {
      if (region != null) {
        areas.add(region);
      }
    }
    if (inflight != null) {
      areas.add(inflight);
    }
    if (log != null) {
      areas.add(log);
    }
    return areas;
  }

  /** Puts the descriptor of each area into its slot. */
  void putFds(final int[] fds) {
    for (int slot = 0; slot < regions.length; slot++) {
      if (regions[slot] != null) {
        fds[slot] = regions[slot].fd();
      }
    }
    if (inflight != null) {
      fds[FdSlots.INFLIGHT] = inflight.fd();
    }
    if (log != null) {
      fds[FdSlots.LOG] = log.fd();
    }
  }

  @Override
  public void unmapExcept(final SessionMemory kept) {
    final Set<MappedArea> ended = areas();
    ended.removeAll(kept.areas());
    ended.forEach(MappedArea::unmap);
  }

  /**
   * Two bytes of guest memory, or 0 if they are not there any more. Through the file, not the
   * mapping: a front-end that cuts its memory short must not raise a fault on the control thread.
   *
   * @param hostAddress in one of the regions
   */
  int peekUnsignedShort(final long hostAddress) {
    final long value = Mem.allocate(Short.BYTES);
    try {
      for (final MemoryRegion region : guest.regions()) {
        final long offset = hostAddress - region.hostAddress();
        if (offset >= 0 && offset < region.lengthBytes()) {
          return Fds.pread(region.fd(), value, Short.BYTES, region.fileOffsetBytes() + offset)
                  == Short.BYTES
              ? Mem.getUnsignedShort(value)
              : 0;
        }
      }
      return 0;
    } finally {
      Mem.free(value);
    }
  }

  /** The guest's memory, as {@link FrontEndDevice#guestMemory}. */
  List<MemoryRange> populatable() {
    return Arrays.stream(regions)
        .filter(Objects::nonNull)
        .flatMap(region -> region.populatable().stream())
        .toList();
  }

  /** The guest's memory, as {@link FrontEndDevice#guestAreas}. */
  List<MappedArea> guestAreas() {
    return Arrays.stream(regions).filter(Objects::nonNull).toList();
  }

  GuestMemory guest() {
    return guest;
  }

  /** Null when there is no log. */
  DirtyLog dirtyLog() {
    return dirtyLog;
  }

  /** Host address of the inflight region, 0 when there is none. */
  long inflightAddress() {
    return inflight == null ? 0 : inflight.address();
  }
}
