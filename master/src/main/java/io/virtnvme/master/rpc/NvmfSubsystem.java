package io.virtnvme.master.rpc;

import java.util.List;

/**
 * A subsystem with everything that was added to it. Immutable.
 *
 * @param namespaces by ascending id; ids, uuids and nguids are filled in
 * @param listeners oldest first
 */
public record NvmfSubsystem(
    NvmfSubsystemSpec spec, List<NvmfNamespaceSpec> namespaces, List<NvmfListenerSpec> listeners) {
  public NvmfSubsystem {
    namespaces = List.copyOf(namespaces);
    listeners = List.copyOf(listeners);
  }
}
