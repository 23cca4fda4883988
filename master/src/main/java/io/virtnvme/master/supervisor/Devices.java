package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.queue.InjectedErrors;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.NvmeControllerInfo.State;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.NvmeErrorRule;
import io.virtnvme.master.rpc.NvmeSettings;
import io.virtnvme.master.rpc.RpcException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The NVMe devices that the master has: who has them, what bdevs they have, and that nobody drives
 * a queue while its controller is reset. Conductor thread; what waits for a device is done by its
 * {@link DeviceDriver}. Stages complete on the conductor.
 */
final class Devices {
  private static final Logger LOG = LoggerFactory.getLogger(Devices.class);

  private static final long CLOSE_NS_MAX = TimeUnit.SECONDS.toNanos(20);

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final Seats seats;
  private final Bdevs bdevs;
  private final Predicate<String> isClaimed;
  private final Map<String, DeviceEntry> byName = new LinkedHashMap<>();
  private final DeviceReports reports;
  private final DeviceShares shares;
  private final DeviceRestore restore;
  private final DeviceSplits splits;
  private NvmeSettings settings = NvmeSettings.DEFAULT;

  /**
   * None yet.
   *
   * @param isClaimed whether a bdev of this name is in use
   * @param reports tells the operator
   */
  Devices(
      final SupervisorConfig config,
      final EventLoop loop,
      final Slaves slaves,
      final Seats seats,
      final Bdevs bdevs,
      final Predicate<String> isClaimed,
      final DeviceReports reports) {
    this.config = config;
    this.loop = loop;
    this.seats = seats;
    this.bdevs = bdevs;
    this.isClaimed = isClaimed;
    this.reports = reports;
    shares = new DeviceShares(loop, slaves, byName.values());
    restore = new DeviceRestore(this, loop, bdevs, reports);
    splits = new DeviceSplits(byName.values(), bdevs, isClaimed, reports::touch);
  }

  /** What slaves have of the devices. */
  DeviceShares shares() {
    return shares;
  }

  /** What is brought back of them after a start. */
  DeviceRestore restore() {
    return restore;
  }

  /** Those whose blocks are several bdevs. */
  DeviceSplits splits() {
    return splits;
  }

  NvmeSettings settings() {
    return settings;
  }

  /** What holds from now on, also for the controllers that there are. */
  void settings(final NvmeSettings newSettings) {
    settings = newSettings;
    for (final DeviceEntry entry : byName.values()) {
      if (entry.care() != null) {
        entry.care().options(settings.repairOptions());
        entry.care().retries(settings.retryCount());
      }
      entry.begin(() -> entry.driver().adminNsMax(newSettings.adminNsMax()));
    }
  }

  boolean isThere(final String name) {
    return byName.containsKey(name);
  }

  List<NvmeControllerInfo> infos() {
    return byName.values().stream().map(DeviceEntry::info).toList();
  }

  private DeviceEntry require(final String name) {
    final DeviceEntry entry = byName.get(name);
    if (entry == null) {
      throw new RpcException(
          RpcException.ENODEV,
          "there is no NVMe controller "
              + name
              + "; bdev_nvme_get_controllers lists those there are");
    }
    return entry;
  }

  /** A controller that is listed from now on; nothing is touched. */
  DeviceEntry make(final NvmeControllerSpec spec) {
    final int reactorCount =
        seats.all().stream().mapToInt(seat -> seat.segment().reactorCount()).max().orElse(1);
    final DeviceEntry entry =
        new DeviceEntry(
            spec,
            new DeviceDriver(
                spec,
                config.hostPaths(),
                config.segments(),
                reactorCount,
                settings.adminNsMax(),
                (before, now, reason) ->
                    loop.execute(() -> reports.onState(spec.name(), before, now, reason))),
            loop);
    byName.put(spec.name(), entry);
    return entry;
  }

  /** Has the device of this controller watched, and repaired; its caller starts that. */
  DeviceCare watch(final DeviceEntry entry) {
    final DeviceDriver driver = entry.driver();
    final DeviceCare care =
        new DeviceCare(
            driver.device(),
            driver.thread(),
            driver.pairs(),
            settings.repairOptions(),
            loop,
            new BdevSlaves(),
            reports.of(entry));
    care.retries(settings.retryCount());
    entry.care(care);
    return care;
  }

  /** What slaves do with the queue pairs of devices. */
  private final class BdevSlaves implements DeviceCare.SlaveView {
    @Override
    public boolean isOwned(final String bdev) {
      return bdevs.isOwned(bdev);
    }

    @Override
    public CompletableFuture<Void> awaitCycles() {
      return bdevs.awaitCycles();
    }
  }

  // Attaching.

  /** Keeps name and device for a controller that is to be attached. */
  DeviceEntry begin(final NvmeControllerSpec spec) {
    if (byName.containsKey(spec.name())) {
      throw new RpcException(
          RpcException.EEXIST,
          "there is an NVMe controller " + spec.name() + " already; choose another name");
    }
    for (final DeviceEntry other : byName.values()) {
      if (other.spec().address().equals(spec.address())) {
        throw new RpcException(
            RpcException.EEXIST,
            spec.address() + " is attached as controller " + other.name() + " already");
      }
    }
    return make(spec);
  }

  /** Takes the device and brings it up; slow. */
  CompletableFuture<DeviceDriver.Found> bringUp(final DeviceEntry entry) {
    final List<NvmeControllerSpec.Part> parts = entry.spec().parts();
    return entry.ask(() -> entry.driver().attach(parts));
  }

  /** Makes the bdevs of a device that is up. */
  CompletableFuture<NvmeControllerInfo> finish(
      final DeviceEntry entry, final DeviceDriver.Found found) {
    entry.spec(entry.spec().with(found.wasKernels(), found.namespaces()));
    entry.spec().bdevs().forEach(bdevs::requireFree);
    entry.freeWindows(entry.driver().windows());
    reports.become(entry, State.ENABLED, "");
    watch(entry).start();
    shares.tellAll(entry);
    CompletableFuture<Void> added = CompletableFuture.completedFuture(null);
    for (final BdevSpec bdev : entry.spec().bdevs()) {
      added = added.thenCompose(done -> bdevs.add(bdev));
    }
    return added.thenApply(done -> entry.info());
  }

  /** Forgets a controller that could not be attached, and gives back what there is of it; slow. */
  CompletableFuture<Void> giveUp(final DeviceEntry entry) {
    entry.endCare();
    return entry
        .run(() -> entry.driver().detach(entry.spec().wasKernels()))
        .thenAccept(done -> forget(entry));
  }

  private void forget(final DeviceEntry entry) {
    byName.remove(entry.name(), entry);
    reports.touch();
  }

  // Detaching.

  /** Takes the bdevs away and has every slave let go of the device. */
  CompletableFuture<DeviceEntry> beginDetach(final String name) {
    final DeviceEntry entry = require(name);
    if (entry.care() == null || !entry.care().isWaiting()) {
      requireAtRest(entry);
    }
    final List<BdevEntry> own = bdevs.ofDevice(name);
    for (final BdevEntry bdev : own) {
      if (isClaimed.test(bdev.name())) {
        throw new RpcException(
            RpcException.EBUSY,
            "bdev "
                + bdev.name()
                + " of controller "
                + name
                + " is in use: delete the controllers and namespaces that export it first");
      }
    }
    entry.endCare();
    reports.become(entry, State.DELETING, "");
    CompletableFuture<Void> removed = CompletableFuture.completedFuture(null);
    for (final BdevEntry bdev : own) {
      removed = removed.thenCompose(done -> bdevs.delete(bdev));
    }
    return removed
        .thenCompose(done -> bdevs.releaseDevice(name))
        .whenComplete(
            (done, failure) -> {
              if (failure != null) {
                reports.become(
                    entry, State.FAILED, String.valueOf(Elsewhere.cause(failure).getMessage()));
              }
            })
        .thenApply(done -> entry);
  }

  private static void requireAtRest(final DeviceEntry entry) {
    if (entry.state() != State.ENABLED && entry.state() != State.FAILED) {
      throw new RpcException(
          RpcException.EBUSY,
          "controller "
              + entry.name()
              + " is busy: "
              + entry.state().label()
              + "; try again later");
    }
  }

  // Resetting, and what the device is asked.

  /**
   * Resets a controller under its bdevs; one that could not be attached when the master started is
   * tried again.
   */
  CompletableFuture<Void> reset(final String name, final String why) {
    final DeviceEntry entry = require(name);
    requireAtRest(entry);
    if (entry.driver().device() == null) {
      return restore
          .attachAgain(entry)
          .thenCompose(
              done ->
                  entry.state() == State.ENABLED
                      ? CompletableFuture.completedFuture(null)
                      : CompletableFuture.failedFuture(
                          new RpcException(RpcException.EIO, entry.info().reason())));
    }
    if (entry.care() == null) {
      throw new RpcException(
          RpcException.EBUSY,
          "controller " + name + " was to be detached, and still is not; detach it again");
    }
    return entry.care().reset(why);
  }

  /** Asks a device something; slow. */
  <T> CompletableFuture<T> ask(final String name, final Function<NvmeDevice, T> question) {
    final DeviceEntry entry = require(name);
    return entry.ask(() -> entry.driver().ask(question));
  }

  /** Has the next commands on each queue pair of a controller fail. */
  void inject(final String name, final NvmeErrorRule rule) {
    final DeviceEntry entry = requireServed(name);
    final List<DeviceQueueSegment> queues = entry.care().queues();
    // All or none: slaves only use errors up, so that there is room now stays true.
    if (!queues.stream().allMatch(queue -> InjectedErrors.fits(queue.address(), rule.opcode()))) {
      throw new RpcException(
          RpcException.ENOSPC,
          "errors of " + InjectedErrors.ENTRY_COUNT + " opcodes are made up already; remove some");
    }
    for (final DeviceQueueSegment queue : queues) {
      InjectedErrors.add(
          queue.address(), rule.opcode(), rule.isSubmitted(), rule.status(), rule.count());
    }
    reports.record(entry, "nvme_injection", rule.toString());
  }

  /** Commands with this opcode fail no more, unless by themselves. */
  void endInjection(final String name, final int opcode) {
    final DeviceEntry entry = requireServed(name);
    entry.care().queues().forEach(queue -> InjectedErrors.end(queue.address(), opcode));
    reports.record(entry, "nvme_injection", "opcode " + opcode + " no more");
  }

  private DeviceEntry requireServed(final String name) {
    final DeviceEntry entry = require(name);
    if (entry.care() == null) {
      throw new RpcException(
          RpcException.EBUSY, "controller " + name + " is " + entry.state().label());
    }
    return entry;
  }

  // The end.

  /** Gives every device back; all slaves are dead. Completes in bounded time. */
  CompletableFuture<Void> close() {
    final CompletableFuture<Void> enough = new CompletableFuture<>();
    final List<CompletableFuture<Void>> all = new ArrayList<>();
    for (final DeviceEntry entry : byName.values()) {
      entry.endCare();
      all.add(entry.run(() -> entry.driver().detach(entry.spec().wasKernels())));
    }
    final EventLoop.Timer timer =
        loop.after(
            CLOSE_NS_MAX,
            () -> {
              LOG.error("NVMe devices were not all given back in time");
              enough.complete(null);
            });
    return Elsewhere.within(all, enough, timer);
  }

  /** Leaves every device to the slaves and to the next master. */
  void leave() {
    for (final DeviceEntry entry : byName.values()) {
      entry.endCare();
      entry.driver().thread().execute(entry.driver()::leave);
    }
  }
}
