package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.ControllerInfo;
import io.virtnvme.master.rpc.ControllerSpecs;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.RpcParams;
import java.math.BigInteger;
import java.util.List;
import java.util.concurrent.CompletionStage;

/** {@code vhost_*}: make, delete and list vhost-user-blk controllers. */
public final class VhostMethods {
  private static final int COALESCING_IOPS_THRESHOLD = 60000;

  private final ControlPlane controlPlane;
  private final ChangeLog changes;

  /** Makes the methods; {@link #register} adds them. */
  public VhostMethods(final ControlPlane controlPlane, final ChangeLog changes) {
    this.controlPlane = controlPlane;
    this.changes = changes;
  }

  /** Adds the methods. */
  public void register(final RpcMethods methods) {
    methods.add(ControllerSpecs.CREATE_METHOD, ControllerSpecs.PARAMETERS, this::create);
    methods.add("vhost_delete_controller", List.of("ctrlr"), this::delete);
    methods.add("vhost_get_controllers", List.of("name"), this::getControllers);
    methods.add("virtio_blk_get_transports", List.of("name"), this::getTransports);
  }

  private CompletionStage<JsonNode> create(final RpcParams params) {
    final BlkControllerSpec asked = ControllerSpecs.parse(params);
    final BdevInfo bdev = Lookup.bdev(controlPlane, asked.devName());
    // An unknown name goes on as it is: only the control plane knows what is being made just now.
    final BlkControllerSpec spec =
        new BlkControllerSpec(
            asked.ctrlr(),
            bdev == null ? asked.devName() : bdev.spec().name(),
            asked.cpumask(),
            asked.readOnly(),
            asked.packedRing(),
            asked.numQueues(),
            asked.transport());
    return asVhostError(controlPlane.createBlkController(spec))
        .thenCompose(
            made -> changes.append(ControllerSpecs.CREATE_METHOD, ControllerSpecs.toParams(spec)))
        .thenApply(recorded -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> delete(final RpcParams params) {
    final String ctrlr = params.requireString("ctrlr");
    final ObjectNode recorded = JsonNodeFactory.instance.objectNode().put("ctrlr", ctrlr);
    return asVhostError(controlPlane.deleteController(ctrlr))
        .thenCompose(deleted -> changes.append(params.method(), recorded))
        .thenApply(done -> BooleanNode.getTrue());
  }

  /** SPDK's vhost methods answer every errno with INVALID_PARAMS and the errno's words. */
  private static <T> CompletionStage<T> asVhostError(final CompletionStage<T> stage) {
    return Failures.map(
        stage,
        failure ->
            failure.code() > -1000 && failure.code() < RpcException.INVALID_STATE
                ? failure.withCode(RpcException.INVALID_PARAMS)
                : failure);
  }

  private CompletionStage<JsonNode> getControllers(final RpcParams params) {
    final String name = params.optionalString("name", null);
    final ArrayNode answer = JsonNodeFactory.instance.arrayNode();
    for (final ControllerInfo controller : controlPlane.controllers()) {
      if (name == null || controller.spec().ctrlr().equals(name)) {
        answer.add(info(controller));
      }
    }
    if (name != null && answer.isEmpty()) {
      throw new RpcException(
          RpcException.ENODEV,
          "there is no controller '" + name + "'; vhost_get_controllers lists those there are");
    }
    return RpcMethods.answer(answer);
  }

  private static ObjectNode info(final ControllerInfo controller) {
    final BlkControllerSpec spec = controller.spec();
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("ctrlr", spec.ctrlr());
    json.put("cpumask", cpumask(controller.cores()));
    json.put("delay_base_us", 0);
    json.put("iops_threshold", COALESCING_IOPS_THRESHOLD);
    json.put("socket", controller.socketPath());
    final ArrayNode sessions = json.putArray("sessions");
    for (final ControllerInfo.Session session : controller.sessions()) {
      sessions
          .addObject()
          .put("vid", session.id())
          .put("id", session.id())
          .put("name", spec.ctrlr() + "s" + session.id())
          .put("started", session.started())
          .put("max_queues", session.queues())
          .put("inflight_task_cnt", session.inflight());
    }
    json.putObject("backend_specific")
        .putObject("block")
        .put("readonly", spec.readOnly())
        .put("bdev", spec.devName())
        .put("transport", spec.transport().word())
        .put("packed_ring", spec.packedRing())
        .put("seat", controller.seat());
    return json;
  }

  private static String cpumask(final List<Integer> cores) {
    BigInteger mask = BigInteger.ZERO;
    for (final int core : cores) {
      mask = mask.setBit(core);
    }
    return "0x" + mask.toString(16);
  }

  private CompletionStage<JsonNode> getTransports(final RpcParams params) {
    final String name = params.optionalWord("name", ControllerSpecs.TRANSPORTS, null);
    final ArrayNode answer = JsonNodeFactory.instance.arrayNode();
    for (final String transport : ControllerSpecs.TRANSPORTS) {
      if (name == null || name.equals(transport)) {
        answer.addObject().put("name", transport);
      }
    }
    return RpcMethods.answer(answer);
  }
}
