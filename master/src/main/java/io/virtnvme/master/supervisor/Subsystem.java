package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.master.relay.Listener;
import io.virtnvme.master.rpc.NvmfListenerSpec;
import io.virtnvme.master.rpc.NvmfNamespaceSpec;
import io.virtnvme.master.rpc.NvmfSubsystem;
import io.virtnvme.master.rpc.NvmfSubsystemSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** An NVMe subsystem that exists. Conductor thread. */
final class Subsystem {
  /** A namespace and the number by which slaves know its bdev. */
  record Namespace(NvmfNamespaceSpec spec, long bdevId) {}

  /** A listener; the socket is null when it could not be made. */
  record Door(NvmfListenerSpec spec, Listener listener) {}

  private final Map<Integer, Namespace> namespaces = new TreeMap<>();
  private final Map<String, Door> doors = new LinkedHashMap<>();
  private NvmfSubsystemSpec spec;
  private int seat;

  Subsystem(final NvmfSubsystemSpec spec, final int seat) {
    this.spec = spec;
    this.seat = seat;
  }

  String nqn() {
    return spec.nqn();
  }

  NvmfSubsystemSpec spec() {
    return spec;
  }

  void spec(final NvmfSubsystemSpec newSpec) {
    spec = newSpec;
  }

  /** The seat that all its namespaces belong to. */
  int seat() {
    return seat;
  }

  void seat(final int newSeat) {
    seat = newSeat;
  }

  Map<Integer, Namespace> namespaces() {
    return namespaces;
  }

  Map<String, Door> doors() {
    return doors;
  }

  /** The namespace of a bdev, or null. */
  Namespace namespaceOf(final String bdevName) {
    for (final Namespace namespace : namespaces.values()) {
      if (namespace.spec().bdevName().equals(bdevName)) {
        return namespace;
      }
    }
    return null;
  }

  /** The lowest namespace id that is not in use, 0 when there is none. */
  int freeNsid() {
    for (int nsid = 1; nsid <= spec.maxNamespaces(); nsid++) {
      if (!namespaces.containsKey(nsid)) {
        return nsid;
      }
    }
    return 0;
  }

  /** What slaves are told. */
  List<NvmeDescription.Namespace> describeNamespaces() {
    final List<NvmeDescription.Namespace> described = new ArrayList<>();
    for (final Namespace namespace : namespaces.values()) {
      described.add(
          new NvmeDescription.Namespace(
              namespace.spec().nsid(),
              namespace.bdevId(),
              namespace.spec().uuid(),
              namespace.spec().nguid(),
              namespace.spec().eui64()));
    }
    return described;
  }

  /** What the control plane is told. */
  NvmfSubsystem describe() {
    return new NvmfSubsystem(
        spec,
        namespaces.values().stream().map(Namespace::spec).toList(),
        doors.values().stream().map(Door::spec).toList());
  }
}
