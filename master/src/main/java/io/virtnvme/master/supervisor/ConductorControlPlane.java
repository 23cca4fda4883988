package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.ControllerInfo;
import io.virtnvme.master.rpc.IoStat;
import io.virtnvme.master.rpc.MasterInfo;
import io.virtnvme.master.rpc.NvmeControl;
import io.virtnvme.master.rpc.NvmfControl;
import io.virtnvme.master.rpc.RecoveryInfo;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.SlaveInfo;
import io.virtnvme.master.rpc.UpgradeInfo;
import io.virtnvme.master.rpc.UpgradeSpec;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/**
 * The control plane as RPC threads see it. Changes go to the conductor, one after the other;
 * questions are answered from what the conductor published last.
 */
public final class ConductorControlPlane implements ControlPlane {
  /** What can be asked for at any moment; replaced whole. */
  private record Snapshot(
      List<BdevInfo> bdevs,
      List<ControllerInfo> controllers,
      List<SlaveInfo> slaves,
      List<RecoveryInfo> recoveries) {}

  private final Supervisor supervisor;
  private final MasterInfo master;
  private final Supplier<Map<String, Long>> otherCounters;

  /** Changes that wait for the one under way. Conductor thread. */
  private final ArrayDeque<Runnable> changes = new ArrayDeque<>();

  private boolean changing;
  private final ConductorNvmf nvmf;
  private final ConductorNvme nvme;
  private volatile Snapshot snapshot = new Snapshot(List.of(), List.of(), List.of(), List.of());

  /**
   * A control plane over a supervisor.
   *
   * @param otherCounters of parts that the supervisor does not know; may be called by any thread
   */
  public ConductorControlPlane(
      final Supervisor supervisor,
      final MasterInfo master,
      final Supplier<Map<String, Long>> otherCounters) {
    this.supervisor = supervisor;
    this.master = master;
    this.otherCounters = otherCounters;
    final ConductorNvmf.Changes queue =
        new ConductorNvmf.Changes() {
          @Override
          public <T> CompletionStage<T> change(final Supplier<CompletableFuture<T>> work) {
            return ConductorControlPlane.this.change(work);
          }
        };
    this.nvmf =
        new ConductorNvmf(
            supervisor::subsystems,
            queue,
            bdevName -> supervisor.devices().splits().requireWhole(bdevName));
    this.nvme = new ConductorNvme(supervisor::devices, queue);
  }

  /** Makes visible what changed since the last call. Conductor thread, each turn. */
  public void publish() {
    if (supervisor.takeChanged()) {
      snapshot =
          new Snapshot(listBdevs(), listControllers(), listSlaves(), supervisor.recoveries().all());
      nvmf.publish();
      nvme.publish();
    }
  }

  private <T> CompletionStage<T> change(final Supplier<CompletableFuture<T>> work) {
    final CompletableFuture<T> result = new CompletableFuture<>();
    supervisor
        .loop()
        .execute(
            () -> {
              changes.add(() -> run(work, result));
              next();
            });
    return result;
  }

  private void next() {
    if (!changing && !changes.isEmpty()) {
      changing = true;
      changes.remove().run();
    }
  }

  private <T> void run(
      final Supplier<CompletableFuture<T>> work, final CompletableFuture<T> result) {
    CompletionStage<T> done;
    try {
      done = work.get();
    } catch (final RpcException e) {
      done = CompletableFuture.failedFuture(e);
    }
    done.whenComplete(
        (value, failure) -> {
          supervisor.touch();
          // Whoever hears of the change must see it in the lists.
          publish();
          if (failure == null) {
            result.complete(value);
          } else {
            result.completeExceptionally(Bdevs.cause(failure));
          }
          changing = false;
          supervisor.loop().execute(this::next);
        });
  }

  @Override
  public CompletionStage<BdevInfo> createBdev(final BdevSpec spec) {
    return change(() -> supervisor.bdevs().create(spec).thenApply(this::info));
  }

  @Override
  public CompletionStage<Void> deleteBdev(final String name, final BdevKind kind) {
    return change(
        () -> {
          final BdevEntry entry = supervisor.bdevs().require(name, kind);
          if (supervisor.controllers().isExported(name)) {
            throw new RpcException(
                RpcException.EBUSY,
                "a controller exports bdev " + name + "; delete the controller first");
          }
          final String user = supervisor.subsystems().userOf(name);
          if (user != null) {
            throw new RpcException(
                RpcException.EBUSY,
                "bdev "
                    + name
                    + " is a namespace of "
                    + user
                    + "; remove it with nvmf_subsystem_remove_ns first");
          }
          return supervisor.bdevs().delete(entry);
        });
  }

  @Override
  public CompletionStage<BdevInfo> resizeBdev(
      final String name, final BdevKind kind, final long numBlocks) {
    return change(
        () -> {
          final BdevEntry entry = supervisor.bdevs().require(name, kind);
          return supervisor.bdevs().resize(entry, numBlocks, isClaimed(name)).thenApply(this::info);
        });
  }

  @Override
  public CompletionStage<Void> setLimits(final String name, final BdevLimits limits) {
    return change(() -> supervisor.bdevs().limit(supervisor.bdevs().require(name, null), limits));
  }

  @Override
  public CompletionStage<Void> throttle(
      final String name, final BdevLimits limits, final int limitMs) {
    return change(
        () ->
            supervisor
                .throttles()
                .throttle(supervisor.bdevs().require(name, null), limits, limitMs));
  }

  @Override
  public CompletionStage<Path> startDirtyTracking(final String name, final int grainShift) {
    return change(
        () -> supervisor.tracking().start(supervisor.bdevs().require(name, null), grainShift));
  }

  @Override
  public CompletionStage<Void> stopDirtyTracking(final String name) {
    return change(
        () -> {
          final BdevEntry entry = supervisor.bdevs().require(name, null);
          if (entry.spec().dirtyGrainShift() == 0) {
            throw new RpcException(
                RpcException.ENOENT, "changes of bdev " + name + " are not marked");
          }
          return supervisor.tracking().stop(entry);
        });
  }

  @Override
  public CompletionStage<Long> holdBdev(final String name, final int limitMs) {
    return change(
        () -> {
          final BdevEntry entry = supervisor.bdevs().require(name, null);
          requireAlone(name);
          return supervisor.holds().hold(entry, limitMs);
        });
  }

  /** Commands of a queue keep their order, so those for other namespaces would wait as well. */
  private void requireAlone(final String bdevName) {
    if (supervisor.subsystems().isAmongOthers(bdevName)) {
      throw new RpcException(
          RpcException.ENOTSUP,
          "bdev "
              + bdevName
              + " is one of several namespaces of "
              + supervisor.subsystems().userOf(bdevName)
              + ", and guests would have to wait for all of them");
    }
  }

  @Override
  public CompletionStage<Void> releaseBdev(final String name, final long hold) {
    return change(
        () -> {
          supervisor.holds().release(supervisor.bdevs().require(name, null), hold);
          return CompletableFuture.completedFuture(null);
        });
  }

  @Override
  public CompletionStage<Void> setMigration(
      final String name, final BdevMigration migration, final long hold) {
    return change(
        () -> {
          final BdevEntry entry = supervisor.bdevs().require(name, null);
          if (migration.state() != BdevMigration.State.NONE) {
            requireAlone(name);
          }
          return supervisor.holds().migrate(entry, migration, hold, isClaimed(name));
        });
  }

  @Override
  public CompletionStage<Void> serve(final String name) {
    return change(
        () -> {
          supervisor.holds().serve(supervisor.bdevs().require(name, null));
          return CompletableFuture.completedFuture(null);
        });
  }

  private boolean isClaimed(final String bdevName) {
    return supervisor.controllers().isExported(bdevName)
        || supervisor.subsystems().userOf(bdevName) != null
        || supervisor.devices().splits().isSplit(bdevName);
  }

  @Override
  public List<BdevInfo> bdevs() {
    return snapshot.bdevs;
  }

  @Override
  public CompletionStage<List<IoStat>> ioStats(final List<String> names) {
    final CompletableFuture<List<IoStat>> result = new CompletableFuture<>();
    supervisor
        .loop()
        .execute(
            () -> {
              try {
                result.complete(sumIoStats(names));
              } catch (final RpcException e) {
                result.completeExceptionally(e);
              }
            });
    return result;
  }

  private List<IoStat> sumIoStats(final List<String> names) {
    final List<BdevEntry> entries = new ArrayList<>();
    if (names.isEmpty()) {
      entries.addAll(supervisor.bdevs().all());
    }
    for (final String name : names) {
      entries.add(supervisor.bdevs().require(name, null));
    }
    final List<IoStat> stats = new ArrayList<>();
    for (final BdevEntry entry : entries) {
      stats.add(entry.ioStat(supervisor.relay().sessions()));
    }
    return stats;
  }

  @Override
  public CompletionStage<ControllerInfo> createBlkController(final BlkControllerSpec spec) {
    return change(
        () -> {
          supervisor.devices().splits().requireWhole(spec.devName());
          return CompletableFuture.completedFuture(info(supervisor.controllers().create(spec)));
        });
  }

  @Override
  public CompletionStage<Void> deleteController(final String ctrlr) {
    return change(
        () -> {
          supervisor.controllers().delete(ctrlr);
          return CompletableFuture.completedFuture(null);
        });
  }

  @Override
  public List<ControllerInfo> controllers() {
    return snapshot.controllers;
  }

  @Override
  public NvmfControl nvmf() {
    return nvmf;
  }

  @Override
  public NvmeControl nvme() {
    return nvme;
  }

  @Override
  public List<SlaveInfo> slaves() {
    return snapshot.slaves;
  }

  @Override
  public List<RecoveryInfo> recoveries() {
    return snapshot.recoveries;
  }

  @Override
  public CompletionStage<Void> startSlave(final int seatId) {
    return change(
        () -> {
          final Seat seat = supervisor.seats().seat(seatId);
          if (seat == null) {
            throw new RpcException(
                RpcException.EINVAL,
                "there is no seat "
                    + seatId
                    + "; seats are 0 to "
                    + (supervisor.seats().all().size() - 1));
          }
          final boolean mayStart =
              seat.state() == SeatState.FAILED
                  || seat.state() == SeatState.VACANT
                  || (seat.state() == SeatState.OWNED && supervisor.seats().standbysGivenUp());
          if (!mayStart) {
            throw new RpcException(
                RpcException.EBUSY,
                "seat " + seatId + " has a slave or gets one: " + seat.reason());
          }
          supervisor.seats().startAgain(seat);
          return CompletableFuture.completedFuture(null);
        });
  }

  @Override
  public CompletionStage<UpgradeInfo> upgradeSlaves(final UpgradeSpec spec) {
    final CompletableFuture<UpgradeInfo> result = new CompletableFuture<>();
    // Beside the queue of changes: it takes seconds, and disks may come and go meanwhile.
    supervisor
        .loop()
        .execute(
            () -> {
              try {
                final CompletionStage<UpgradeInfo> done = supervisor.startUpgrade(spec);
                done.whenComplete(
                    (info, failure) -> {
                      publish();
                      if (failure == null) {
                        result.complete(info);
                      } else {
                        result.completeExceptionally(Bdevs.cause(failure));
                      }
                    });
              } catch (final RpcException e) {
                result.completeExceptionally(e);
              }
            });
    return result;
  }

  @Override
  public MasterInfo master() {
    return master;
  }

  @Override
  public Map<String, Long> counters() {
    final Map<String, Long> all = supervisor.counters().all();
    all.putAll(otherCounters.get());
    return all;
  }

  // What the lists are made of. Conductor thread.

  private List<BdevInfo> listBdevs() {
    return supervisor.bdevs().all().stream().map(this::info).toList();
  }

  private BdevInfo info(final BdevEntry entry) {
    final Seat seat = supervisor.seats().seat(entry.seat());
    final BdevInfo.State state;
    String reason = entry.problem();
    if (!reason.isEmpty()) {
      state = BdevInfo.State.FAILED;
    } else if (seat.state() == SeatState.OWNED) {
      state = BdevInfo.State.ONLINE;
    } else {
      state = seat.state() == SeatState.FAILED ? BdevInfo.State.FAILED : BdevInfo.State.RECOVERING;
      reason = "seat " + seat.id() + ": " + seat.reason();
    }
    return new BdevInfo(
        entry.spec(),
        entry.description().blockBytes(),
        entry.description().blockCount(),
        isClaimed(entry.name()),
        entry.seat(),
        state,
        reason);
  }

  private List<ControllerInfo> listControllers() {
    return supervisor.controllers().all().stream().map(this::info).toList();
  }

  private ControllerInfo info(final Controllers.Controller controller) {
    final List<ControllerInfo.Session> sessions = new ArrayList<>();
    for (final FrontEndSession session : supervisor.relay().sessionsOf(controller.spec().ctrlr())) {
      final int queues = session.usedQueueCount();
      sessions.add(
          new ControllerInfo.Session(Math.toIntExact(session.id()), queues > 0, queues, 0));
    }
    return new ControllerInfo(
        controller.spec(),
        supervisor.controllers().socketPath(controller.spec()).toString(),
        controller.seat(),
        pinned(supervisor.seats().seat(controller.seat()).cores()),
        sessions);
  }

  private static List<Integer> pinned(final List<Integer> cores) {
    return cores.stream().filter(core -> core >= 0).toList();
  }

  private List<SlaveInfo> listSlaves() {
    final List<SlaveInfo> infos = new ArrayList<>();
    for (final Slave slave : supervisor.slaves().all()) {
      if (slave.state() != SlaveState.STOPPING || !slave.ownedSeats().isEmpty()) {
        infos.add(info(slave));
      }
    }
    for (final Seat seat : supervisor.seats().all()) {
      if (seat.state() == SeatState.FAILED) {
        infos.add(failed(seat.lastOwnerId(), seat.id(), seat.policy().failures(), seat.reason()));
      }
    }
    if (supervisor.seats().standbysGivenUp()) {
      infos.add(
          failed(
              0,
              Seat.NONE,
              supervisor.seats().standbyFailures(),
              "standbys ended before they were warm; look at log/slave-*.log"));
    }
    return infos;
  }

  private SlaveInfo info(final Slave slave) {
    final int seatId =
        slave.ownedSeats().isEmpty() ? Seat.NONE : slave.ownedSeats().iterator().next();
    final Seat seat = supervisor.seats().seat(seatId);
    final SlaveInfo.State state =
        switch (slave.state()) {
          case STANDBY -> SlaveInfo.State.STANDBY;
          case ACTIVE, STOPPING -> SlaveInfo.State.ACTIVE;
          case STARTING, FAILED, GONE -> SlaveInfo.State.STARTING;
        };
    int sessions = 0;
    for (final FrontEndSession session : supervisor.relay().sessions()) {
      sessions += slave.ownedSeats().contains(session.description().seat()) ? 1 : 0;
    }
    return new SlaveInfo(
        slave.id(),
        slave.pid(),
        state,
        seatId,
        seat == null ? List.of() : pinned(seat.cores()),
        sessions,
        slave.build(),
        slave.startedAtMs(),
        seat == null ? 0 : seat.policy().failures(),
        "");
  }

  private static SlaveInfo failed(
      final int id, final int seat, final int failures, final String reason) {
    return new SlaveInfo(
        id, 0, SlaveInfo.State.FAILED, seat, List.of(), 0, "", 0, failures, reason);
  }
}
