package io.virtnvme.slave.control;

import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.slave.nvme.AdminRequest;
import io.virtnvme.slave.nvme.CommandError;
import io.virtnvme.slave.nvme.ControllerArea;
import io.virtnvme.slave.nvme.ControllerConfig;
import io.virtnvme.slave.nvme.DmaMemory;
import io.virtnvme.slave.nvme.DoorbellFault;
import io.virtnvme.slave.nvme.Namespace;
import io.virtnvme.slave.nvme.NamespaceVolume;
import io.virtnvme.slave.nvme.NvmeController;
import io.virtnvme.slave.nvme.QueueEvents;
import io.virtnvme.slave.nvme.SessionQueues;
import io.virtnvme.slave.reactor.SeatQueues;
import io.virtnvme.slave.ring.RingSetup;
import io.virtnvme.slave.session.SessionException;
import io.virtnvme.slave.vfio.NvmeDevice;
import io.virtnvme.slave.vfio.NvmeMachine;
import io.virtnvme.slave.virtqueue.GuestMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * A controller with its queues, as its session drives it. Control thread.
 *
 * <p>Queues may run before the controller does: a reactor starts what was prepared the moment that
 * it owns the seat. What they tell until then is kept.
 */
final class ControllerDevice implements NvmeDevice, QueueEvents {
  private final NvmeMachine machine;
  private final ControllerConfig config;
  private final ControllerArea area;
  private final SeatQueues seat;
  private final Function<SessionDescription, List<NamespaceVolume>> volumesOf;
  private final List<Runnable> early = new ArrayList<>();
  private SessionQueues queues;
  private SessionDescription description;
  private int preparedVersion;
  private NvmeController controller;
  private boolean stopped;

  /**
   * A controller that runs nothing yet; {@link #queues} must follow.
   *
   * @param volumesOf the disks of a session's namespaces
   */
  ControllerDevice(
      final NvmeMachine machine,
      final ControllerConfig config,
      final ControllerArea area,
      final SeatQueues seat,
      final Function<SessionDescription, List<NamespaceVolume>> volumesOf) {
    this.machine = machine;
    this.config = config;
    this.area = area;
    this.seat = seat;
    this.volumesOf = volumesOf;
    this.description = machine.description();
  }

  void queues(final SessionQueues made) {
    queues = made;
  }

  SeatQueues seat() {
    return seat;
  }

  @Override
  public List<? extends RingSetup> prepared() {
    try {
      preparedVersion = area.queueTableVersion();
      return queues.prepared();
    } catch (final IllegalStateException e) {
      throw damaged(e);
    }
  }

  private SessionException damaged(final IllegalStateException e) {
    return new SessionException("session " + machine.sessionId() + ": " + e.getMessage(), e);
  }

  @Override
  public boolean isPreparationCurrent() {
    return area.queueTableVersion() == preparedVersion;
  }

  @Override
  public void resume() {
    final byte[] image;
    try {
      image = area.image();
    } catch (final IllegalStateException e) {
      throw damaged(e);
    }
    controller =
        new NvmeController(
            config,
            shown(volumesOf.apply(description)),
            image,
            queues,
            queues::totals,
            System::currentTimeMillis);
    controller.resume();
    early.forEach(Runnable::run);
    early.clear();
  }

  private static List<Namespace> shown(final List<NamespaceVolume> volumes) {
    return volumes.stream().map(NamespaceVolume::namespace).toList();
  }

  /** Doorbells read zero. */
  @Override
  public long readRegister(final int offset, final int width) {
    return offset < Doorbells.BASE_OFFSET ? controller.readRegister(offset, width) : 0;
  }

  @Override
  public void writeRegister(
      final int offset, final int width, final long value, final Runnable whenDone) {
    controller.writeRegister(offset, width, value, whenDone);
  }

  @Override
  public void reset(final Runnable whenDone) {
    controller.reset(whenDone);
  }

  @Override
  public void update(
      final GuestMemory readable,
      final GuestMemory writable,
      final boolean isBusMaster,
      final int[] vectorFds,
      final Runnable whenDone) {
    // Both now: a later update may begin before this one is over, and it must not be undone then.
    final int[] pendingCount = {2};
    final Runnable whenOneDone =
        () -> {
          pendingCount[0]--;
          if (pendingCount[0] == 0) {
            whenDone.run();
          }
        };
    queues.memory(new DmaMemory(readable, writable, isBusMaster), whenOneDone);
    queues.vectors(vectorFds, whenOneDone);
  }

  /** The queues first: the guest must find a namespace that it hears of, and none that is gone. */
  @Override
  public void namespaces(final SessionDescription now, final Runnable whenDone) {
    final List<NamespaceVolume> volumes = volumesOf.apply(now);
    description = now;
    queues.volumes(volumes, () -> show(shown(volumes), whenDone));
  }

  private void show(final List<Namespace> namespaces, final Runnable whenDone) {
    if (controller == null || stopped) {
      whenDone.run();
    } else {
      controller.namespaces(namespaces, whenDone);
    }
  }

  @Override
  public void fail(final String reason) {
    if (!stopped) {
      hear(() -> controller.fail(reason));
    }
  }

  @Override
  public void stop(final Runnable whenStopped) {
    stopped = true;
    if (controller != null) {
      // An image that it stored behind the stop would be stored to memory that is gone.
      controller.close();
    }
    queues.stopAll(whenStopped);
  }

  private void hear(final Runnable news) {
    if (controller == null) {
      early.add(news);
    } else {
      news.run();
    }
  }

  @Override
  public void onAdminRequest(final AdminRequest request) {
    if (!stopped) {
      hear(() -> controller.execute(request));
    }
  }

  @Override
  public void onDoorbellFault(final DoorbellFault fault) {
    if (!stopped) {
      hear(() -> controller.doorbellFault(fault));
    }
  }

  @Override
  public void onCommandFailed(final CommandError error, final Runnable whenLogged) {
    if (stopped) {
      whenLogged.run();
    } else {
      hear(() -> controller.commandFailed(error, whenLogged));
    }
  }
}
