package io.virtnvme.master.supervisor;

import io.virtnvme.master.nvme.ControllerState;
import io.virtnvme.master.nvme.RepairState;
import io.virtnvme.master.nvme.Trouble;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.rpc.NvmeControllerInfo.State;
import java.util.function.BiConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the operator is told of the NVMe devices, and the state that the lists show. Conductor. */
final class DeviceReports {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceReports.class);

  private final MasterCounters counters;
  private final BiConsumer<String, String> events;
  private final Runnable touch;

  /**
   * Nothing was told yet.
   *
   * @param events takes what belongs into the history: type and a sentence
   * @param touch called when the lists have changed
   */
  DeviceReports(
      final MasterCounters counters,
      final BiConsumer<String, String> events,
      final Runnable touch) {
    this.counters = counters;
    this.events = events;
    this.touch = touch;
  }

  /** The lists have changed. */
  void touch() {
    touch.run();
  }

  /** The driver took a step. */
  void onState(
      final String name,
      final ControllerState before,
      final ControllerState now,
      final String reason) {
    LOG.info(
        "NVMe controller {}: {} -> {}{}",
        name,
        before.label(),
        now.label(),
        reason.isEmpty() ? "" : ": " + reason);
    touch.run();
  }

  /**
   * A controller is in another state.
   *
   * @param why a sentence, or an empty string
   */
  void become(final DeviceEntry entry, final State state, final String why) {
    entry.state(state, why);
    record(entry, "nvme_" + state.label(), why);
    touch.run();
  }

  /** Something that changes no state. */
  void record(final DeviceEntry entry, final String type, final String text) {
    events.accept(type, entry.name() + " " + entry.spec().address() + " " + text);
  }

  /** Tells of the repair of a device. */
  DeviceCare.Listener of(final DeviceEntry entry) {
    return new OfCare(entry);
  }

  private final class OfCare implements DeviceCare.Listener {
    private final DeviceEntry entry;

    OfCare(final DeviceEntry entry) {
      this.entry = entry;
    }

    @Override
    public void onRepair(
        final RepairState before,
        final RepairState now,
        final Trouble trouble,
        final String reason) {
      if (now == RepairState.RESETTING) {
        counters.increment(MasterCounter.DEVICE_RESETS);
      }
      if (now == RepairState.FAILED || now == RepairState.GONE) {
        LOG.error("NVMe controller {} is {}: {}", entry.name(), now.label(), reason);
      }
      record(entry, "nvme_" + now.label(), trouble.label() + ": " + reason);
      entry.state(entry.care().state(), now == RepairState.WATCHING ? "" : reason);
      touch.run();
    }

    @Override
    public void onNote(final Trouble trouble, final String sentence) {
      LOG.warn("NVMe controller {}: {}: {}", entry.name(), trouble.label(), sentence);
      record(entry, "nvme_note", trouble.label() + ": " + sentence);
      touch.run();
    }

    @Override
    public void onQueue(final String bdev, final String problem) {
      if (!problem.isEmpty()) {
        LOG.error("NVMe controller {}: bdev {}: {}", entry.name(), bdev, problem);
        record(entry, "nvme_refused", bdev + ": " + problem);
      }
      entry.state(entry.care().state(), entry.care().problem());
      touch.run();
    }
  }
}
