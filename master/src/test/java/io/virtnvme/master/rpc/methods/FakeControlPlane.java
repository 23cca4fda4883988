package io.virtnvme.master.rpc.methods;

import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.ControllerInfo;
import io.virtnvme.master.rpc.IoStat;
import io.virtnvme.master.rpc.MasterInfo;
import io.virtnvme.master.rpc.NvmfControl;
import io.virtnvme.master.rpc.RecoveryInfo;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.SlaveInfo;
import io.virtnvme.master.rpc.UpgradeInfo;
import io.virtnvme.master.rpc.UpgradeSpec;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.UnaryOperator;

/** A control plane that only keeps a list; files are 1000 blocks of 4096 bytes long. */
public final class FakeControlPlane implements ControlPlane {
  public static final int FILE_BLOCK_SIZE = 4096;
  public static final long FILE_NUM_BLOCKS = 1000;

  private final Map<String, BdevInfo> bdevs = new LinkedHashMap<>();
  private final Map<String, ControllerInfo> controllers = new LinkedHashMap<>();
  private final FakeNvme nvme = new FakeNvme();
  private final List<String> served = new ArrayList<>();
  private final List<String> throttles = new ArrayList<>();
  private final NvmfControl nvmf = new FakeNvmf();

  @Override
  public synchronized CompletionStage<BdevInfo> createBdev(final BdevSpec spec) {
    if (bdevs.containsKey(spec.name())) {
      return failed(RpcException.EEXIST, "a bdev '" + spec.name() + "' is there already");
    }
    final BdevInfo bdev =
        new BdevInfo(
            spec,
            spec.blockSize() == 0 ? FILE_BLOCK_SIZE : spec.blockSize(),
            spec.numBlocks() == 0 ? FILE_NUM_BLOCKS : spec.numBlocks(),
            false,
            0,
            BdevInfo.State.ONLINE,
            "");
    bdevs.put(spec.name(), bdev);
    return CompletableFuture.completedFuture(bdev);
  }

  @Override
  public FakeNvme nvme() {
    return nvme;
  }

  @Override
  public NvmfControl nvmf() {
    return nvmf;
  }

  @Override
  public synchronized CompletionStage<Void> deleteBdev(final String name, final BdevKind kind) {
    final BdevInfo bdev = bdevs.get(name);
    if (bdev == null || bdev.spec().kind() != kind) {
      return failed(RpcException.ENODEV, "there is no such bdev: " + name);
    }
    if (controllers.values().stream().anyMatch(c -> c.spec().devName().equals(name))) {
      return failed(RpcException.EBUSY, name + " is exported; delete its controller first");
    }
    bdevs.remove(name);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized CompletionStage<BdevInfo> resizeBdev(
      final String name, final BdevKind kind, final long numBlocks) {
    final BdevInfo bdev = bdevs.get(name);
    if (bdev == null || bdev.spec().kind() != kind) {
      return failed(RpcException.ENODEV, "there is no such bdev: " + name);
    }
    final BdevInfo resized =
        new BdevInfo(
            bdev.spec(),
            bdev.blockSize(),
            numBlocks == 0 ? FILE_NUM_BLOCKS * 2 : numBlocks,
            bdev.claimed(),
            0,
            BdevInfo.State.ONLINE,
            "");
    bdevs.put(name, resized);
    return CompletableFuture.completedFuture(resized);
  }

  @Override
  public synchronized CompletionStage<Void> setLimits(final String name, final BdevLimits limits) {
    return replace(name, spec -> spec.withLimits(limits));
  }

  @Override
  public CompletionStage<Void> throttle(
      final String name, final BdevLimits limits, final int limitMs) {
    throttles.add(name + " " + limits.writeMib() + " " + limitMs);
    return CompletableFuture.completedFuture(null);
  }

  /** What was asked for: name, MiB written per second, ms. */
  public List<String> throttles() {
    return throttles;
  }

  @Override
  public CompletionStage<Path> startDirtyTracking(final String name, final int grainShift) {
    return replace(name, spec -> spec.withDirtyGrainShift(grainShift))
        .thenApply(done -> Path.of("/dirty-" + name));
  }

  @Override
  public CompletionStage<Void> stopDirtyTracking(final String name) {
    return replace(name, spec -> spec.withDirtyGrainShift(0));
  }

  @Override
  public CompletionStage<Long> holdBdev(final String name, final int limitMs) {
    return CompletableFuture.completedFuture((long) limitMs);
  }

  @Override
  public CompletionStage<Void> releaseBdev(final String name, final long hold) {
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> setMigration(
      final String name, final BdevMigration migration, final long hold) {
    return replace(name, spec -> spec.withMigration(migration));
  }

  @Override
  public CompletionStage<Void> serve(final String name) {
    served.add(name);
    return CompletableFuture.completedFuture(null);
  }

  /** Bdevs that guests were let in to. */
  public List<String> served() {
    return served;
  }

  private synchronized CompletionStage<Void> replace(
      final String name, final UnaryOperator<BdevSpec> change) {
    final BdevInfo bdev = bdevs.get(name);
    if (bdev == null) {
      return failed(RpcException.ENODEV, "there is no such bdev: " + name);
    }
    bdevs.put(
        name,
        new BdevInfo(
            change.apply(bdev.spec()),
            bdev.blockSize(),
            bdev.numBlocks(),
            bdev.claimed(),
            bdev.seat(),
            bdev.state(),
            bdev.reason()));
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized List<BdevInfo> bdevs() {
    return List.copyOf(bdevs.values());
  }

  @Override
  public synchronized CompletionStage<List<IoStat>> ioStats(final List<String> names) {
    final List<IoStat> stats = new ArrayList<>();
    for (final String name : names.isEmpty() ? bdevs.keySet() : names) {
      stats.add(new IoStat(name, 4096, 1, 8192, 2, 0, 0, 3, 1, 700, 900, 0));
    }
    return CompletableFuture.completedFuture(stats);
  }

  @Override
  public synchronized CompletionStage<ControllerInfo> createBlkController(
      final BlkControllerSpec spec) {
    if (!bdevs.containsKey(spec.devName())) {
      return failed(RpcException.ENODEV, "there is no bdev '" + spec.devName() + "'");
    }
    if (controllers.containsKey(spec.ctrlr())) {
      return failed(RpcException.EEXIST, "a controller '" + spec.ctrlr() + "' is there already");
    }
    final ControllerInfo controller =
        new ControllerInfo(
            spec,
            "/run/test/vhost/" + spec.ctrlr(),
            0,
            List.of(0, 2),
            List.of(new ControllerInfo.Session(7, true, 2, 5)));
    controllers.put(spec.ctrlr(), controller);
    return CompletableFuture.completedFuture(controller);
  }

  @Override
  public synchronized CompletionStage<Void> deleteController(final String ctrlr) {
    return controllers.remove(ctrlr) == null
        ? failed(RpcException.ENODEV, "there is no controller '" + ctrlr + "'")
        : CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized List<ControllerInfo> controllers() {
    return List.copyOf(controllers.values());
  }

  @Override
  public List<SlaveInfo> slaves() {
    return List.of(
        new SlaveInfo(1, 100, SlaveInfo.State.ACTIVE, 0, List.of(0), 1, "0.1.0", 5, 0, ""),
        new SlaveInfo(2, 101, SlaveInfo.State.STANDBY, -1, List.of(), 0, "0.1.0", 6, 0, ""));
  }

  @Override
  public List<RecoveryInfo> recoveries() {
    return List.of(
        new RecoveryInfo(
            1, 9, 0, RecoveryInfo.Cause.DIED, 99, 100, true, 1, 2, 17, 300, 0, 0, 50, 20, 370, ""));
  }

  @Override
  public CompletionStage<Void> startSlave(final int seat) {
    return seat == 0
        ? failed(RpcException.EBUSY, "seat 0 has a living slave (pid 100)")
        : failed(RpcException.EINVAL, "there is no seat " + seat);
  }

  @Override
  public CompletionStage<UpgradeInfo> upgradeSlaves(final UpgradeSpec spec) {
    return CompletableFuture.completedFuture(
        new UpgradeInfo(
            spec.command().get(0),
            List.of(new UpgradeInfo.Move(List.of(0), 100, 101, true, spec.drainNs() / 1000))));
  }

  @Override
  public MasterInfo master() {
    return new MasterInfo(1, "abc", "/run/test", "0.1.0", 4, false, "");
  }

  @Override
  public Map<String, Long> counters() {
    return Map.of("relayed_messages", 3L);
  }

  private static <T> CompletionStage<T> failed(final int code, final String message) {
    return CompletableFuture.failedFuture(new RpcException(code, message));
  }
}
