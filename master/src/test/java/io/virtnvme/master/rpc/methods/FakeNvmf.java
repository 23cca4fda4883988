package io.virtnvme.master.rpc.methods;

import io.virtnvme.master.rpc.NvmfControl;
import io.virtnvme.master.rpc.NvmfListenerSpec;
import io.virtnvme.master.rpc.NvmfNamespaceSpec;
import io.virtnvme.master.rpc.NvmfSpecs;
import io.virtnvme.master.rpc.NvmfState;
import io.virtnvme.master.rpc.NvmfSubsystem;
import io.virtnvme.master.rpc.NvmfSubsystemInfo;
import io.virtnvme.master.rpc.NvmfSubsystemSpec;
import io.virtnvme.master.rpc.NvmfTransportSpec;
import io.virtnvme.master.rpc.RpcException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.UnaryOperator;

/** NVMe subsystems that are only a list. */
final class FakeNvmf implements NvmfControl {
  static final UUID UUID_OF_BDEV = new UUID(1, 2);

  private final Map<String, NvmfSubsystem> byNqn = new LinkedHashMap<>();
  private NvmfTransportSpec transport;

  private static <T> CompletionStage<T> failed(final int code, final String text) {
    return CompletableFuture.failedFuture(new RpcException(code, text));
  }

  private CompletionStage<Void> change(
      final String nqn, final UnaryOperator<NvmfSubsystem> change) {
    final NvmfSubsystem before = byNqn.get(nqn);
    if (before == null) {
      return failed(RpcException.ENODEV, "there is no subsystem " + nqn);
    }
    byNqn.put(nqn, change.apply(before));
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized CompletionStage<Void> createTransport(final NvmfTransportSpec spec) {
    if (transport != null) {
      return failed(RpcException.EEXIST, "there is a transport");
    }
    transport = spec;
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized CompletionStage<Void> createSubsystem(final NvmfSubsystemSpec spec) {
    if (byNqn.containsKey(spec.nqn())) {
      return failed(RpcException.EEXIST, "there is a subsystem " + spec.nqn());
    }
    byNqn.put(spec.nqn(), new NvmfSubsystem(spec, List.of(), List.of()));
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized CompletionStage<Void> deleteSubsystem(final String nqn) {
    return byNqn.remove(nqn) == null
        ? failed(RpcException.ENODEV, "there is no subsystem " + nqn)
        : CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized CompletionStage<Void> allowAnyHost(final String nqn, final boolean allow) {
    return change(
        nqn,
        subsystem ->
            new NvmfSubsystem(
                subsystem.spec().withAllowAnyHost(allow),
                subsystem.namespaces(),
                subsystem.listeners()));
  }

  @Override
  public synchronized CompletionStage<NvmfNamespaceSpec> addNamespace(
      final String nqn, final NvmfNamespaceSpec spec) {
    final UUID uuid = spec.uuid() == null ? UUID_OF_BDEV : spec.uuid();
    final NvmfSubsystem before = byNqn.get(nqn);
    final NvmfNamespaceSpec added =
        new NvmfNamespaceSpec(
            spec.nsid() == 0 && before != null ? before.namespaces().size() + 1 : spec.nsid(),
            spec.bdevName(),
            uuid,
            spec.nguid().isEmpty() ? NvmfSpecs.nguidOf(uuid) : spec.nguid(),
            spec.eui64());
    return change(
            nqn,
            subsystem -> {
              final List<NvmfNamespaceSpec> more = new ArrayList<>(subsystem.namespaces());
              more.add(added);
              return new NvmfSubsystem(subsystem.spec(), more, subsystem.listeners());
            })
        .thenApply(done -> added);
  }

  @Override
  public synchronized CompletionStage<Void> removeNamespace(final String nqn, final int nsid) {
    return change(
        nqn,
        subsystem ->
            new NvmfSubsystem(
                subsystem.spec(),
                subsystem.namespaces().stream().filter(ns -> ns.nsid() != nsid).toList(),
                subsystem.listeners()));
  }

  @Override
  public synchronized CompletionStage<Void> addListener(
      final String nqn, final NvmfListenerSpec spec) {
    return change(
        nqn,
        subsystem -> {
          final List<NvmfListenerSpec> more = new ArrayList<>(subsystem.listeners());
          more.add(spec);
          return new NvmfSubsystem(subsystem.spec(), subsystem.namespaces(), more);
        });
  }

  @Override
  public synchronized CompletionStage<Void> removeListener(final String nqn, final String traddr) {
    return change(
        nqn,
        subsystem ->
            new NvmfSubsystem(
                subsystem.spec(),
                subsystem.namespaces(),
                subsystem.listeners().stream()
                    .filter(listener -> !listener.traddr().equals(traddr))
                    .toList()));
  }

  @Override
  public synchronized List<NvmfSubsystemInfo> subsystems() {
    return byNqn.values().stream()
        .map(subsystem -> new NvmfSubsystemInfo(subsystem, 0, List.of()))
        .toList();
  }

  @Override
  public synchronized NvmfState state() {
    return new NvmfState(transport, List.copyOf(byNqn.values()));
  }
}
