package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.supervisor.SlaveRequests.Answer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The bdevs: made, kept and deleted with the slaves that serve them. Conductor thread; the caller
 * begins one change at a time. Stages complete on the conductor.
 */
final class Bdevs {
  private static final Logger LOG = LoggerFactory.getLogger(Bdevs.class);
  private static final int NAME_BYTES_MAX = 200;

  /** What is behind a bdev again, and whether its changes are marked. */
  private record Restored(BdevFiles.Found found, boolean isMarked) {}

  private final EventLoop loop;
  private final MasterCounters counters;
  private final Executor fileThread;
  private final Seats seats;
  private final BdevFiles files;
  private final SlaveRequests requests;
  private final DirtyTracking tracking;
  private final Map<String, BdevEntry> byName = new LinkedHashMap<>();

  Bdevs(
      final EventLoop loop,
      final MasterCounters counters,
      final Executor fileThread,
      final Seats seats,
      final BdevFiles files,
      final SlaveRequests requests,
      final DirtyTracking tracking) {
    this.loop = loop;
    this.counters = counters;
    this.fileThread = fileThread;
    this.seats = seats;
    this.files = files;
    this.requests = requests;
    this.tracking = tracking;
  }

  Collection<BdevEntry> all() {
    return byName.values();
  }

  /** The bdev, or null. */
  BdevEntry bdev(final String name) {
    return byName.get(name);
  }

  /** The bdev, or null. */
  BdevEntry bdev(final long id) {
    for (final BdevEntry entry : byName.values()) {
      if (entry.id() == id) {
        return entry;
      }
    }
    return null;
  }

  /** The bdev; ENODEV when there is none of that name and kind. */
  BdevEntry require(final String name, final BdevKind kind) {
    final BdevEntry entry = byName.get(name);
    if (entry == null || (kind != null && entry.spec().kind() != kind)) {
      throw new RpcException(
          RpcException.ENODEV,
          "there is no "
              + (kind == null ? "" : kind.name().toLowerCase(java.util.Locale.ROOT) + " ")
              + "bdev "
              + name
              + "; bdev_get_bdevs lists what there is");
    }
    return entry;
  }

  private <T> CompletableFuture<T> onFileThread(final Supplier<T> work) {
    return Elsewhere.run(fileThread, loop, work);
  }

  /** A failure without the wrapping that dependent stages add. */
  static Throwable cause(final Throwable failure) {
    return Elsewhere.cause(failure);
  }

  /** Refuses names that would reach beyond their folder. */
  static void checkName(final String name) {
    if (name.isEmpty()
        || name.startsWith(".")
        || name.indexOf('/') >= 0
        || name.chars().anyMatch(Character::isISOControl)
        || name.getBytes(java.nio.charset.StandardCharsets.UTF_8).length > NAME_BYTES_MAX) {
      throw new RpcException(
          RpcException.EINVAL,
          "the name \""
              + name
              + "\" cannot be used: 1 to "
              + NAME_BYTES_MAX
              + " bytes, no slash, no control character, not starting with a dot");
    }
  }

  CompletableFuture<BdevEntry> create(final BdevSpec spec) {
    checkName(spec.name());
    requireFree(spec);
    for (final BdevEntry other : byName.values()) {
      if (spec.kind() == BdevKind.URING && other.spec().filename().equals(spec.filename())) {
        throw new RpcException(
            RpcException.EBUSY,
            spec.filename() + " is served as bdev " + other.name() + " already; use that one");
      }
    }
    return onFileThread(() -> files.prepare(spec, false))
        .thenCompose(
            found -> {
              final BdevEntry entry = add(spec, found.blockBytes(), found.blockCount());
              return requests
                  .askOwner(entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer))
                  .thenCompose(answer -> onAdded(entry, answer));
            });
  }

  private CompletableFuture<BdevEntry> onAdded(final BdevEntry entry, final Answer answer) {
    if (answer.errno() == 0) {
      requests.tellOthers(entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer));
      return CompletableFuture.completedFuture(entry);
    }
    byName.remove(entry.name());
    requests.tellAll(entry, RelayMessageType.BDEV_REMOVE, writer -> {});
    return onFileThread(
            () -> {
              files.delete(entry);
              return null;
            })
        .thenCompose(deleted -> CompletableFuture.failedFuture(answer.failure()));
  }

  private BdevEntry add(final BdevSpec spec, final int blockBytes, final long blockCount) {
    final BdevEntry entry =
        new BdevEntry(
            spec, BdevEntry.describe(spec, blockBytes, blockCount), leastLoadedSeat(seats.all()));
    byName.put(spec.name(), entry);
    return entry;
  }

  private int leastLoadedSeat(final List<Seat> candidates) {
    int best = candidates.get(0).id();
    long bestCount = Long.MAX_VALUE;
    for (final Seat seat : candidates) {
      final long count = byName.values().stream().filter(b -> b.seat() == seat.id()).count();
      if (count < bestCount) {
        best = seat.id();
        bestCount = count;
      }
    }
    return best;
  }

  /**
   * Adds a bdev of an NVMe device that slaves were told of. One that a slave cannot open stays,
   * with the problem.
   */
  CompletableFuture<Void> add(final BdevSpec spec) {
    final BdevEntry entry = add(spec, spec.blockSize(), spec.numBlocks());
    return requests
        .askOwner(entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer))
        .thenAccept(
            answer -> {
              entry.problem(answer.errno() == 0 ? "" : answer.text());
              requests.tellOthers(
                  entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer));
            });
  }

  /**
   * Refuses a bdev whose name or id is taken.
   *
   * @throws RpcException EEXIST
   */
  void requireFree(final BdevSpec spec) {
    if (byName.containsKey(spec.name())) {
      throw new RpcException(
          RpcException.EEXIST,
          "there is a bdev " + spec.name() + " already; delete it or choose another name");
    }
    final BdevEntry sameId = bdev(BdevEntry.id(spec.uuid()));
    if (sameId != null) {
      throw new RpcException(
          RpcException.EEXIST,
          "bdev " + sameId.name() + " has the uuid " + spec.uuid() + "; choose another one");
    }
  }

  /** The device of a bdev that was brought back is there by now. */
  CompletableFuture<Void> onDevice(
      final BdevEntry entry, final int blockBytes, final long blockCount) {
    final BdevSpec spec = entry.spec();
    final BdevFiles.Found found = new BdevFiles.Found(blockBytes, blockCount, false);
    return onFileThread(() -> files.restoreDirty(spec, found))
        .thenAccept(
            isMarked -> {
              entry.spec(spec.withDirtyGrainShift(isMarked ? spec.dirtyGrainShift() : 0));
              entry.description(BdevEntry.describe(spec, blockBytes, blockCount));
              entry.problem("");
              tellAllOf(entry);
            });
  }

  /** The bdevs of an NVMe controller. */
  List<BdevEntry> ofDevice(final String controller) {
    return byName.values().stream()
        .filter(bdev -> bdev.spec().kind() == BdevKind.NVME)
        .filter(bdev -> bdev.spec().filename().equals(controller))
        .toList();
  }

  /** As {@link SlaveRequests#awaitCycles}. */
  CompletableFuture<Void> awaitCycles() {
    return requests.awaitCycles();
  }

  /** Whether a living slave is known to own the seat of a bdev. */
  boolean isOwned(final String name) {
    final BdevEntry entry = byName.get(name);
    final Slave owner = entry == null ? null : seats.seat(entry.seat()).owner();
    return owner != null && owner.isReachable();
  }

  /** As {@link SlaveRequests#releaseDevice}. */
  CompletableFuture<Void> releaseDevice(final String controller) {
    return requests.releaseDevice(controller);
  }

  /**
   * Brings back a bdev that the registry says should exist. Never fails: what cannot be served now
   * stays, with its problem, until it is deleted or the master is started again.
   */
  CompletableFuture<Void> restore(final BdevSpec spec) {
    final BdevEntry held = bdev(BdevEntry.id(spec.uuid()));
    if (held != null) {
      held.spec(spec);
      held.hold(spec.migration().hold(), 0);
      requests.tellAll(held, RelayMessageType.BDEV_HOLD, held.hold()::write);
      // The dead master may have told limits that it could not record any more.
      requests.tellAll(held, RelayMessageType.BDEV_LIMITS, spec.limits()::write);
      final BdevDescription now = held.description();
      final BdevFiles.Found found = new BdevFiles.Found(now.blockBytes(), now.blockCount(), false);
      return onFileThread(() -> files.restoreDirty(spec, found))
          .thenAccept(
              on -> {
                held.spec(spec.withDirtyGrainShift(on ? spec.dirtyGrainShift() : 0));
                tracking.tell(held);
              });
    }
    return onFileThread(
            () -> {
              final BdevFiles.Found found = files.prepare(spec, true);
              return new Restored(found, files.restoreDirty(spec, found));
            })
        .handle(
            (restored, failure) -> {
              if (failure != null) {
                final String problem = String.valueOf(cause(failure).getMessage());
                add(spec, Math.max(512, spec.blockSize()), 0).problem(problem);
                LOG.error("bdev {} is not served: {}", spec.name(), problem);
                return null;
              }
              final BdevFiles.Found found = restored.found();
              if (found.recreated()) {
                counters.increment(MasterCounter.MEM_DISKS_RECREATED);
                LOG.warn(
                    "memory disk {} was gone with its host or its instance: it is empty now",
                    spec.name());
              }
              final int grainShift = restored.isMarked() ? spec.dirtyGrainShift() : 0;
              tellAllOf(
                  add(
                      spec.withDirtyGrainShift(grainShift),
                      found.blockBytes(),
                      found.blockCount()));
              return null;
            });
  }

  /** Everything that makes a bdev. */
  private void tellAllOf(final BdevEntry entry) {
    requests.forAll(entry, slave -> tellOf(slave, entry));
  }

  private void tellOf(final Slave slave, final BdevEntry entry) {
    requests.tell(slave, entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer));
    final BdevLimits limits = entry.limits();
    if (!limits.equals(BdevLimits.NONE)) {
      requests.tell(slave, entry, RelayMessageType.BDEV_LIMITS, limits::write);
    }
    if (entry.spec().dirtyGrainShift() != 0) {
      requests.tell(slave, entry, RelayMessageType.BDEV_TRACK, writer -> writer.putInt(1));
    }
    if (!entry.hold().equals(BdevHold.NONE)) {
      requests.tell(slave, entry, RelayMessageType.BDEV_HOLD, entry.hold()::write);
    }
  }

  /** A slave of a dead master has a bdev open. */
  void onHeld(final long id, final BdevDescription description, final int seat) {
    if (bdev(id) == null && !byName.containsKey(description.name()) && seats.seat(seat) != null) {
      final BdevEntry entry = new BdevEntry(BdevEntry.specOf(id, description), description, seat);
      byName.put(entry.name(), entry);
    }
  }

  CompletableFuture<Void> delete(final BdevEntry entry) {
    return requests
        .askOwner(entry, RelayMessageType.BDEV_REMOVE, writer -> {})
        .thenCompose(
            answer -> {
              requests.tellOthers(entry, RelayMessageType.BDEV_REMOVE, writer -> {});
              return onFileThread(
                  () -> {
                    files.delete(entry);
                    return null;
                  });
            })
        .thenApply(
            deleted -> {
              byName.remove(entry.name());
              return null;
            });
  }

  CompletableFuture<BdevEntry> resize(
      final BdevEntry entry, final long numBlocks, final boolean claimed) {
    if (entry.spec().dirtyGrainShift() != 0) {
      throw new RpcException(
          RpcException.EBUSY,
          "changes of bdev "
              + entry.name()
              + " are marked; stop that with virtnvme_stop_dirty_tracking first");
    }
    if (entry.spec().kind() == BdevKind.NVME) {
      throw new RpcException(
          RpcException.EINVAL,
          "bdev " + entry.name() + " is as long as its namespace, which cannot be resized here");
    }
    final long before = entry.description().blockCount();
    final boolean isFile = entry.spec().kind() == BdevKind.URING;
    if (!isFile) {
      checkNotShrinking(entry, numBlocks, claimed || entry.spec().kind() == BdevKind.MEM);
    }
    return onFileThread(() -> files.resize(entry, numBlocks))
        .thenCompose(
            blockCount -> {
              checkNotShrinking(entry, blockCount, claimed);
              return requests
                  .askOwner(
                      entry, RelayMessageType.BDEV_RESIZE, writer -> writer.putLong(blockCount))
                  .thenApply(answer -> onResized(entry, before, blockCount, answer));
            });
  }

  private BdevEntry onResized(
      final BdevEntry entry, final long before, final long blockCount, final Answer answer) {
    if (answer.errno() != 0) {
      throw new RpcException(
          -answer.errno(),
          "bdev " + entry.name() + " keeps its " + before + " blocks: " + answer.text());
    }
    entry.description(entry.description().withBlockCount(blockCount));
    if (entry.spec().kind() != BdevKind.URING) {
      entry.spec(entry.spec().withNumBlocks(blockCount));
    }
    requests.tellOthers(entry, RelayMessageType.BDEV_RESIZE, writer -> writer.putLong(blockCount));
    return entry;
  }

  CompletableFuture<Void> limit(final BdevEntry entry, final BdevLimits limits) {
    final BdevLimits told = limits.and(entry.throttle());
    return requests
        .askOwner(entry, RelayMessageType.BDEV_LIMITS, told::write)
        .thenApply(
            answer -> {
              if (answer.errno() != 0) {
                throw new RpcException(
                    -answer.errno(),
                    "bdev " + entry.name() + " keeps its limits: " + answer.text());
              }
              entry.spec(entry.spec().withLimits(limits));
              // All of them: the owner that answered may be dead by now.
              requests.tellAll(entry, RelayMessageType.BDEV_LIMITS, entry.limits()::write);
              return null;
            });
  }

  private static void checkNotShrinking(
      final BdevEntry entry, final long blockCount, final boolean growOnly) {
    final long now = entry.description().blockCount();
    if (growOnly && blockCount < now) {
      throw new RpcException(
          RpcException.EINVAL,
          "bdev "
              + entry.name()
              + " has "
              + now
              + " blocks and can only grow, not shrink to "
              + blockCount
              + "; make a new one and copy");
    }
  }

  /** Puts a bdev that no controller exports on another seat. */
  void move(final BdevEntry entry, final List<Seat> candidates) {
    requests.tellAll(entry, RelayMessageType.BDEV_REMOVE, writer -> {});
    entry.seat(leastLoadedSeat(candidates));
    tellAllOf(entry);
  }

  private static void writeAdd(final BdevEntry entry, final RelayWriter writer) {
    entry.description().write(writer);
    writer.putInt(entry.seat());
  }

  /** Tells a slave of every bdev of a seat; one that it has open already stays as it is. */
  void tellSeat(final Slave slave, final int seat) {
    for (final BdevEntry entry : new ArrayList<>(byName.values())) {
      if (entry.seat() == seat && entry.isKnown()) {
        tellOf(slave, entry);
      }
    }
  }

  /** What a slave says of a bdev without being asked. */
  void onNews(final Slave slave, final long bdevId, final int errno, final String text) {
    final BdevEntry entry = bdev(bdevId);
    if (entry == null) {
      return;
    }
    final boolean isOwner = seats.seat(entry.seat()).owner() == slave;
    if (errno != 0) {
      LOG.warn("{} cannot serve bdev {}: {}", slave, entry.name(), text);
    }
    if (isOwner) {
      entry.problem(errno == 0 ? "" : text);
    }
  }
}
