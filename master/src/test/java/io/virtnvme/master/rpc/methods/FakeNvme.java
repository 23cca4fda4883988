package io.virtnvme.master.rpc.methods;

import io.virtnvme.master.nvme.ControllerIdentity;
import io.virtnvme.master.nvme.HealthLog;
import io.virtnvme.master.rpc.NvmeControl;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.RpcException;
import java.math.BigInteger;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** NVMe controllers that are only a list; each has one namespace of 8 blocks. */
final class FakeNvme implements NvmeControl {
  static final UUID NAMESPACE_UUID = new UUID(3, 4);
  static final BigInteger UNITS_READ = BigInteger.TWO.pow(100);

  private static final ControllerIdentity IDENTITY =
      new ControllerIdentity(
          0x1B36, 0x1AF4, "S1", "M1", "F1", 0, 5, 0x10400, 256, 0, false, 0, "nqn.s");

  private final Map<String, NvmeControllerInfo> byName = new LinkedHashMap<>();

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
        new NvmeControllerInfo(
            spec.with(true, List.of(new NvmeControllerSpec.Namespace(1, NAMESPACE_UUID, 512, 8))),
            NvmeControllerInfo.State.ENABLED,
            "ready",
            "",
            IDENTITY,
            List.of(),
            null);
    byName.put(spec.name(), info);
    return CompletableFuture.completedFuture(info);
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
