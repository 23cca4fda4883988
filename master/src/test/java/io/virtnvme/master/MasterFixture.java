package io.virtnvme.master;

import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.SlaveInfo;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** What tests of a whole master share. */
final class MasterFixture {
  private MasterFixture() {}

  static MasterContext context(final Path runDirectory, final FakeProcesses processes) {
    return new MasterContext()
        .runDirectory(runDirectory)
        .slaveCommand(List.of("none"))
        .processes(processes)
        .hangNsMax(0)
        .stopNsMax(300_000_000)
        .standbyCount(0)
        .standbyStartDelayNs(1_000_000);
  }

  static BdevSpec nullBdev(final String name) {
    return bdev(name, BdevMethod.NULL, 512, 1024, "");
  }

  static BdevSpec bdev(
      final String name,
      final BdevMethod method,
      final int blockSize,
      final long blocks,
      final String file) {
    return new BdevSpec(name, method, UUID.randomUUID(), blockSize, blocks, file, false);
  }

  static BlkControllerSpec controller(final String name, final String bdev) {
    return new BlkControllerSpec(name, bdev, "", false, false, 0);
  }

  static <T> T get(final CompletionStage<T> stage) {
    try {
      return stage.toCompletableFuture().get(10, TimeUnit.SECONDS);
    } catch (final ExecutionException e) {
      if (e.getCause() instanceof RpcException expected) {
        throw expected;
      }
      throw new IllegalStateException(e);
    } catch (final InterruptedException | TimeoutException e) {
      throw new IllegalStateException(e);
    }
  }

  static List<SlaveInfo.State> states(final ControlPlane plane) {
    return plane.slaves().stream().map(SlaveInfo::state).toList();
  }

  static BdevInfo bdevOf(final ControlPlane plane, final String name) {
    return plane.bdevs().stream().filter(b -> b.spec().name().equals(name)).findFirst().get();
  }
}
