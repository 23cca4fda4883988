package io.virtnvme.slave.control;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.nvme.ControllerArea;
import io.virtnvme.slave.nvme.ControllerAreaDescriptor;
import io.virtnvme.slave.nvme.ControllerConfig;
import io.virtnvme.slave.nvme.DmaMemory;
import io.virtnvme.slave.nvme.Namespace;
import io.virtnvme.slave.nvme.NamespaceIds;
import io.virtnvme.slave.nvme.NamespaceVolume;
import io.virtnvme.slave.nvme.SessionParts;
import io.virtnvme.slave.reactor.Seat;
import io.virtnvme.slave.reactor.SeatQueues;
import io.virtnvme.slave.session.SessionException;
import io.virtnvme.slave.vfio.NvmeDevice;
import io.virtnvme.slave.vfio.NvmeDevices;
import io.virtnvme.slave.vfio.NvmeMachine;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.LongFunction;
import java.util.function.Supplier;

/**
 * The NVMe controllers of one seat: brings sessions, disks and reactors together. Control thread.
 */
public final class SeatControllers implements NvmeDevices {
  private final LongFunction<Bdev> disks;
  private final Supplier<? extends SeatQueues> currentSeat;

  /**
   * The controllers of one seat.
   *
   * @param disks an open disk by the master's id, or null
   * @param currentSeat the seat as this process has it; gives null while it has nothing to do with
   *     it
   */
  public SeatControllers(
      final LongFunction<Bdev> disks, final Supplier<? extends SeatQueues> currentSeat) {
    this.disks = disks;
    this.currentSeat = currentSeat;
  }

  SeatControllers(final Volumes volumes, final Map<Integer, Seat> seats, final int seatId) {
    this(id -> bdev(volumes.get(id)), () -> seats.get(seatId));
  }

  private static Bdev bdev(final Volumes.Volume volume) {
    return volume == null ? null : volume.bdev();
  }

  @Override
  public long areaLength() {
    return ControllerAreaDescriptor.LENGTH;
  }

  @Override
  public void format(final long areaAddress, final long sessionId) {
    new ControllerArea(areaAddress).format(sessionId);
  }

  @Override
  public NvmeDevice make(final NvmeMachine machine) {
    final SeatQueues seat = currentSeat.get();
    if (seat == null) {
      return null;
    }
    final ControllerArea area = new ControllerArea(machine.areaAddress());
    final String problem = area.validate(machine.sessionId());
    if (problem != null) {
      throw new SessionException("session " + machine.sessionId() + ": " + problem);
    }
    final ControllerDevice device =
        new ControllerDevice(machine, config(machine), area, seat, now -> volumesOf(machine, now));
    device.queues(seat.queues(parts(machine, area), device));
    return device;
  }

  @Override
  public boolean isUsable(final NvmeDevice device) {
    return device instanceof ControllerDevice ours && ours.seat() == currentSeat.get();
  }

  private SessionParts parts(final NvmeMachine machine, final ControllerArea area) {
    final NvmeDescription nvme = machine.description().nvme();
    return new SessionParts(
        machine.sessionId(),
        area,
        machine.doorbellsAddress(),
        nvme.mappableDoorbells(),
        nvme.namespaceCountMax(),
        machine.segment(),
        new DmaMemory(machine.readable(), machine.writable(), machine.isBusMaster()),
        machine.vectorFds(),
        volumesOf(machine, machine.description()));
  }

  private static ControllerConfig config(final NvmeMachine machine) {
    final NvmeDescription nvme = machine.description().nvme();
    return new ControllerConfig(
        nvme.subsystemNqn(),
        nvme.serialNumber(),
        nvme.modelNumber(),
        nvme.controllerId(),
        NvmeMachine.PCI_VENDOR_ID,
        NvmeMachine.PCI_VENDOR_ID,
        Math.min(nvme.ioQueueCountMax(), ControllerConfig.QUEUE_PAIRS_LIMIT),
        Math.min(nvme.queueEntryCountMax(), ControllerConfig.QUEUE_ENTRIES_LIMIT),
        machine.vectorCount(),
        Math.min(nvme.namespaceCountMax(), ControllerConfig.NAMESPACE_ID_LIMIT));
  }

  private List<NamespaceVolume> volumesOf(
      final NvmeMachine machine, final SessionDescription description) {
    final List<NamespaceVolume> found = new ArrayList<>();
    for (final NvmeDescription.Namespace namespace : description.nvme().namespaces()) {
      final Bdev bdev = disks.apply(namespace.bdevId());
      if (bdev == null) {
        throw new SessionException(
            "the bdev of namespace "
                + namespace.nsid()
                + " is not open here: bdev id="
                + namespace.bdevId());
      }
      final BdevDescription disk = bdev.description();
      found.add(
          new NamespaceVolume(
              new Namespace(
                  namespace.nsid(),
                  disk.blockCount(),
                  disk.blockBytes(),
                  disk.readOnly(),
                  idsOf(namespace)),
              bdev,
              machine.segment().diskCounters(namespace.bdevId())));
    }
    return found;
  }

  private static NamespaceIds idsOf(final NvmeDescription.Namespace namespace) {
    try {
      return NamespaceIds.of(namespace.uuid(), namespace.nguid(), namespace.eui64());
    } catch (final IllegalArgumentException e) {
      throw new SessionException("namespace " + namespace.nsid() + ": " + e.getMessage(), e);
    }
  }
}
