package io.virtnvme.master.rpc.methods;

import io.virtnvme.master.nvme.ControllerIdentity;
import io.virtnvme.master.nvme.HealthLog;
import io.virtnvme.master.nvme.LogRequest;
import io.virtnvme.master.rpc.NvmeControl;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.NvmeErrorRule;
import io.virtnvme.master.rpc.NvmeSettings;
import io.virtnvme.master.rpc.RpcException;
import java.math.BigInteger;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/** NVMe controllers that are only a list; each has one namespace of 8 blocks. */
final class FakeNvme implements NvmeControl {
  static final UUID NAMESPACE_UUID = new UUID(3, 4);
  static final BigInteger UNITS_READ = BigInteger.TWO.pow(100);

  private static final ControllerIdentity IDENTITY =
      new ControllerIdentity(
          0x1B36, 0x1AF4, "S1", "M1", "F1", 0, 5, 0x10400, 256, 0, false, 0, "nqn.s");

  private final Map<String, NvmeControllerInfo> byName = new LinkedHashMap<>();
  private final Map<Integer, NvmeErrorRule> rules = new TreeMap<>();
  private NvmeSettings settings = NvmeSettings.DEFAULT;

  private NvmeControllerInfo require(final String name) {
    final NvmeControllerInfo found = byName.get(name);
    if (found == null) {
      throw new RpcException(RpcException.ENODEV, "there is no NVMe controller " + name);
    }
    return found;
  }

  @Override
  public CompletionStage<NvmeControllerInfo> attach(final NvmeControllerSpec spec) {
    if (byName.containsKey(spec.name())) {
      throw new RpcException(RpcException.EEXIST, "there is a controller " + spec.name());
    }
    final NvmeControllerInfo info =
        info(spec.with(true, List.of(new NvmeControllerSpec.Namespace(1, NAMESPACE_UUID, 512, 8))));
    byName.put(spec.name(), info);
    return CompletableFuture.completedFuture(info);
  }

  private static NvmeControllerInfo info(final NvmeControllerSpec spec) {
    return new NvmeControllerInfo(
        spec, NvmeControllerInfo.State.ENABLED, "ready", "", IDENTITY, List.of(), null);
  }

  private NvmeControllerSpec controllerOf(final String base) {
    for (final NvmeControllerInfo info : byName.values()) {
      if (info.spec().namespace(base) != null) {
        return info.spec();
      }
    }
    throw new RpcException(RpcException.ENODEV, "there is no bdev " + base);
  }

  @Override
  public CompletionStage<NvmeControllerSpec> split(
      final String base, final int count, final long sizeMib) {
    final NvmeControllerSpec spec =
        controllerOf(base).with(new NvmeControllerSpec.Split(1, count, sizeMib, 8 / count));
    byName.put(spec.name(), info(spec));
    return CompletableFuture.completedFuture(spec);
  }

  @Override
  public CompletionStage<Void> unsplit(
      final String base, final Supplier<CompletionStage<Void>> record) {
    final NvmeControllerSpec spec = controllerOf(base);
    byName.put(spec.name(), info(spec.without(spec.split(base))));
    return record.get();
  }

  @Override
  public CompletionStage<NvmeSettings> settings(final UnaryOperator<NvmeSettings> change) {
    settings = change.apply(settings);
    return CompletableFuture.completedFuture(settings);
  }

  @Override
  public NvmeSettings settings() {
    return settings;
  }

  @Override
  public CompletionStage<Void> inject(final String name, final NvmeErrorRule rule) {
    require(name);
    rules.put(rule.opcode(), rule);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> endInjection(final String name, final int opcode) {
    require(name);
    rules.remove(opcode);
    return CompletableFuture.completedFuture(null);
  }

  /** The errors that are made up. */
  List<NvmeErrorRule> rules() {
    return List.copyOf(rules.values());
  }

  /** Answers what it was asked for, in its first bytes. */
  @Override
  public CompletionStage<byte[]> logPage(final String name, final LogRequest request) {
    require(name);
    final byte[] page = new byte[request.lengthBytes()];
    page[0] = (byte) request.id();
    page[1] = (byte) request.namespaceId();
    page[2] = (byte) request.offsetBytes();
    return CompletableFuture.completedFuture(page);
  }

  @Override
  public CompletionStage<Void> detach(final String name) {
    require(name);
    byName.remove(name);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> reset(final String name) {
    require(name);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<HealthLog> health(final String name) {
    require(name);
    final BigInteger none = BigInteger.ZERO;
    return CompletableFuture.completedFuture(
        new HealthLog(
            0, 300, 100, 10, 3, UNITS_READ, none, none, none, none, none, none, none, none, none));
  }

  @Override
  public CompletionStage<byte[]> identify(final String name) {
    require(name);
    return CompletableFuture.completedFuture(new byte[4096]);
  }

  @Override
  public List<NvmeControllerInfo> controllers() {
    return List.copyOf(byName.values());
  }
}
