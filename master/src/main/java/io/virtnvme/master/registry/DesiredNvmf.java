package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.master.rpc.NvmfListenerSpec;
import io.virtnvme.master.rpc.NvmfNamespaceSpec;
import io.virtnvme.master.rpc.NvmfSpecs;
import io.virtnvme.master.rpc.NvmfState;
import io.virtnvme.master.rpc.NvmfSubsystem;
import io.virtnvme.master.rpc.NvmfSubsystemSpec;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcParams;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The part of {@link DesiredState} that the {@code nvmf_*} calls make. Used by one thread at a
 * time.
 */
final class DesiredNvmf {
  private NvmfState state = NvmfState.EMPTY;

  DesiredNvmf() {}

  DesiredNvmf(final DesiredNvmf other) {
    state = other.state;
  }

  NvmfState state() {
    return state;
  }

  /** Applies a recorded call; false when its method is not one of ours. */
  boolean apply(final String method, final JsonNode params, final Set<String> bdevs) {
    switch (method) {
      case NvmfSpecs.CREATE_TRANSPORT ->
          state =
              new NvmfState(
                  NvmfSpecs.transport(
                      RpcParams.of(method, params, NvmfSpecs.CREATE_TRANSPORT_PARAMETERS)),
                  state.subsystems());
      case NvmfSpecs.CREATE_SUBSYSTEM ->
          create(
              NvmfSpecs.subsystem(
                  RpcParams.of(method, params, NvmfSpecs.CREATE_SUBSYSTEM_PARAMETERS)));
      case NvmfSpecs.DELETE_SUBSYSTEM ->
          delete(NvmfSpecs.nqn(RpcParams.of(method, params, NvmfSpecs.NQN_PARAMETERS)));
      case NvmfSpecs.ALLOW_ANY_HOST ->
          allow(RpcParams.of(method, params, NvmfSpecs.ALLOW_ANY_HOST_PARAMETERS));
      case NvmfSpecs.ADD_NS ->
          addNamespace(RpcParams.of(method, params, NvmfSpecs.ADD_NS_PARAMETERS), bdevs);
      case NvmfSpecs.REMOVE_NS ->
          removeNamespace(RpcParams.of(method, params, NvmfSpecs.REMOVE_NS_PARAMETERS));
      case NvmfSpecs.ADD_LISTENER ->
          addListener(RpcParams.of(method, params, NvmfSpecs.LISTENER_PARAMETERS));
      case NvmfSpecs.REMOVE_LISTENER ->
          removeListener(RpcParams.of(method, params, NvmfSpecs.LISTENER_PARAMETERS));
      default -> {
        return false;
      }
    }
    return true;
  }

  private Map<String, NvmfSubsystem> byNqn() {
    final Map<String, NvmfSubsystem> found = new LinkedHashMap<>();
    state.subsystems().forEach(subsystem -> found.put(subsystem.spec().nqn(), subsystem));
    return found;
  }

  private NvmfSubsystem require(final String nqn) {
    final NvmfSubsystem found = byNqn().get(nqn);
    if (found == null) {
      throw new RpcException(RpcException.ENODEV, "no subsystem " + nqn);
    }
    return found;
  }

  private void put(final NvmfSubsystem subsystem) {
    final Map<String, NvmfSubsystem> all = byNqn();
    all.put(subsystem.spec().nqn(), subsystem);
    state = new NvmfState(state.transport(), List.copyOf(all.values()));
  }

  private void create(final NvmfSubsystemSpec spec) {
    if (byNqn().containsKey(spec.nqn())) {
      throw new RpcException(
          RpcException.EEXIST, "a subsystem " + spec.nqn() + " is there already");
    }
    put(new NvmfSubsystem(spec, List.of(), List.of()));
  }

  private void delete(final String nqn) {
    require(nqn);
    final Map<String, NvmfSubsystem> all = byNqn();
    all.remove(nqn);
    state = new NvmfState(state.transport(), List.copyOf(all.values()));
  }

  private void allow(final RpcParams params) {
    final NvmfSubsystem subsystem = require(NvmfSpecs.nqn(params));
    put(
        new NvmfSubsystem(
            subsystem.spec().withAllowAnyHost(params.optionalBoolean("allow_any_host", false)),
            subsystem.namespaces(),
            subsystem.listeners()));
  }

  private void addNamespace(final RpcParams params, final Set<String> bdevs) {
    final NvmfSubsystem subsystem = require(NvmfSpecs.nqn(params));
    final NvmfNamespaceSpec added = NvmfSpecs.namespace(params);
    if (!bdevs.contains(added.bdevName())) {
      throw new RpcException(
          RpcException.ENODEV, "namespace of " + added.bdevName() + ", which is gone");
    }
    final List<NvmfNamespaceSpec> namespaces = new ArrayList<>();
    for (final NvmfNamespaceSpec namespace : subsystem.namespaces()) {
      if (namespace.nsid() == added.nsid()) {
        throw new RpcException(
            RpcException.EEXIST, "a namespace " + added.nsid() + " is there already");
      }
      namespaces.add(namespace);
    }
    namespaces.add(added);
    namespaces.sort(Comparator.comparingInt(NvmfNamespaceSpec::nsid));
    put(new NvmfSubsystem(subsystem.spec(), namespaces, subsystem.listeners()));
  }

  private void removeNamespace(final RpcParams params) {
    final NvmfSubsystem subsystem = require(NvmfSpecs.nqn(params));
    final int nsid = params.requireInt("nsid", 1, Integer.MAX_VALUE);
    final List<NvmfNamespaceSpec> left =
        subsystem.namespaces().stream().filter(namespace -> namespace.nsid() != nsid).toList();
    if (left.size() == subsystem.namespaces().size()) {
      throw new RpcException(RpcException.ENODEV, "no namespace " + nsid);
    }
    put(new NvmfSubsystem(subsystem.spec(), left, subsystem.listeners()));
  }

  private void addListener(final RpcParams params) {
    final NvmfSubsystem subsystem = require(NvmfSpecs.nqn(params));
    final NvmfListenerSpec added = NvmfSpecs.listener(params);
    final List<NvmfListenerSpec> listeners = new ArrayList<>(subsystem.listeners());
    listeners.removeIf(listener -> listener.traddr().equals(added.traddr()));
    listeners.add(added);
    put(new NvmfSubsystem(subsystem.spec(), subsystem.namespaces(), listeners));
  }

  private void removeListener(final RpcParams params) {
    final NvmfSubsystem subsystem = require(NvmfSpecs.nqn(params));
    final String traddr = NvmfSpecs.listener(params).traddr();
    final List<NvmfListenerSpec> left =
        subsystem.listeners().stream()
            .filter(listener -> !listener.traddr().equals(traddr))
            .toList();
    if (left.size() == subsystem.listeners().size()) {
      throw new RpcException(RpcException.ENODEV, "no listener at " + traddr);
    }
    put(new NvmfSubsystem(subsystem.spec(), subsystem.namespaces(), left));
  }
}
