package io.virtnvme.slave.control;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.slave.reactor.Seat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the master says of disks and of the devices below them, and what is answered. Control
 * thread.
 */
final class DiskMessages {
  private static final Logger LOGGER = LoggerFactory.getLogger(DiskMessages.class);

  private final MasterLink link;
  private final Volumes volumes;
  private final Devices devices;
  private final Sessions sessions;
  private final Map<Integer, Seat> seats;

  /** {@code seats} is the slave's: it changes. */
  DiskMessages(
      final MasterLink link,
      final Volumes volumes,
      final Devices devices,
      final Sessions sessions,
      final Map<Integer, Seat> seats) {
    this.link = link;
    this.volumes = volumes;
    this.devices = devices;
    this.sessions = sessions;
    this.seats = seats;
  }

  /** Tells a new master what the old one knew of them. */
  void handBack() {
    for (final Devices.Device device : devices.all()) {
      if (link.isUp()) {
        device.write(link.begin(RelayMessageType.DEVICE_HELD, 0, 0));
        link.send();
      }
    }
    for (final Volumes.Volume volume : volumes.all()) {
      if (link.isUp()) {
        final RelayWriter held = link.begin(RelayMessageType.BDEV_HELD, volume.id(), 0);
        volume.bdev().description().write(held);
        held.putInt(volume.seat());
        link.send();
      }
    }
  }

  void onAdd(final RelayReader message) {
    final BdevDescription description = BdevDescription.read(message);
    final int seat = message.getInt();
    try {
      final Volumes.Volume volume = volumes.open(message.id(), seat, description);
      final Seat owner = seats.get(seat);
      if (owner != null && owner.isOwned()) {
        // Keeps other programs off the disk from now on. A dead owner's lock is waited for when the
        // first ring starts.
        volume.bdev().tryFence();
      }
      answer(message.id(), message.sequence(), 0, "", volume.bdev().description().blockCount());
    } catch (final RuntimeException e) {
      LOGGER.warn("bdev {} cannot be opened: {}", description.name(), e.getMessage());
      final int errno = e instanceof SysException sys ? sys.errno() : Errno.EINVAL;
      answer(message.id(), message.sequence(), errno, String.valueOf(e.getMessage()), 0);
    }
  }

  void onRemove(final long id, final long sequence) {
    volumes.close(id);
    answer(id, sequence, 0, "", 0);
  }

  void onResize(final RelayReader message) {
    final long blockCount = message.getLong();
    final Volumes.Volume volume = volumes.get(message.id());
    if (volume == null) {
      answer(message.id(), message.sequence(), Errno.ENODEV, "no such bdev here", 0);
      return;
    }
    try {
      volume.bdev().resize(blockCount);
      final long actual = volume.bdev().description().blockCount();
      sessions.onResize(message.id(), actual);
      answer(message.id(), message.sequence(), 0, "", actual);
    } catch (final RuntimeException e) {
      answer(message.id(), message.sequence(), Errno.EINVAL, String.valueOf(e.getMessage()), 0);
    }
  }

  void onLimits(final RelayReader message) {
    final BdevLimits limits = BdevLimits.read(message);
    final Volumes.Volume volume = volumes.get(message.id());
    if (volume != null) {
      volume.bdev().limits().set(limits);
    }
    if (message.sequence() != 0) {
      answer(
          message.id(),
          message.sequence(),
          volume == null ? Errno.ENODEV : 0,
          volume == null ? "no such bdev here" : "",
          0);
    }
  }

  void onTrack(final RelayReader message) {
    final long id = message.id();
    final long sequence = message.sequence();
    final Volumes.Volume volume = volumes.get(id);
    if (volume == null) {
      answer(id, sequence, Errno.ENODEV, "no such bdev here", 0);
      return;
    }
    final DirtySegment before;
    try {
      before = volumes.track(volume, message.getInt() != 0);
    } catch (final BadSegmentException | SysException e) {
      if (sequence == 0) {
        // The master counts on marks from now on: rather no slave than one that makes none.
        throw e;
      }
      answer(id, sequence, Errno.EINVAL, String.valueOf(e.getMessage()), 0);
      return;
    }
    final Runnable whenSeen =
        () -> {
          if (before != null) {
            before.close();
          }
          answer(id, sequence, 0, "", 0);
        };
    final Seat seat = seats.get(volume.seat());
    if (seat == null) {
      whenSeen.run();
    } else {
      seat.afterCycle(whenSeen);
    }
  }

  void onCycle(final long id, final long sequence) {
    // Every seat: a disk that was removed, or is another seat's now, may still be polled once.
    afterPolls(List.copyOf(seats.values()).iterator(), () -> answer(id, sequence, 0, "", 0));
  }

  /**
   * Runs something when every reactor of these seats has polled its disks since this was called.
   * What is asked of a reactor runs before it polls, so only the cycle after that is certain.
   */
  private static void afterPolls(final Iterator<Seat> some, final Runnable whenDone) {
    if (some.hasNext()) {
      final Seat seat = some.next();
      seat.afterCycle(() -> seat.afterCycle(() -> afterPolls(some, whenDone)));
    } else {
      whenDone.run();
    }
  }

  /** Without the device its bdevs cannot be opened, and their answers say so. */
  void onDeviceAttach(final RelayReader message) {
    try {
      devices.attach(message);
    } catch (final SysException e) {
      LOGGER.warn("an NVMe device cannot be reached: {}", e.getMessage());
    }
  }

  /** A reactor lets go of a closed disk when it polls. */
  void onDeviceDetach(final String name, final long sequence) {
    afterPolls(
        List.copyOf(seats.values()).iterator(),
        () -> {
          devices.detach(name);
          answer(0, sequence, 0, "", 0);
        });
  }

  void onHold(final RelayReader message) {
    final BdevHold hold = BdevHold.read(message);
    final long id = message.id();
    final long sequence = message.sequence();
    final Volumes.Volume volume = volumes.get(id);
    if (volume == null) {
      answer(id, sequence, Errno.ENODEV, "no such bdev here", 0);
      return;
    }
    volume.bdev().limits().hold(hold);
    final Runnable whenIdle =
        () -> {
          final boolean isLate = volume.bdev().limits().held() != hold.who();
          if (sequence != 0) {
            final String text = isLate ? "requests ran for longer than that" : "";
            answer(id, sequence, isLate ? Errno.ETIME : 0, text, 0);
          }
        };
    final Seat seat = seats.get(volume.seat());
    if (seat == null) {
      whenIdle.run();
    } else {
      // In any case: it also wakes reactors for what may begin again.
      seat.awaitHeld(volume.bdev(), hold.who(), whenIdle);
    }
  }

  private void answer(
      final long id,
      final long sequence,
      final int errno,
      final String text,
      final long blockCount) {
    if (link.isUp()) {
      link.begin(RelayMessageType.BDEV_RESULT, id, sequence)
          .putInt(errno)
          .putString(text)
          .putLong(blockCount);
      link.send();
    }
  }
}
