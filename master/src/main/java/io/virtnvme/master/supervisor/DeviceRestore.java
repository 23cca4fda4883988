package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.relay.DeviceDescription;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.nvme.DeviceHandles;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.NvmeControllerInfo.State;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The NVMe devices after a start: those that slaves of a dead master have are adopted as they run,
 * the others attached again. Conductor thread; stages complete there.
 */
final class DeviceRestore {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceRestore.class);

  /** A master does not wait longer for devices when it starts; they go on to come up. */
  private static final long NS_MAX = TimeUnit.SECONDS.toNanos(10);

  /** A device that slaves of a dead master have. */
  private record Held(DeviceDescription description, DeviceHandles handles) {}

  private final Devices devices;
  private final EventLoop loop;
  private final Bdevs bdevs;
  private final DeviceReports reports;
  private final Map<String, Held> held = new LinkedHashMap<>();

  DeviceRestore(
      final Devices devices, final EventLoop loop, final Bdevs bdevs, final DeviceReports reports) {
    this.devices = devices;
    this.loop = loop;
    this.bdevs = bdevs;
    this.reports = reports;
  }

  /** A slave of a dead master has a device; takes the descriptors over. */
  void onHeld(final DeviceDescription description, final int[] fds) {
    if (held.containsKey(description.name()) || devices.isThere(description.name())) {
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
  CompletableFuture<Void> all(final List<NvmeControllerSpec> specs) {
    final List<CompletableFuture<Void>> begun = new ArrayList<>();
    for (final NvmeControllerSpec spec : specs) {
      final DeviceEntry entry = devices.make(spec);
      final Held mine = held.remove(spec.name());
      begun.add(mine == null ? attachAgain(entry) : adopt(entry, mine));
    }
    for (final Held unrecorded : List.copyOf(held.values())) {
      final DeviceDescription description = unrecorded.description();
      // Its master died before it could write it down. Most devices were the kernel's.
      begun.add(
          adopt(
              devices.make(
                  new NvmeControllerSpec(
                      description.name(), description.address(), true, List.of())),
              unrecorded));
    }
    held.clear();
    final CompletableFuture<Void> enough = new CompletableFuture<>();
    final EventLoop.Timer timer = loop.after(NS_MAX, () -> enough.complete(null));
    return Elsewhere.within(begun, enough, timer);
  }

  private CompletableFuture<Void> adopt(final DeviceEntry entry, final Held mine) {
    final List<String> names = bdevs.ofDevice(entry.name()).stream().map(BdevEntry::name).toList();
    return entry
        .run(() -> entry.driver().adopt(mine.handles(), names))
        .thenCompose(
            done -> {
              reports.become(entry, State.ENABLED, "");
              final DeviceCare care = devices.watch(entry);
              final boolean isWhole =
                  entry.driver().pairs().stream().allMatch(pair -> pair.queue().isGateOpen());
              final CompletableFuture<Void> served =
                  isWhole
                      ? CompletableFuture.completedFuture(null)
                      : care.reset("a master died while it reset the controller");
              care.start();
              return CompletableFuture.allOf(served, serveUnheld(entry));
            })
        .exceptionally(
            failure -> {
              reports.become(
                  entry, State.FAILED, String.valueOf(Elsewhere.cause(failure).getMessage()));
              return null;
            });
  }

  /** Takes the device of a controller that has none; its state says how that ended. */
  CompletableFuture<Void> attachAgain(final DeviceEntry entry) {
    reports.become(entry, State.DISABLED, "");
    return devices
        .bringUp(entry)
        .thenCompose(found -> onAttachedAgain(entry, found))
        .exceptionally(
            failure -> {
              final String problem = String.valueOf(Elsewhere.cause(failure).getMessage());
              LOG.error("NVMe controller {} is not attached: {}", entry.name(), problem);
              reports.become(entry, State.FAILED, problem);
              bdevs.ofDevice(entry.name()).forEach(bdev -> bdev.problem(problem));
              return null;
            });
  }

  /** A bdev that no living slave has: its queue pairs are there. */
  private CompletableFuture<Void> serveUnheld(final DeviceEntry entry) {
    CompletableFuture<Void> told = CompletableFuture.completedFuture(null);
    for (final BdevSpec spec : entry.spec().bdevs()) {
      final BdevEntry bdev = bdevs.bdev(spec.name());
      final DeviceQueueGeometry geometry = geometry(entry, spec.name());
      if (bdev != null && !bdev.isKnown() && geometry != null) {
        told =
            told.thenCompose(
                done -> bdevs.onDevice(bdev, geometry.blockBytes(), geometry.blockCount()));
      }
    }
    return told;
  }

  /** Of the queue pairs of a bdev; null when it has none. */
  private static DeviceQueueGeometry geometry(final DeviceEntry entry, final String bdev) {
    return entry.driver().pairs().stream()
        .filter(pair -> pair.bdev().equals(bdev))
        .map(pair -> pair.queue().geometry())
        .findFirst()
        .orElse(null);
  }

  private CompletableFuture<Void> onAttachedAgain(
      final DeviceEntry entry, final DeviceDriver.Found found) {
    final NvmeControllerSpec spec = entry.spec();
    entry.spec(spec.with(spec.wasKernels() || found.wasKernels(), spec.namespaces()));
    entry.freeWindows(entry.driver().windows());
    reports.become(entry, State.ENABLED, "");
    devices.watch(entry).start();
    devices.shares().tellAll(entry);
    CompletableFuture<Void> told = CompletableFuture.completedFuture(null);
    for (final NvmeControllerSpec.Namespace known : spec.namespaces()) {
      final NvmeControllerSpec.Namespace now = same(known, found.namespaces());
      final String name = spec.bdevName(known.nsid());
      final boolean isServed = now != null && geometry(entry, name) != null;
      told =
          told.thenCompose(
              done -> tell(name, isServed, known.blockSize(), now == null ? 0 : now.numBlocks()));
      for (final NvmeControllerSpec.Part part : spec.parts()) {
        if (part.nsid() == known.nsid()) {
          final BdevSpec bdev = part.bdev();
          // Without queue pairs slaves must not look for any.
          final boolean isThere =
              now != null && part.fits(now) && geometry(entry, bdev.name()) != null;
          told =
              told.thenCompose(
                  done -> tell(bdev.name(), isThere, bdev.blockSize(), bdev.numBlocks()));
        }
      }
    }
    return told;
  }

  private static NvmeControllerSpec.Namespace same(
      final NvmeControllerSpec.Namespace known, final List<NvmeControllerSpec.Namespace> found) {
    return found.stream()
        .filter(other -> other.nsid() == known.nsid())
        .filter(other -> other.uuid().equals(known.uuid()))
        .filter(other -> other.blockSize() == known.blockSize())
        .findFirst()
        .orElse(null);
  }

  private CompletableFuture<Void> tell(
      final String name, final boolean isThere, final int blockBytes, final long blockCount) {
    final BdevEntry bdev = bdevs.bdev(name);
    if (bdev != null && isThere) {
      return bdevs.onDevice(bdev, blockBytes, blockCount);
    }
    if (bdev != null) {
      bdev.problem(
          "its namespace is gone, smaller, or was formatted, or the controller has no queue pairs for"
              + " it: see problems in bdev_nvme_get_controllers; detach controller "
              + bdev.spec().filename()
              + " and attach it again");
    }
    return CompletableFuture.completedFuture(null);
  }
}
