package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.DeviceDescription;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.nvme.ControllerState;
import io.virtnvme.master.nvme.DeviceHandles;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.nvme.RepairOptions;
import io.virtnvme.master.nvme.RepairState;
import io.virtnvme.master.nvme.Trouble;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.NvmeControllerInfo.State;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.RpcException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The NVMe devices that the master has: who has them, what bdevs they have, and that nobody drives
 * a queue while its controller is reset. Conductor thread; what waits for a device is done by its
 * {@link DeviceDriver}. Stages complete on the conductor.
 */
final class Devices {
  private static final Logger LOG = LoggerFactory.getLogger(Devices.class);

  /** A master does not wait longer for devices when it starts; they go on to come up. */
  private static final long RESTORE_NS_MAX = TimeUnit.SECONDS.toNanos(10);

  private static final long PAST_POLL_NS = TimeUnit.MILLISECONDS.toNanos(200);

  private static final long CLOSE_NS_MAX = TimeUnit.SECONDS.toNanos(20);

  /** A device that slaves of a dead master have. */
  private record Held(DeviceDescription description, DeviceHandles handles) {}

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final MasterCounters counters;
  private final Slaves slaves;
  private final Seats seats;
  private final Bdevs bdevs;
  private final Predicate<String> isClaimed;
  private final BiConsumer<String, String> events;
  private final Runnable touch;
  private final Map<String, DeviceEntry> byName = new LinkedHashMap<>();
  private final Map<String, Held> held = new LinkedHashMap<>();

  /**
   * None yet.
   *
   * @param isClaimed whether a bdev of this name is in use
   * @param events takes what belongs into the history: type and a sentence
   * @param touch called when the lists have changed
   */
  Devices(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final Slaves slaves,
      final Seats seats,
      final Bdevs bdevs,
      final Predicate<String> isClaimed,
      final BiConsumer<String, String> events,
      final Runnable touch) {
    this.config = config;
    this.loop = loop;
    this.counters = counters;
    this.slaves = slaves;
    this.seats = seats;
    this.bdevs = bdevs;
    this.isClaimed = isClaimed;
    this.events = events;
    this.touch = touch;
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

  private <T> CompletableFuture<T> onDevice(final DeviceEntry entry, final Supplier<T> work) {
    return Elsewhere.run(entry.driver().thread(), loop, work);
  }

  private CompletableFuture<Void> doOnDevice(final DeviceEntry entry, final Runnable work) {
    return onDevice(
        entry,
        () -> {
          work.run();
          return null;
        });
  }

  /** What follows when nobody waits for the end. */
  private static <T> void then(
      final CompletionStage<T> stage, final BiConsumer<T, Throwable> follower) {
    stage.whenComplete(follower);
  }

  private DeviceEntry make(final NvmeControllerSpec spec) {
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
                (before, now, reason) ->
                    loop.execute(() -> onState(spec.name(), before, now, reason))));
    byName.put(spec.name(), entry);
    return entry;
  }

  private void onState(
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

  private void become(final DeviceEntry entry, final State state, final String why) {
    entry.state(state, why);
    events.accept("nvme_" + state.label(), entry.name() + " " + entry.spec().address() + " " + why);
    touch.run();
  }

  /** Has the device of this controller watched, and repaired; its caller starts that. */
  private DeviceCare watch(final DeviceEntry entry) {
    final DeviceDriver driver = entry.driver();
    final DeviceCare care =
        new DeviceCare(
            driver.device(),
            driver.thread(),
            driver.pairs(),
            RepairOptions.DEFAULT,
            loop,
            new BdevSlaves(),
            new CareEvents(entry));
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

  /** What the operator is told of a device's repair. */
  private final class CareEvents implements DeviceCare.Listener {
    private final DeviceEntry entry;

    CareEvents(final DeviceEntry entry) {
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
      record("nvme_" + now.label(), trouble.label() + ": " + reason);
      entry.state(entry.care().state(), now == RepairState.WATCHING ? "" : reason);
      touch.run();
    }

    @Override
    public void onNote(final Trouble trouble, final String sentence) {
      LOG.warn("NVMe controller {}: {}: {}", entry.name(), trouble.label(), sentence);
      record("nvme_note", trouble.label() + ": " + sentence);
      touch.run();
    }

    @Override
    public void onQueue(final String bdev, final String problem) {
      if (!problem.isEmpty()) {
        LOG.error("NVMe controller {}: bdev {}: {}", entry.name(), bdev, problem);
        record("nvme_refused", bdev + ": " + problem);
      }
      entry.state(entry.care().state(), entry.care().problem());
      touch.run();
    }

    private void record(final String type, final String text) {
      events.accept(type, entry.name() + " " + entry.spec().address() + " " + text);
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
    return onDevice(entry, entry.driver()::attach);
  }

  /** Makes the bdevs of a device that is up. */
  CompletableFuture<NvmeControllerInfo> finish(
      final DeviceEntry entry, final DeviceDriver.Found found) {
    entry.spec(entry.spec().with(found.wasKernels(), found.namespaces()));
    entry.spec().bdevs().forEach(bdevs::requireFree);
    entry.freeWindows(entry.driver().windows());
    become(entry, State.ENABLED, "");
    watch(entry).start();
    slaves.reachable().forEach(slave -> tell(slave, entry));
    CompletableFuture<Void> added = CompletableFuture.completedFuture(null);
    for (final BdevSpec bdev : entry.spec().bdevs()) {
      added = added.thenCompose(done -> bdevs.add(bdev));
    }
    return added.thenApply(done -> entry.info());
  }

  /** Forgets a controller that could not be attached, and gives back what there is of it; slow. */
  CompletableFuture<Void> giveUp(final DeviceEntry entry) {
    entry.endCare();
    return doOnDevice(entry, () -> entry.driver().detach(entry.spec().wasKernels()))
        .thenAccept(done -> forget(entry));
  }

  private void forget(final DeviceEntry entry) {
    byName.remove(entry.name(), entry);
    touch.run();
  }

  /** Tells a slave of every device, before it is told of bdevs. */
  void tell(final Slave slave) {
    byName.values().forEach(entry -> tell(slave, entry));
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
    for (final DeviceEntry entry : byName.values()) {
      final long window = entry.takeWindow(slave);
      if (window != DeviceEntry.NO_WINDOW) {
        then(
            onDevice(entry, entry.driver()::marks),
            (marks, failure) -> {
              if (failure == null) {
                clearWhenPast(entry, window, marks);
              }
            });
      }
    }
  }

  private void clearWhenPast(final DeviceEntry entry, final long window, final long[] marks) {
    then(
        onDevice(entry, () -> entry.driver().clearIfPast(window, marks)),
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

  // Detaching.

  /** Takes the bdevs away and has every slave let go of the device. */
  CompletableFuture<DeviceEntry> beginDetach(final String name) {
    final DeviceEntry entry = require(name);
    requireAtRest(entry);
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
    become(entry, State.DELETING, "");
    CompletableFuture<Void> removed = CompletableFuture.completedFuture(null);
    for (final BdevEntry bdev : own) {
      removed = removed.thenCompose(done -> bdevs.delete(bdev));
    }
    return removed
        .thenCompose(done -> bdevs.releaseDevice(name))
        .whenComplete(
            (done, failure) -> {
              if (failure != null) {
                become(entry, State.FAILED, String.valueOf(Elsewhere.cause(failure).getMessage()));
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
      return attachAgain(entry)
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
    return onDevice(entry, () -> entry.driver().ask(question));
  }

  // After a master's death.

  /** A slave of a dead master has a device; takes the descriptors over. */
  void onHeld(final DeviceDescription description, final int[] fds) {
    if (held.containsKey(description.name()) || byName.containsKey(description.name())) {
      for (final int fd : fds) {
        Fds.close(fd);
      }
      return;
    }
    held.put(
        description.name(),
        new Held(
            description,
            new DeviceHandles(
                fds[0],
                fds[1],
                description.doorbellsOffset(),
                description.doorbellsBytes(),
                description.strideBytes())));
  }

  /**
   * Brings back what the registry says should be attached: what slaves hold is adopted as it runs,
   * the rest is attached again. Never fails, and does not wait long.
   */
  CompletableFuture<Void> restore(final List<NvmeControllerSpec> specs) {
    final List<CompletableFuture<Void>> all = new ArrayList<>();
    for (final NvmeControllerSpec spec : specs) {
      final DeviceEntry entry = make(spec);
      final Held mine = held.remove(spec.name());
      all.add(mine == null ? attachAgain(entry) : adopt(entry, mine));
    }
    for (final Held unrecorded : List.copyOf(held.values())) {
      final DeviceDescription description = unrecorded.description();
      // Its master died before it could write it down. Most devices were the kernel's.
      all.add(
          adopt(
              make(
                  new NvmeControllerSpec(
                      description.name(), description.address(), true, List.of())),
              unrecorded));
    }
    held.clear();
    final CompletableFuture<Void> done =
        CompletableFuture.allOf(all.toArray(new CompletableFuture<?>[0]));
    final CompletableFuture<Void> enough = new CompletableFuture<>();
    final EventLoop.Timer timer = loop.after(RESTORE_NS_MAX, () -> enough.complete(null));
    then(
        done,
        (nothing, failure) -> {
          timer.cancel();
          enough.complete(null);
        });
    return enough;
  }

  private CompletableFuture<Void> adopt(final DeviceEntry entry, final Held mine) {
    final List<String> names = bdevs.ofDevice(entry.name()).stream().map(BdevEntry::name).toList();
    return doOnDevice(entry, () -> entry.driver().adopt(mine.handles(), names))
        .thenCompose(
            done -> {
              become(entry, State.ENABLED, "");
              final DeviceCare care = watch(entry);
              final boolean isWhole =
                  entry.driver().pairs().stream().allMatch(pair -> pair.queue().isGateOpen());
              final CompletableFuture<Void> served =
                  isWhole
                      ? CompletableFuture.completedFuture(null)
                      : care.reset("a master died while it reset the controller");
              care.start();
              return served;
            })
        .exceptionally(
            failure -> {
              become(entry, State.FAILED, String.valueOf(Elsewhere.cause(failure).getMessage()));
              return null;
            });
  }

  private CompletableFuture<Void> attachAgain(final DeviceEntry entry) {
    become(entry, State.DISABLED, "");
    return bringUp(entry)
        .thenCompose(found -> onAttachedAgain(entry, found))
        .exceptionally(
            failure -> {
              final String problem = String.valueOf(Elsewhere.cause(failure).getMessage());
              LOG.error("NVMe controller {} is not attached: {}", entry.name(), problem);
              become(entry, State.FAILED, problem);
              bdevs.ofDevice(entry.name()).forEach(bdev -> bdev.problem(problem));
              return null;
            });
  }

  private CompletableFuture<Void> onAttachedAgain(
      final DeviceEntry entry, final DeviceDriver.Found found) {
    final NvmeControllerSpec spec = entry.spec();
    entry.spec(spec.with(spec.wasKernels() || found.wasKernels(), spec.namespaces()));
    entry.freeWindows(entry.driver().windows());
    become(entry, State.ENABLED, "");
    watch(entry).start();
    slaves.reachable().forEach(slave -> tell(slave, entry));
    CompletableFuture<Void> told = CompletableFuture.completedFuture(null);
    for (final NvmeControllerSpec.Namespace known : spec.namespaces()) {
      final BdevEntry bdev = bdevs.bdev(spec.bdevName(known.nsid()));
      final NvmeControllerSpec.Namespace now =
          found.namespaces().stream()
              .filter(other -> other.nsid() == known.nsid())
              .filter(other -> other.uuid().equals(known.uuid()))
              .filter(other -> other.blockSize() == known.blockSize())
              .findFirst()
              .orElse(null);
      if (bdev != null && now != null) {
        told = told.thenCompose(done -> bdevs.onDevice(bdev, now.blockSize(), now.numBlocks()));
      } else if (bdev != null) {
        bdev.problem(
            "its namespace is gone or was formatted; detach controller "
                + entry.name()
                + " and attach it again");
      }
    }
    return told;
  }

  // The end.

  /** Gives every device back; all slaves are dead. Completes in bounded time. */
  CompletableFuture<Void> close() {
    final CompletableFuture<Void> enough = new CompletableFuture<>();
    final List<CompletableFuture<Void>> all = new ArrayList<>();
    for (final DeviceEntry entry : byName.values()) {
      entry.endCare();
      all.add(doOnDevice(entry, () -> entry.driver().detach(entry.spec().wasKernels())));
    }
    final EventLoop.Timer timer =
        loop.after(
            CLOSE_NS_MAX,
            () -> {
              LOG.error("NVMe devices were not all given back in time");
              enough.complete(null);
            });
    then(
        CompletableFuture.allOf(all.toArray(new CompletableFuture<?>[0])),
        (done, failure) -> {
          timer.cancel();
          enough.complete(null);
        });
    return enough;
  }

  /** Leaves every device to the slaves and to the next master. */
  void leave() {
    for (final DeviceEntry entry : byName.values()) {
      entry.endCare();
      entry.driver().thread().execute(entry.driver()::leave);
    }
  }
}
