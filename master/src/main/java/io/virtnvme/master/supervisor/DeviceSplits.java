package io.virtnvme.master.supervisor;

import io.virtnvme.master.nvme.ControllerState;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.NvmeControllerInfo.State;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.RpcException;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;

/**
 * Namespaces whose blocks are several bdevs, each with queue pairs of its own. Conductor thread;
 * the caller begins one change at a time.
 */
final class DeviceSplits {
  private static final long MIB = 1 << 20;

  /** Ends when neither slaves nor the device have anything of bdevs that were deleted. */
  record Departure(CompletableFuture<Void> end) {}

  private final Collection<DeviceEntry> entries;
  private final Bdevs bdevs;
  private final Predicate<String> isClaimed;
  private final Runnable touch;

  /** Bdevs that are gone, while slaves or the device may still have their queue pairs. */
  private final Set<String> leaving = new HashSet<>();

  /**
   * None yet.
   *
   * @param entries the caller's: they change
   * @param isClaimed whether a bdev of this name is exported
   */
  DeviceSplits(
      final Collection<DeviceEntry> entries,
      final Bdevs bdevs,
      final Predicate<String> isClaimed,
      final Runnable touch) {
    this.entries = entries;
    this.bdevs = bdevs;
    this.isClaimed = isClaimed;
    this.touch = touch;
  }

  /** Whether a bdev is used by its parts. */
  boolean isSplit(final String bdev) {
    return entries.stream().anyMatch(entry -> entry.spec().split(bdev) != null);
  }

  /** Refuses a bdev that only its parts may be used of. */
  void requireWhole(final String bdev) {
    if (isSplit(bdev)) {
      throw new RpcException(
          RpcException.EBUSY,
          "bdev " + bdev + " is split: use its parts, or delete them with bdev_split_delete");
    }
  }

  private DeviceEntry entryOf(final String base) {
    final BdevEntry bdev = bdevs.require(base, null);
    for (final DeviceEntry entry : entries) {
      if (bdev.spec().kind() == BdevKind.NVME && entry.spec().namespace(base) != null) {
        return entry;
      }
    }
    throw new RpcException(
        RpcException.ENOTSUP,
        "bdev " + base + " is no namespace of an NVMe device, and only those can be split");
  }

  /**
   * Makes bdevs of the blocks of another one.
   *
   * @param sizeMib of each; 0 for as much as fits
   * @return what was made: the part's controller as it is now
   */
  CompletableFuture<NvmeControllerSpec> create(
      final String base, final int count, final long sizeMib) {
    final DeviceEntry entry = entryOf(base);
    requireWhole(base);
    requireUnused(base);
    if (entry.state() != State.ENABLED || entry.care() == null) {
      throw new RpcException(
          RpcException.EBUSY,
          "controller " + entry.name() + " is " + entry.state().label() + "; try again later");
    }
    final NvmeControllerSpec.Split split = split(entry, base, count, sizeMib);
    final NvmeControllerSpec spec = entry.spec().with(split);
    final List<NvmeControllerSpec.Part> parts = spec.parts(split);
    parts.forEach(part -> requireFree(part.bdev()));
    return entry
        .ask(() -> entry.driver().makeParts(parts))
        .thenCompose(
            pairs -> {
              entry.spec(spec);
              pairs.forEach(entry.care()::add);
              return addAll(parts);
            })
        .thenApply(
            done -> {
              touch.run();
              return spec;
            });
  }

  private CompletableFuture<Void> addAll(final List<NvmeControllerSpec.Part> parts) {
    CompletableFuture<Void> added = CompletableFuture.completedFuture(null);
    for (final NvmeControllerSpec.Part part : parts) {
      added = added.thenCompose(done -> bdevs.add(part.bdev()));
    }
    return added;
  }

  private void requireUnused(final String bdev) {
    if (isClaimed.test(bdev)) {
      throw new RpcException(
          RpcException.EBUSY,
          "bdev "
              + bdev
              + " is in use: delete the controllers and namespaces that export it first");
    }
  }

  private void requireFree(final BdevSpec part) {
    bdevs.requireFree(part);
    if (leaving.contains(part.name())) {
      throw new RpcException(
          RpcException.EBUSY, "bdev " + part.name() + " is still being deleted; try again later");
    }
  }

  private static NvmeControllerSpec.Split split(
      final DeviceEntry entry, final String base, final int count, final long sizeMib) {
    final NvmeControllerSpec.Namespace namespace = entry.spec().namespace(base);
    final long blocksPerMib = MIB / namespace.blockSize();
    final long numBlocks = sizeMib == 0 ? namespace.numBlocks() / count : sizeMib * blocksPerMib;
    if (numBlocks == 0 || numBlocks > namespace.numBlocks() / count) {
      throw new RpcException(
          RpcException.EINVAL,
          "bdev "
              + base
              + " has "
              + namespace.numBlocks()
              + " blocks, too few for "
              + count
              + " parts of "
              + Math.max(1, numBlocks));
    }
    return new NvmeControllerSpec.Split(namespace.nsid(), count, sizeMib, numBlocks);
  }

  /** Makes a namespace whole again; ends when the parts are bdevs no more. */
  CompletableFuture<Departure> delete(final String base) {
    final DeviceEntry entry = entryOf(base);
    final NvmeControllerSpec.Split split = entry.spec().split(base);
    if (split == null) {
      throw new RpcException(RpcException.ENOENT, "bdev " + base + " is not split");
    }
    final List<String> parts =
        entry.spec().parts(split).stream().map(part -> part.bdev().name()).toList();
    parts.forEach(this::requireUnused);
    requireCommands(entry);
    CompletableFuture<Void> deleted = CompletableFuture.completedFuture(null);
    for (final String part : parts) {
      final BdevEntry bdev = bdevs.bdev(part);
      if (bdev != null) {
        deleted = deleted.thenCompose(done -> bdevs.delete(bdev));
      }
    }
    leaving.addAll(parts);
    return deleted.thenApply(
        done -> {
          entry.spec(entry.spec().without(split));
          touch.run();
          return new Departure(letGo(entry, parts).thenRun(() -> leaving.removeAll(parts)));
        });
  }

  /** Queue pairs are deleted by the controller, so it must take commands; or be given up. */
  private static void requireCommands(final DeviceEntry entry) {
    final NvmeDevice device = entry.driver().device();
    final boolean canDelete =
        device == null
            || (entry.care() != null
                && (device.state() == ControllerState.READY
                    || device.state() == ControllerState.FAILED));
    if (!canDelete) {
      throw new RpcException(
          RpcException.EBUSY,
          "controller "
              + entry.name()
              + " takes no commands: "
              + device.state().label()
              + "; reset it first, or try again later");
    }
  }

  private static CompletableFuture<Void> letGo(final DeviceEntry entry, final List<String> parts) {
    CompletableFuture<Void> gone = CompletableFuture.completedFuture(null);
    final DeviceCare care = entry.care();
    if (care == null) {
      return gone;
    }
    for (final String part : parts) {
      gone = gone.thenCombine(care.remove(part), (one, other) -> null);
    }
    return gone.thenCompose(
        done ->
            entry.care() == care
                ? entry.run(() -> entry.driver().unmake(parts))
                // Being detached: all that is left ends with the device.
                : CompletableFuture.completedFuture(null));
  }
}
