package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.Counter;
import io.virtnvme.ipc.sys.Errno;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;

/**
 * An I/O queue pair as the repair of its device sees it: through its segment, never through the
 * device. Conductor thread.
 */
final class WatchedQueue {
  private final DeviceQueueSegment segment;
  private final BooleanSupplier isServed;

  /** By slot: the place that was seen last. */
  private final long[] places;

  /** By slot: since when. */
  private final long[] sinceNs;

  private long reaped;
  private long mediaErrors;
  private long transportErrors;
  private boolean isOnDevice;
  private boolean isRefused;
  private boolean isKept;
  private Runnable whenGone;

  /** {@code isServed}: whether a slave may be beyond the gate. */
  WatchedQueue(final DeviceQueueSegment segment, final BooleanSupplier isServed) {
    this.segment = segment;
    this.isServed = isServed;
    places = new long[segment.geometry().slotCount()];
    sinceNs = new long[places.length];
    mediaErrors = segment.counter(Counter.MEDIA_ERRORS);
    transportErrors = segment.counter(Counter.RETRIES);
  }

  DeviceQueueSegment segment() {
    return segment;
  }

  int queueId() {
    return segment.geometry().queueId();
  }

  /** Shuts the gate; whether no slave touches it from now on until the gate opens. */
  boolean shut() {
    segment.shutGate();
    // The order matters: a successor that starts now finds a gate that is shut.
    return segment.isShutAndSeen() || !isServed();
  }

  /** Whether a slave may be beyond the gate. */
  boolean isServed() {
    return isServed.getAsBoolean();
  }

  /** Whether the controller has it. */
  boolean isOnDevice() {
    return isOnDevice;
  }

  /** Whether the controller did not want it; only another reset changes that. */
  boolean isRefused() {
    return isRefused;
  }

  /** It should go, and this is called then; null as long as it should not. */
  Runnable whenGone() {
    return whenGone;
  }

  void leave(final Runnable newWhenGone) {
    whenGone = newWhenGone;
    segment.shutGate();
  }

  /** Whether it should be created now. */
  boolean isWanted() {
    return !isOnDevice && !isRefused && whenGone == null && shut();
  }

  /** Where the controller is to find it. */
  QueuePairAddress address() {
    final DeviceQueueGeometry geometry = segment.geometry();
    return new QueuePairAddress(
        geometry.queueId(), geometry.entryCount(), segment.sqIova(), segment.cqIova());
  }

  void onAdopted(final long nowNs) {
    isOnDevice = true;
    forgetTimes(nowNs);
  }

  void onCreated(final long nowNs) {
    onAdopted(nowNs);
    segment.openGate(true);
  }

  /** Lets the slave go on where it stopped, if nothing has happened to the queues. */
  void openAgain() {
    if (isOnDevice && whenGone == null) {
      segment.openGate(false);
    }
  }

  /**
   * Checks that the controller has the namespace as it was.
   *
   * @throws NvmeDeviceException when it has not
   */
  void requireNamespace(final List<NamespaceIdentity> namespaces) {
    final DeviceQueueGeometry geometry = segment.geometry();
    for (final NamespaceIdentity namespace : namespaces) {
      if (namespace.id() == geometry.namespaceId()
          && namespace.blockBytes() == geometry.blockBytes()
          && namespace.blockCount() >= geometry.firstBlock() + geometry.blockCount()) {
        return;
      }
    }
    throw new NvmeDeviceException(
        Errno.EIO,
        "namespace "
            + Integer.toUnsignedString(geometry.namespaceId())
            + " is not what it was: blocks of "
            + geometry.blockBytes()
            + " bytes, "
            + geometry.blockCount()
            + " of them; detach the controller and look at it");
  }

  /** Whether the controller did not give it up; only a reset changes that. */
  boolean isKept() {
    return isKept;
  }

  void onKept() {
    isKept = true;
  }

  void onRefused() {
    isRefused = true;
  }

  /** The controller was reset, or is about to be: it has no queues. */
  void onReset() {
    isOnDevice = false;
    isRefused = false;
    isKept = false;
  }

  private void forgetTimes(final long nowNs) {
    Arrays.fill(places, 0);
    Arrays.fill(sinceNs, nowNs);
  }

  /**
   * Looks at all slots.
   *
   * @param limitNs how long a command may take
   * @return the slot of the first command that takes longer; -1 when there is none
   */
  int hungSlot(final long nowNs, final long limitNs) {
    if (!isOnDevice || !isServed() || isSlaveLate()) {
      forgetTimes(nowNs);
      return -1;
    }
    int hung = -1;
    for (int slot = 0; slot < places.length; slot++) {
      final long place = segment.place(slot);
      if (place <= 0 || place != places[slot]) {
        places[slot] = place;
        sinceNs[slot] = nowNs;
      } else if (hung < 0 && nowNs - sinceNs[slot] > limitNs) {
        hung = slot;
      }
    }
    return hung;
  }

  /** Whether completions wait and none was taken since the last look: not the device's fault. */
  private boolean isSlaveLate() {
    final long before = reaped;
    reaped = segment.reapedCount();
    return reaped == before && segment.isCompletionWaiting();
  }

  /** The commands that {@link #hungSlot} has found, as slots. */
  int[] hungSlots(final long nowNs, final long limitNs) {
    final int[] slots = new int[places.length];
    int count = 0;
    for (int slot = 0; slot < places.length; slot++) {
      if (places[slot] > 0 && nowNs - sinceNs[slot] > limitNs) {
        slots[count++] = slot;
      }
    }
    return Arrays.copyOf(slots, count);
  }

  /** How long a slot has had its place. */
  long ageNs(final int slot, final long nowNs) {
    return nowNs - sinceNs[slot];
  }

  /** Media errors since the last time that this was asked. */
  long takeMediaErrors() {
    final long now = segment.counter(Counter.MEDIA_ERRORS);
    final long more = Math.max(0, now - mediaErrors);
    mediaErrors = now;
    return more;
  }

  /** Errors of transport or controller since the last time that this was asked. */
  long takeTransportErrors() {
    final long now = segment.counter(Counter.RETRIES);
    final long more = Math.max(0, now - transportErrors);
    transportErrors = now;
    return more;
  }
}
