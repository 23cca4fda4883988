package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.master.nvme.ControllerState;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevMigration;
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
import java.util.stream.Stream;

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

  /** Whether a bdev is used by its parts, or by what is left of them. */
  boolean isSplit(final String bdev) {
    return entries.stream().anyMatch(entry -> !partsOf(entry, bdev).isEmpty())
        || leaving.stream().anyMatch(part -> isPart(part, bdev));
  }

  private static boolean isPart(final String part, final String base) {
    final int numberAt = base.length() + 1;
    return part.length() > numberAt
        && part.startsWith(base + "p")
        && part.chars().skip(numberAt).allMatch(digit -> digit >= '0' && digit <= '9');
  }

  /**
   * Names of the parts of a bdev. A master that died before it wrote a split down leaves parts that
   * only slaves know of: they overlap their base all the same.
   */
  private List<String> partsOf(final DeviceEntry entry, final String base) {
    if (entry.spec().namespace(base) == null) {
      return List.of();
    }
    final NvmeControllerSpec.Split split = entry.spec().split(base);
    final Stream<String> known =
        split == null
            ? Stream.empty()
            : entry.spec().parts(split).stream().map(part -> part.bdev().name());
    final Stream<String> held =
        bdevs.ofDevice(entry.name()).stream()
            .map(BdevEntry::name)
            .filter(name -> isPart(name, base));
    return Stream.concat(known, held).distinct().toList();
  }

  /** Refuses a bdev that only its parts may be used of. */
  void requireWhole(final String bdev) {
    if (isSplit(bdev)) {
      throw new RpcException(
          RpcException.EBUSY,
          "bdev "
              + bdev
              + " is split, or its parts are still being deleted: use its parts, or delete them with"
              + " bdev_split_delete");
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
    if (entry.driver().device() == null || entry.state() != State.ENABLED) {
      throw new RpcException(
          RpcException.EBUSY, "controller " + entry.name() + " is " + entry.state().label());
    }
    requireCommands(entry);
    final NvmeControllerSpec.Split split = split(entry, bdevs.require(base, null), count, sizeMib);
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
    final BdevEntry entry = bdevs.bdev(bdev);
    if (entry != null
        && (entry.spec().migration().state() != BdevMigration.State.NONE
            || !entry.hold().equals(BdevHold.NONE))) {
      throw new RpcException(
          RpcException.EBUSY,
          "bdev "
              + bdev
              + " is held, or on its way between two hosts: end that with virtnvme_bdev_release or"
              + " virtnvme_bdev_set_migration first");
    }
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
      final DeviceEntry entry, final BdevEntry base, final int count, final long sizeMib) {
    if (!base.problem().isEmpty()) {
      throw new RpcException(
          RpcException.EIO, "bdev " + base.name() + " is not served: " + base.problem());
    }
    final NvmeControllerSpec.Namespace namespace = entry.spec().namespace(base.name());
    // What it is now: the record is of when it was found first.
    final long baseBlocks = base.description().blockCount();
    if (base.description().blockBytes() != namespace.blockSize()) {
      throw new RpcException(
          RpcException.EIO,
          "bdev "
              + base.name()
              + " has blocks of "
              + base.description().blockBytes()
              + " bytes, not of "
              + namespace.blockSize()
              + " as before; detach its controller and attach it again");
    }
    final long blocksPerMib = MIB / namespace.blockSize();
    final long numBlocks = sizeMib == 0 ? baseBlocks / count : sizeMib * blocksPerMib;
    if (numBlocks == 0 || numBlocks > baseBlocks / count) {
      throw new RpcException(
          RpcException.EINVAL,
          "bdev "
              + base.name()
              + " has "
              + baseBlocks
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
    final List<String> parts = partsOf(entry, base);
    if (parts.isEmpty()) {
      throw new RpcException(RpcException.ENOENT, "bdev " + base + " is not split");
    }
    parts.forEach(this::requireUnused);
    requireCommands(entry);
    final NvmeControllerSpec.Split split = entry.spec().split(base);
    CompletableFuture<Void> deleted = CompletableFuture.completedFuture(null);
    for (final String part : parts) {
      final BdevEntry bdev = bdevs.bdev(part);
      if (bdev != null) {
        deleted = deleted.thenCompose(done -> bdevs.delete(bdev));
      }
    }
    return deleted.thenApply(
        done -> {
          if (split != null) {
            entry.spec(entry.spec().without(split));
          }
          leaving.addAll(parts);
          touch.run();
          return new Departure(
              letGo(entry, parts)
                  .whenComplete(
                      (gone, failure) -> {
                        leaving.removeAll(parts);
                        touch.run();
                      }));
        });
  }

  /**
   * Queue pairs are made and deleted by the controller, so it must take commands; without a device
   * there are none. One that has failed may still execute what is in them.
   */
  private static void requireCommands(final DeviceEntry entry) {
    final NvmeDevice device = entry.driver().device();
    final boolean isReady =
        device == null
            ? entry.state() == State.FAILED
            : entry.care() != null
                && entry.care().isWatching()
                && device.state() == ControllerState.READY;
    if (!isReady) {
      throw new RpcException(
          RpcException.EBUSY,
          "controller "
              + entry.name()
              + " takes no commands: "
              + entry.state().label()
              + (device == null ? "" : ", " + device.state().label())
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
