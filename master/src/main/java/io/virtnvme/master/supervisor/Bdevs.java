package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.RpcException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
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
  private static final Answer NO_OWNER = new Answer(0, "nobody to ask", 0);

  /** What a slave answered about a bdev. */
  private record Answer(int errno, String text, long blockCount) {}

  /** What is behind a bdev again, and whether its changes are marked. */
  private record Restored(BdevFiles.Found found, boolean isMarked) {}

  private record Request(Slave slave, CompletableFuture<Answer> answer, EventLoop.Timer timer) {}

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final MasterCounters counters;
  private final Executor fileThread;
  private final Slaves slaves;
  private final Seats seats;
  private final BdevFiles files;
  private final Map<String, BdevEntry> byName = new LinkedHashMap<>();
  private final Map<Long, Request> requests = new HashMap<>();
  private long lastSequence;

  Bdevs(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final Executor fileThread,
      final Slaves slaves,
      final Seats seats) {
    this.config = config;
    this.loop = loop;
    this.counters = counters;
    this.fileThread = fileThread;
    this.slaves = slaves;
    this.seats = seats;
    this.files = new BdevFiles(config.segments());
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
              return askOwner(entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer))
                  .thenCompose(answer -> onAdded(entry, answer));
            });
  }

  private CompletableFuture<BdevEntry> onAdded(final BdevEntry entry, final Answer answer) {
    if (answer.errno() == 0) {
      tellOthers(entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer));
      return CompletableFuture.completedFuture(entry);
    }
    byName.remove(entry.name());
    tellAll(entry, RelayMessageType.BDEV_REMOVE, writer -> {});
    return onFileThread(
            () -> {
              files.delete(entry);
              return null;
            })
        .thenCompose(
            deleted ->
                CompletableFuture.failedFuture(new RpcException(-answer.errno(), answer.text())));
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
    return askOwner(entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer))
        .thenAccept(
            answer -> {
              entry.problem(answer.errno() == 0 ? "" : answer.text());
              tellOthers(entry, RelayMessageType.BDEV_ADD, writer -> writeAdd(entry, writer));
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

  /**
   * Completes when no slave is amidst anything on any bdev that it began before; it fails when a
   * slave does not say so, or cannot be asked and is not dead.
   */
  CompletableFuture<Void> awaitCycles() {
    for (final Slave slave : slaves.all()) {
      if (slave.mayServe() && !slave.isReachable()) {
        return CompletableFuture.failedFuture(
            new RpcException(RpcException.EBUSY, slave + " is on its way out"));
      }
    }
    CompletableFuture<Answer> all = CompletableFuture.completedFuture(NO_OWNER);
    for (final Slave slave : slaves.reachable()) {
      all =
          all.thenCombine(
              ask(slave, 0, "its queues", RelayMessageType.BDEV_CYCLE, writer -> {}), Bdevs::worse);
    }
    return all.thenCompose(Bdevs::asStage);
  }

  /** Whether a living slave is known to own the seat of a bdev. */
  boolean isOwned(final String name) {
    final BdevEntry entry = byName.get(name);
    final Slave owner = entry == null ? null : seats.seat(entry.seat()).owner();
    return owner != null && owner.isReachable();
  }

  /** Every slave lets go of an NVMe device whose bdevs are gone; it fails when one does not. */
  CompletableFuture<Void> releaseDevice(final String controller) {
    CompletableFuture<Answer> all = CompletableFuture.completedFuture(NO_OWNER);
    for (final Slave slave : slaves.reachable()) {
      all =
          all.thenCombine(
              ask(
                  slave,
                  0,
                  controller,
                  RelayMessageType.DEVICE_DETACH,
                  writer -> writer.putString(controller)),
              Bdevs::worse);
    }
    return all.thenCompose(Bdevs::asStage);
  }

  private static Answer worse(final Answer one, final Answer next) {
    return one.errno() != 0 ? one : next;
  }

  private static CompletableFuture<Void> asStage(final Answer answer) {
    return answer.errno() == 0
        ? CompletableFuture.completedFuture(null)
        : CompletableFuture.failedFuture(new RpcException(-answer.errno(), answer.text()));
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
      tellHold(held);
      // The dead master may have told limits that it could not record any more.
      tellAll(held, RelayMessageType.BDEV_LIMITS, spec.limits()::write);
      final BdevDescription now = held.description();
      final BdevFiles.Found found = new BdevFiles.Found(now.blockBytes(), now.blockCount(), false);
      return onFileThread(() -> files.restoreDirty(spec, found))
          .thenAccept(
              on -> {
                held.spec(spec.withDirtyGrainShift(on ? spec.dirtyGrainShift() : 0));
                tellTracking(held);
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

  /** Marks changes from now on; the segment with the marks. */
  CompletableFuture<Path> track(final BdevEntry entry, final int grainShift) {
    if (entry.spec().kind() == BdevKind.NVME) {
      throw new RpcException(
          RpcException.ENOTSUP, "changes of NVMe devices cannot be marked: bdev " + entry.name());
    }
    if (entry.spec().kind() == BdevKind.NULL || !entry.isKnown()) {
      throw new RpcException(
          RpcException.ENOTSUP,
          "bdev " + entry.name() + " has no content whose changes could be marked");
    }
    if (entry.spec().dirtyGrainShift() != 0) {
      throw new RpcException(
          RpcException.EEXIST,
          "changes of bdev " + entry.name() + " are marked already; stop that first");
    }
    final long diskBytes = entry.description().lengthBytes();
    return onFileThread(
            () -> {
              files.makeDirty(entry.name(), diskBytes, grainShift, false);
              return null;
            })
        .thenCompose(
            made -> {
              // First, so that a slave which comes while the others are asked is told as well.
              entry.spec(entry.spec().withDirtyGrainShift(grainShift));
              // All of them: a standby takes over by itself, and must mark from its first request.
              return askAll(entry, RelayMessageType.BDEV_TRACK, writer -> writer.putInt(1));
            })
        .thenCompose(
            answer ->
                answer.errno() == 0
                    ? CompletableFuture.completedFuture(config.segments().dirty(entry.name()))
                    : untrack(entry)
                        .thenCompose(
                            undone ->
                                CompletableFuture.failedFuture(
                                    new RpcException(-answer.errno(), answer.text()))));
  }

  /** Marks changes no more. The segment goes first: a client never takes old marks for new ones. */
  CompletableFuture<Void> untrack(final BdevEntry entry) {
    return onFileThread(
            () -> {
              files.deleteDirty(entry.name());
              return null;
            })
        .thenAccept(
            deleted -> {
              entry.spec(entry.spec().withDirtyGrainShift(0));
              tellTracking(entry);
            });
  }

  private void tellTracking(final BdevEntry entry) {
    final int on = entry.spec().dirtyGrainShift() == 0 ? 0 : 1;
    tellAll(entry, RelayMessageType.BDEV_TRACK, writer -> writer.putInt(on));
  }

  /** Everything that makes a bdev. */
  private void tellAllOf(final BdevEntry entry) {
    for (final Slave slave : slaves.reachable()) {
      if (slave.watchedSeats().contains(entry.seat())) {
        tellOf(slave, entry);
      }
    }
  }

  private void tellOf(final Slave slave, final BdevEntry entry) {
    tell(slave, entry.id(), RelayMessageType.BDEV_ADD, 0, writer -> writeAdd(entry, writer));
    final BdevLimits limits = entry.spec().limits();
    if (!limits.equals(BdevLimits.NONE)) {
      tell(slave, entry.id(), RelayMessageType.BDEV_LIMITS, 0, limits::write);
    }
    if (entry.spec().dirtyGrainShift() != 0) {
      tell(slave, entry.id(), RelayMessageType.BDEV_TRACK, 0, writer -> writer.putInt(1));
    }
    if (!entry.hold().equals(BdevHold.NONE)) {
      tell(slave, entry.id(), RelayMessageType.BDEV_HOLD, 0, entry.hold()::write);
    }
  }

  /** Tells who waits now. */
  void tellHold(final BdevEntry entry) {
    tellAll(entry, RelayMessageType.BDEV_HOLD, entry.hold()::write);
  }

  /**
   * Tells who waits, and ends when nothing of those runs any more. The owner is asked last: what
   * its predecessor left to it is among what it waits for.
   */
  CompletableFuture<Void> hold(final BdevEntry entry, final BdevHold hold) {
    return askAll(entry, RelayMessageType.BDEV_HOLD, hold::write)
        .thenCompose(
            answer ->
                answer.errno() != 0
                    ? CompletableFuture.completedFuture(answer)
                    : askOwner(entry, RelayMessageType.BDEV_HOLD, hold::write))
        .thenApply(
            answer -> {
              if (answer.equals(NO_OWNER)) {
                throw new RpcException(
                    RpcException.EAGAIN,
                    "bdev " + entry.name() + " has lost its slave just now; try again");
              }
              if (answer.errno() != 0) {
                throw new RpcException(
                    answer.errno() == Errno.ETIME ? RpcException.ETIMEDOUT : -answer.errno(),
                    "bdev " + entry.name() + " cannot be held: " + answer.text());
              }
              return null;
            });
  }

  /** A slave of a dead master has a bdev open. */
  void onHeld(final long id, final BdevDescription description, final int seat) {
    if (bdev(id) == null && !byName.containsKey(description.name()) && seats.seat(seat) != null) {
      final BdevEntry entry = new BdevEntry(BdevEntry.specOf(id, description), description, seat);
      byName.put(entry.name(), entry);
    }
  }

  CompletableFuture<Void> delete(final BdevEntry entry) {
    return askOwner(entry, RelayMessageType.BDEV_REMOVE, writer -> {})
        .thenCompose(
            answer -> {
              tellOthers(entry, RelayMessageType.BDEV_REMOVE, writer -> {});
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
              return askOwner(
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
    tellOthers(entry, RelayMessageType.BDEV_RESIZE, writer -> writer.putLong(blockCount));
    return entry;
  }

  CompletableFuture<Void> limit(final BdevEntry entry, final BdevLimits limits) {
    return askOwner(entry, RelayMessageType.BDEV_LIMITS, limits::write)
        .thenApply(
            answer -> {
              if (answer.errno() != 0) {
                throw new RpcException(
                    -answer.errno(),
                    "bdev " + entry.name() + " keeps its limits: " + answer.text());
              }
              entry.spec(entry.spec().withLimits(limits));
              // All of them: the owner that answered may be dead by now.
              tellAll(entry, RelayMessageType.BDEV_LIMITS, limits::write);
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
    tellAll(entry, RelayMessageType.BDEV_REMOVE, writer -> {});
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

  private void tell(
      final Slave slave,
      final long id,
      final RelayMessageType type,
      final long sequence,
      final Consumer<RelayWriter> body) {
    slaves.tell(
        slave,
        channel -> {
          body.accept(channel.begin(type, id, sequence));
          return true;
        });
  }

  private void tellAll(
      final BdevEntry entry, final RelayMessageType type, final Consumer<RelayWriter> body) {
    for (final Slave slave : slaves.reachable()) {
      if (slave.watchedSeats().contains(entry.seat())) {
        tell(slave, entry.id(), type, 0, body);
      }
    }
  }

  private void tellOthers(
      final BdevEntry entry, final RelayMessageType type, final Consumer<RelayWriter> body) {
    final Slave owner = seats.seat(entry.seat()).owner();
    for (final Slave slave : slaves.reachable()) {
      if (slave != owner && slave.watchedSeats().contains(entry.seat())) {
        tell(slave, entry.id(), type, 0, body);
      }
    }
  }

  /**
   * Without an owner, and when it dies, the answer is yes: its successor is told how things are.
   */
  private CompletableFuture<Answer> askOwner(
      final BdevEntry entry, final RelayMessageType type, final Consumer<RelayWriter> body) {
    final Slave owner = seats.seat(entry.seat()).owner();
    if (owner == null || !owner.isReachable() || !entry.isKnown()) {
      return CompletableFuture.completedFuture(NO_OWNER);
    }
    return ask(owner, entry.id(), entry.name(), type, body);
  }

  /** Every slave that serves the bdev or would; the first that cannot speaks for all. */
  private CompletableFuture<Answer> askAll(
      final BdevEntry entry, final RelayMessageType type, final Consumer<RelayWriter> body) {
    CompletableFuture<Answer> all = CompletableFuture.completedFuture(NO_OWNER);
    for (final Slave slave : slaves.reachable()) {
      if (slave.watchedSeats().contains(entry.seat())) {
        all = all.thenCombine(ask(slave, entry.id(), entry.name(), type, body), Bdevs::worse);
      }
    }
    return all;
  }

  private CompletableFuture<Answer> ask(
      final Slave slave,
      final long id,
      final String name,
      final RelayMessageType type,
      final Consumer<RelayWriter> body) {
    final long sequence = ++lastSequence;
    final CompletableFuture<Answer> answer = new CompletableFuture<>();
    final EventLoop.Timer timer =
        loop.after(
            config.answerNsMax(),
            () ->
                settle(
                    sequence,
                    new Answer(Errno.ETIMEDOUT, slave + " did not answer about " + name, 0)));
    requests.put(sequence, new Request(slave, answer, timer));
    tell(slave, id, type, sequence, body);
    return answer;
  }

  private void settle(final long sequence, final Answer answer) {
    final Request request = requests.remove(sequence);
    if (request != null) {
      request.timer().cancel();
      request.answer().complete(answer);
    }
  }

  void onResult(
      final Slave slave,
      final long bdevId,
      final long sequence,
      final int errno,
      final String text,
      final long blockCount) {
    final Request request = requests.get(sequence);
    if (request != null && request.slave() == slave) {
      settle(sequence, new Answer(errno, text, blockCount));
      return;
    }
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

  void onDead(final Slave slave) {
    for (final Map.Entry<Long, Request> request : List.copyOf(requests.entrySet())) {
      if (request.getValue().slave() == slave) {
        settle(request.getKey(), NO_OWNER);
      }
    }
  }
}
