package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.DeviceDescription;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.master.nvme.DeviceHandles;
import io.virtnvme.master.relay.EventLoop;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What slaves have of the NVMe devices: descriptors, and a range of I/O addresses each for the
 * guests that they serve. Conductor thread.
 */
final class DeviceShares {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceShares.class);
  private static final long PAST_POLL_NS = TimeUnit.MILLISECONDS.toNanos(200);

  private final EventLoop loop;
  private final Slaves slaves;
  private final Collection<DeviceEntry> entries;

  /** {@code entries} is the caller's: it changes. */
  DeviceShares(final EventLoop loop, final Slaves slaves, final Collection<DeviceEntry> entries) {
    this.loop = loop;
    this.slaves = slaves;
    this.entries = entries;
  }

  /** Tells a slave of every device, before it is told of bdevs. */
  void tell(final Slave slave) {
    entries.forEach(entry -> tell(slave, entry));
  }

  /** Tells every slave of a device. */
  void tellAll(final DeviceEntry entry) {
    slaves.reachable().forEach(slave -> tell(slave, entry));
  }

  private void tell(final Slave slave, final DeviceEntry entry) {
    slaves.tell(
        slave,
        channel -> {
          if (!entry.isReachable()) {
            return false;
          }
          final DeviceHandles handles = entry.driver().handles();
          final long window = entry.windowOf(slave);
          final boolean hasWindow = window != DeviceEntry.NO_WINDOW;
          final var writer = channel.begin(RelayMessageType.DEVICE_ATTACH, 0, 0);
          new DeviceDescription(
                  entry.name(),
                  entry.spec().address(),
                  handles.doorbellsOffset(),
                  handles.doorbellsBytes(),
                  handles.strideBytes(),
                  hasWindow ? window : 0,
                  hasWindow ? DeviceDriver.WINDOW_BYTES : 0)
              .write(writer);
          writer.putFd(handles.containerFd()).putFd(handles.deviceFd());
          return true;
        });
  }

  /**
   * A slave is dead. Its mappings stay until the device has ended what it may still use them for.
   */
  void onDead(final Slave slave) {
    for (final DeviceEntry entry : entries) {
      final long window = entry.takeWindow(slave);
      if (window != DeviceEntry.NO_WINDOW) {
        then(
            entry.ask(entry.driver()::marks),
            (marks, failure) -> {
              if (failure == null) {
                clearWhenPast(entry, window, marks);
              }
            });
      }
    }
  }

  private void clearWhenPast(
      final DeviceEntry entry, final long window, final List<DeviceQueues.Mark> marks) {
    then(
        entry.ask(() -> entry.driver().clearIfPast(window, marks)),
        (isPast, failure) -> {
          if (failure != null) {
            // Detached meanwhile, or the kernel refuses: the addresses are not used again.
            LOG.warn(
                "I/O addresses of controller {} stay in use: {}",
                entry.name(),
                Elsewhere.cause(failure).getMessage());
          } else if (isPast) {
            entry.freeWindow(window);
          } else {
            loop.after(PAST_POLL_NS, () -> clearWhenPast(entry, window, marks));
          }
        });
  }

  /** What follows when nobody waits for the end. */
  private static <T> void then(
      final CompletionStage<T> stage, final BiConsumer<T, Throwable> follower) {
    stage.whenComplete(follower);
  }
}
