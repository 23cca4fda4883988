package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.NvmfControl;
import io.virtnvme.master.rpc.NvmfListenerSpec;
import io.virtnvme.master.rpc.NvmfNamespaceSpec;
import io.virtnvme.master.rpc.NvmfSpecs;
import io.virtnvme.master.rpc.NvmfSubsystemInfo;
import io.virtnvme.master.rpc.NvmfSubsystemSpec;
import io.virtnvme.master.rpc.NvmfTransportSpec;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.RpcParams;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletionStage;

/** {@code nvmf_*}: NVMe subsystems whose controllers guests see through vfio-user. */
public final class NvmfMethods {
  /** What SPDK names a front-end that has no name of its own. */
  private static final String NO_HOST = "";

  private final ControlPlane controlPlane;
  private final NvmfControl nvmf;
  private final ChangeLog changes;

  /** Makes the methods; {@link #register} adds them. */
  public NvmfMethods(final ControlPlane controlPlane, final ChangeLog changes) {
    this.controlPlane = controlPlane;
    this.nvmf = controlPlane.nvmf();
    this.changes = changes;
  }

  /** Adds the methods. */
  public void register(final RpcMethods methods) {
    methods.add(
        NvmfSpecs.CREATE_TRANSPORT, NvmfSpecs.CREATE_TRANSPORT_PARAMETERS, this::createTransport);
    methods.add("nvmf_get_transports", List.of("trtype", "tgt_name"), this::getTransports);
    methods.add(
        NvmfSpecs.CREATE_SUBSYSTEM, NvmfSpecs.CREATE_SUBSYSTEM_PARAMETERS, this::createSubsystem);
    methods.add(NvmfSpecs.DELETE_SUBSYSTEM, NvmfSpecs.NQN_PARAMETERS, this::deleteSubsystem);
    methods.add("nvmf_get_subsystems", NvmfSpecs.NQN_PARAMETERS, this::getSubsystems);
    methods.add(NvmfSpecs.ADD_NS, NvmfSpecs.ADD_NS_PARAMETERS, this::addNamespace);
    methods.add(NvmfSpecs.REMOVE_NS, NvmfSpecs.REMOVE_NS_PARAMETERS, this::removeNamespace);
    methods.add(NvmfSpecs.ADD_LISTENER, NvmfSpecs.LISTENER_PARAMETERS, this::addListener);
    methods.add(NvmfSpecs.REMOVE_LISTENER, NvmfSpecs.LISTENER_PARAMETERS, this::removeListener);
    methods.add("nvmf_subsystem_get_listeners", NvmfSpecs.NQN_PARAMETERS, this::getListeners);
    methods.add("nvmf_subsystem_get_controllers", NvmfSpecs.NQN_PARAMETERS, this::getControllers);
    methods.add(NvmfSpecs.ALLOW_ANY_HOST, NvmfSpecs.ALLOW_ANY_HOST_PARAMETERS, this::allowAnyHost);
  }

  /** SPDK's nvmf methods say INVALID_PARAMS where the errno means what was asked for. */
  private static <T> CompletionStage<T> asNvmfError(final CompletionStage<T> stage) {
    return Failures.map(
        stage,
        failure ->
            failure.code() > -1000 && failure.code() < RpcException.INVALID_STATE
                ? failure.withCode(RpcException.INVALID_PARAMS)
                : failure);
  }

  /** For the two creates, SPDK says INTERNAL_ERROR when the name is taken. */
  private static <T> CompletionStage<T> asCreateError(final CompletionStage<T> stage) {
    return Failures.map(
        stage,
        failure ->
            failure.code() == RpcException.EEXIST
                ? failure.withCode(RpcException.INTERNAL_ERROR)
                : failure);
  }

  private CompletionStage<JsonNode> recorded(
      final CompletionStage<Void> done, final String method, final ObjectNode params) {
    return done.thenCompose(changed -> changes.append(method, params))
        .thenApply(written -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> createTransport(final RpcParams params) {
    final NvmfTransportSpec spec = NvmfSpecs.transport(params);
    return recorded(
        asCreateError(nvmf.createTransport(spec)), params.method(), NvmfSpecs.toParams(spec));
  }

  private CompletionStage<JsonNode> getTransports(final RpcParams params) {
    final NvmfTransportSpec spec = nvmf.state().transport();
    final String asked = params.optionalString("trtype", NvmfSpecs.TRANSPORT);
    final boolean isOurs = asked.equalsIgnoreCase(NvmfSpecs.TRANSPORT);
    if (params.has("trtype") && (spec == null || !isOurs)) {
      throw new RpcException(
          RpcException.INVALID_PARAMS,
          "Transport type '" + asked + "' does not exist; nvmf_create_transport makes one");
    }
    final ArrayNode answer = JsonNodeFactory.instance.arrayNode();
    if (spec != null) {
      answer.add(NvmfSpecs.toParams(spec));
    }
    return RpcMethods.answer(answer);
  }

  private CompletionStage<JsonNode> createSubsystem(final RpcParams params) {
    final NvmfSubsystemSpec spec = NvmfSpecs.subsystem(params);
    return recorded(
        asCreateError(nvmf.createSubsystem(spec)), params.method(), NvmfSpecs.toParams(spec));
  }

  private CompletionStage<JsonNode> deleteSubsystem(final RpcParams params) {
    final String nqn = NvmfSpecs.nqn(params);
    return recorded(
        asNvmfError(nvmf.deleteSubsystem(nqn)),
        params.method(),
        JsonNodeFactory.instance.objectNode().put("nqn", nqn));
  }

  private CompletionStage<JsonNode> allowAnyHost(final RpcParams params) {
    final String nqn = NvmfSpecs.nqn(params);
    if (!params.has("allow_any_host")) {
      throw params.invalid("allow_any_host", "true or false");
    }
    final boolean allow = params.optionalBoolean("allow_any_host", false);
    return recorded(
        asNvmfError(nvmf.allowAnyHost(nqn, allow)),
        params.method(),
        JsonNodeFactory.instance.objectNode().put("nqn", nqn).put("allow_any_host", allow));
  }

  private CompletionStage<JsonNode> addNamespace(final RpcParams params) {
    final String nqn = NvmfSpecs.nqn(params);
    final NvmfNamespaceSpec asked = NvmfSpecs.namespace(params);
    final BdevInfo bdev = Lookup.bdev(controlPlane, asked.bdevName());
    // An unknown name goes on as it is: only the control plane knows what is being made just now.
    final NvmfNamespaceSpec spec =
        new NvmfNamespaceSpec(
            asked.nsid(),
            bdev == null ? asked.bdevName() : bdev.spec().name(),
            asked.uuid(),
            asked.nguid(),
            asked.eui64());
    return asNvmfError(nvmf.addNamespace(nqn, spec))
        .thenCompose(
            added ->
                changes
                    .append(params.method(), NvmfSpecs.toParams(nqn, added))
                    .thenApply(written -> IntNode.valueOf(added.nsid())));
  }

  private CompletionStage<JsonNode> removeNamespace(final RpcParams params) {
    final String nqn = NvmfSpecs.nqn(params);
    final int nsid = params.requireInt("nsid", 1, Integer.MAX_VALUE);
    return recorded(
        asNvmfError(nvmf.removeNamespace(nqn, nsid)),
        params.method(),
        JsonNodeFactory.instance.objectNode().put("nqn", nqn).put("nsid", nsid));
  }

  private CompletionStage<JsonNode> addListener(final RpcParams params) {
    final String nqn = NvmfSpecs.nqn(params);
    final NvmfListenerSpec spec = NvmfSpecs.listener(params);
    return recorded(
        asNvmfError(nvmf.addListener(nqn, spec)), params.method(), NvmfSpecs.toParams(nqn, spec));
  }

  private CompletionStage<JsonNode> removeListener(final RpcParams params) {
    final String nqn = NvmfSpecs.nqn(params);
    final NvmfListenerSpec spec = NvmfSpecs.listener(params);
    return recorded(
        asNvmfError(nvmf.removeListener(nqn, spec.traddr())),
        params.method(),
        NvmfSpecs.toParams(nqn, spec));
  }

  private NvmfSubsystemInfo require(final RpcParams params) {
    final String nqn = NvmfSpecs.nqn(params);
    for (final NvmfSubsystemInfo info : nvmf.subsystems()) {
      if (info.subsystem().spec().nqn().equals(nqn)) {
        return info;
      }
    }
    throw new RpcException(
        RpcException.INVALID_PARAMS,
        "Subsystem with NQN '" + nqn + "' not found; nvmf_get_subsystems lists those there are");
  }

  private CompletionStage<JsonNode> getSubsystems(final RpcParams params) {
    final ArrayNode answer = JsonNodeFactory.instance.arrayNode();
    if (params.has("nqn")) {
      answer.add(json(require(params)));
    } else {
      nvmf.subsystems().forEach(info -> answer.add(json(info)));
    }
    return RpcMethods.answer(answer);
  }

  private static ObjectNode json(final NvmfSubsystemInfo info) {
    final NvmfSubsystemSpec spec = info.subsystem().spec();
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("nqn", spec.nqn()).put("subtype", "NVMe");
    final ArrayNode addresses = json.putArray("listen_addresses");
    info.subsystem().listeners().forEach(listener -> addresses.add(NvmfSpecs.toAddress(listener)));
    json.put("allow_any_host", spec.allowAnyHost());
    json.putArray("hosts");
    json.put("serial_number", spec.serialNumber());
    json.put("model_number", spec.modelNumber());
    json.put("max_namespaces", spec.maxNamespaces());
    json.put("passthrough", false);
    json.put("min_cntlid", spec.minCntlid());
    json.put("max_cntlid", spec.maxCntlid());
    final ArrayNode namespaces = json.putArray("namespaces");
    for (final NvmfNamespaceSpec namespace : info.subsystem().namespaces()) {
      final ObjectNode one =
          namespaces
              .addObject()
              .put("nsid", namespace.nsid())
              .put("bdev_name", namespace.bdevName())
              .put("name", namespace.bdevName())
              .put("nguid", namespace.nguid().toUpperCase(Locale.ROOT));
      if (!namespace.eui64().isEmpty()) {
        one.put("eui64", namespace.eui64().toUpperCase(Locale.ROOT));
      }
      one.put("uuid", namespace.uuid().toString());
    }
    json.put("seat", info.seat());
    return json;
  }

  private CompletionStage<JsonNode> getListeners(final RpcParams params) {
    final ArrayNode answer = JsonNodeFactory.instance.arrayNode();
    for (final NvmfListenerSpec listener : require(params).subsystem().listeners()) {
      answer.addObject().set("address", NvmfSpecs.toAddress(listener));
    }
    return RpcMethods.answer(answer);
  }

  private CompletionStage<JsonNode> getControllers(final RpcParams params) {
    final ArrayNode answer = JsonNodeFactory.instance.arrayNode();
    for (final NvmfSubsystemInfo.Controller controller : require(params).controllers()) {
      answer
          .addObject()
          .put("cntlid", controller.cntlid())
          .put("cntrltype", "io")
          .put("hostnqn", NO_HOST)
          .put("hostid", "00000000-0000-0000-0000-000000000000")
          .put("num_io_qpairs", controller.ioQueues())
          .put("traddr", controller.traddr())
          .put("session", controller.sessionId());
    }
    return RpcMethods.answer(answer);
  }
}
