package io.virtnvme.master.supervisor;

import io.virtnvme.master.rpc.NvmfControl;
import io.virtnvme.master.rpc.NvmfListenerSpec;
import io.virtnvme.master.rpc.NvmfNamespaceSpec;
import io.virtnvme.master.rpc.NvmfState;
import io.virtnvme.master.rpc.NvmfSubsystemInfo;
import io.virtnvme.master.rpc.NvmfSubsystemSpec;
import io.virtnvme.master.rpc.NvmfTransportSpec;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * NVMe subsystems as RPC threads see them: changes go through the one queue of {@link
 * ConductorControlPlane}, questions are answered from what was published last.
 */
final class ConductorNvmf implements NvmfControl {
  /** Puts a change into the queue. */
  interface Changes {
    <T> CompletionStage<T> change(Supplier<CompletableFuture<T>> work);
  }

  /** What can be asked for at any moment; replaced whole. */
  private record Snapshot(List<NvmfSubsystemInfo> subsystems, NvmfState state) {}

  private final Supplier<Subsystems> subsystems;
  private final Changes changes;
  private final Consumer<String> usable;
  private volatile Snapshot snapshot = new Snapshot(List.of(), NvmfState.EMPTY);

  /** {@code usable} throws for a bdev that cannot be a namespace. */
  ConductorNvmf(
      final Supplier<Subsystems> subsystems, final Changes changes, final Consumer<String> usable) {
    this.subsystems = subsystems;
    this.changes = changes;
    this.usable = usable;
  }

  /** Conductor thread. */
  void publish() {
    snapshot = new Snapshot(subsystems.get().infos(), subsystems.get().state());
  }

  private CompletionStage<Void> at(final Runnable work) {
    return changes.change(
        () -> {
          work.run();
          return CompletableFuture.completedFuture(null);
        });
  }

  @Override
  public CompletionStage<Void> createTransport(final NvmfTransportSpec spec) {
    return at(() -> subsystems.get().createTransport(spec));
  }

  @Override
  public CompletionStage<Void> createSubsystem(final NvmfSubsystemSpec spec) {
    return at(() -> subsystems.get().create(spec));
  }

  @Override
  public CompletionStage<Void> deleteSubsystem(final String nqn) {
    return at(() -> subsystems.get().delete(nqn));
  }

  @Override
  public CompletionStage<Void> allowAnyHost(final String nqn, final boolean allow) {
    return at(() -> subsystems.get().allowAnyHost(nqn, allow));
  }

  @Override
  public CompletionStage<NvmfNamespaceSpec> addNamespace(
      final String nqn, final NvmfNamespaceSpec spec) {
    return changes.change(
        () -> {
          usable.accept(spec.bdevName());
          return subsystems.get().addNamespace(nqn, spec);
        });
  }

  @Override
  public CompletionStage<Void> removeNamespace(final String nqn, final int nsid) {
    return changes.change(() -> subsystems.get().removeNamespace(nqn, nsid));
  }

  @Override
  public CompletionStage<Void> addListener(final String nqn, final NvmfListenerSpec spec) {
    return at(() -> subsystems.get().addListener(nqn, spec));
  }

  @Override
  public CompletionStage<Void> removeListener(final String nqn, final String traddr) {
    return at(() -> subsystems.get().removeListener(nqn, traddr));
  }

  @Override
  public List<NvmfSubsystemInfo> subsystems() {
    return snapshot.subsystems;
  }

  @Override
  public NvmfState state() {
    return snapshot.state;
  }
}
