package io.virtnvme.master.supervisor;

import io.virtnvme.master.nvme.HealthLog;
import io.virtnvme.master.nvme.LogRequest;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.rpc.NvmeControl;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.NvmeErrorRule;
import io.virtnvme.master.rpc.NvmeSettings;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * NVMe devices as RPC threads see them. Only the short parts of a change go through the one queue
 * of {@link ConductorControlPlane}: a device that takes its time holds up no other change.
 */
final class ConductorNvme implements NvmeControl {
  private final Supplier<Devices> devices;
  private final ConductorNvmf.Changes changes;
  private volatile List<NvmeControllerInfo> snapshot = List.of();
  private volatile NvmeSettings settings = NvmeSettings.DEFAULT;

  ConductorNvme(final Supplier<Devices> devices, final ConductorNvmf.Changes changes) {
    this.devices = devices;
    this.changes = changes;
  }

  /** Conductor thread. */
  void publish() {
    snapshot = devices.get().infos();
    settings = devices.get().settings();
  }

  private <T> CompletionStage<T> at(final Supplier<T> work) {
    return changes.change(() -> CompletableFuture.completedFuture(work.get()));
  }

  /** Begins something on the conductor that is not waited for by other changes. */
  private <T> CompletionStage<T> beside(final Supplier<CompletableFuture<T>> work) {
    return this.<CompletableFuture<T>>at(work).thenCompose(Function.identity());
  }

  @Override
  public CompletionStage<NvmeControllerInfo> attach(final NvmeControllerSpec spec) {
    return at(() -> devices.get().begin(spec))
        .thenCompose(
            entry ->
                devices
                    .get()
                    .bringUp(entry)
                    .thenCompose(found -> changes.change(() -> devices.get().finish(entry, found)))
                    .exceptionallyCompose(failure -> giveUp(entry, failure)));
  }

  private CompletableFuture<NvmeControllerInfo> giveUp(
      final DeviceEntry entry, final Throwable failure) {
    return devices
        .get()
        .giveUp(entry)
        .thenCompose(
            done ->
                shown(null)
                    .thenCompose(
                        shown -> CompletableFuture.failedFuture(Elsewhere.cause(failure))));
  }

  /** The same when the lists show what has happened. */
  private <T> CompletionStage<T> shown(final T value) {
    return at(() -> value);
  }

  @Override
  public CompletionStage<Void> detach(final String name) {
    return changes
        .change(() -> devices.get().beginDetach(name))
        .thenCompose(entry -> devices.get().giveUp(entry))
        .thenCompose(done -> shown(null));
  }

  @Override
  public CompletionStage<Void> reset(final String name) {
    return this.<Void>beside(() -> devices.get().reset(name, "an operator asked for it"))
        .thenCompose(done -> shown(null));
  }

  @Override
  public CompletionStage<NvmeControllerSpec> split(
      final String base, final int count, final long sizeMib) {
    return changes.change(() -> devices.get().splits().create(base, count, sizeMib));
  }

  @Override
  public CompletionStage<Void> unsplit(
      final String base, final Supplier<CompletionStage<Void>> record) {
    return changes
        .change(() -> devices.get().splits().delete(base))
        .thenCompose(departure -> record.get().thenCompose(recorded -> departure.end()));
  }

  @Override
  public CompletionStage<NvmeSettings> settings(final UnaryOperator<NvmeSettings> change) {
    return at(
        () -> {
          final NvmeSettings now = change.apply(devices.get().settings());
          devices.get().settings(now);
          return now;
        });
  }

  @Override
  public NvmeSettings settings() {
    return settings;
  }

  @Override
  public CompletionStage<Void> inject(final String name, final NvmeErrorRule rule) {
    return at(
        () -> {
          devices.get().inject(name, rule);
          return null;
        });
  }

  @Override
  public CompletionStage<Void> endInjection(final String name, final int opcode) {
    return at(
        () -> {
          devices.get().endInjection(name, opcode);
          return null;
        });
  }

  @Override
  public CompletionStage<byte[]> logPage(final String name, final LogRequest request) {
    return beside(() -> devices.get().ask(name, device -> device.logPage(request)));
  }

  @Override
  public CompletionStage<HealthLog> health(final String name) {
    return beside(() -> devices.get().ask(name, NvmeDevice::health));
  }

  @Override
  public CompletionStage<byte[]> identify(final String name) {
    return beside(() -> devices.get().ask(name, NvmeDevice::identifyData));
  }

  @Override
  public List<NvmeControllerInfo> controllers() {
    return snapshot;
  }
}
