package io.virtnvme.slave.control;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.Bdevs;
import io.virtnvme.slave.bdev.DirtyTracking;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The block devices that this process has open, by the master's id. Control thread only. */
final class Volumes {
  /** An open device and the seat it belongs to. */
  record Volume(long id, int seat, Bdev bdev) {}

  private final SegmentDirectory segments;
  private final Devices devices;
  private final Map<Long, Volume> volumes = new LinkedHashMap<>();

  Volumes(final SegmentDirectory segments, final Devices devices) {
    this.segments = segments;
    this.devices = devices;
  }

  /**
   * Opens a device, or returns the one that is open already. Throws {@link RuntimeException} with a
   * text for the operator.
   */
  Volume open(final long id, final int seat, final BdevDescription description) {
    final Volume known = volumes.get(id);
    if (known != null) {
      return known;
    }
    final Volume opened = new Volume(id, seat, Bdevs.open(description, segments, devices::device));
    volumes.put(id, opened);
    return opened;
  }

  /**
   * Marks changes of a device from now on, or not any more.
   *
   * @return the segment used before, or null; the caller closes it when no reactor uses it
   * @throws BadSegmentException when there is none that covers the device
   */
  DirtySegment track(final Volume volume, final boolean on) {
    final BdevDescription description = volume.bdev().description();
    final DirtyTracking tracking = volume.bdev().tracking();
    if (tracking == null || !on) {
      return tracking == null ? null : tracking.set(null);
    }
    final DirtySegment segment = DirtySegment.open(segments, description.name());
    if (!segment.covers(description.lengthBytes())) {
      segment.close();
      throw new BadSegmentException(
          segments.dirty(description.name()), "covers less than the disk");
    }
    return tracking.set(segment);
  }

  /** The device, or null. */
  Volume get(final long id) {
    return volumes.get(id);
  }

  Iterable<Volume> all() {
    return volumes.values();
  }

  /** Lets go of everything that belongs to a seat none of whose rings runs here any more. */
  void closeAll(final int seat) {
    for (final Volume volume : List.copyOf(volumes.values())) {
      if (volume.seat() == seat) {
        close(volume.id());
      }
    }
  }

  void close(final long id) {
    final Volume volume = volumes.remove(id);
    if (volume != null) {
      volume.bdev().close();
    }
  }
}
