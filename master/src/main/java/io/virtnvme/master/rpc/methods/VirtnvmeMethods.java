package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.ControllerInfo;
import io.virtnvme.master.rpc.MasterInfo;
import io.virtnvme.master.rpc.NvmfSubsystemInfo;
import io.virtnvme.master.rpc.RecoveryInfo;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.RpcParams;
import io.virtnvme.master.rpc.SlaveInfo;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletionStage;
import java.util.function.IntFunction;

/** {@code virtnvme_*}: what SPDK has no words for. */
public final class VirtnvmeMethods {
  private static final int SEAT_MAX = 1023;
  private static final int HISTORY_COUNT_MAX = 10_000;
  private static final int HISTORY_COUNT_DEFAULT = 100;

  private final ControlPlane controlPlane;
  private final IntFunction<CompletionStage<List<JsonNode>>> history;

  /**
   * Makes the methods; {@link #register} adds them.
   *
   * @param history gives the newest events, as many as asked for, oldest of them first
   */
  public VirtnvmeMethods(
      final ControlPlane controlPlane, final IntFunction<CompletionStage<List<JsonNode>>> history) {
    this.controlPlane = controlPlane;
    this.history = history;
  }

  /** Adds the methods. */
  public void register(final RpcMethods methods) {
    methods.add("virtnvme_get_status", List.of(), params -> RpcMethods.answer(status()));
    methods.add("virtnvme_get_slaves", List.of(), params -> RpcMethods.answer(slaves()));
    methods.add("virtnvme_get_recoveries", List.of(), params -> RpcMethods.answer(recoveries()));
    methods.add("virtnvme_start_slave", List.of("seat"), this::startSlave);
    methods.add("virtnvme_get_history", List.of("max"), this::getHistory);
  }

  private CompletionStage<JsonNode> startSlave(final RpcParams params) {
    return controlPlane
        .startSlave(params.requireInt("seat", 0, SEAT_MAX))
        .thenApply(started -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> getHistory(final RpcParams params) {
    final int max = params.optionalInt("max", 1, HISTORY_COUNT_MAX, HISTORY_COUNT_DEFAULT);
    return history
        .apply(max)
        .thenApply(events -> JsonNodeFactory.instance.arrayNode().addAll(events));
  }

  private ObjectNode status() {
    final MasterInfo master = controlPlane.master();
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.putObject("master")
        .put("pid", master.pid())
        .put("instance", master.instanceId())
        .put("run_dir", master.runDir())
        .put("version", master.version())
        .put("started_at_ms", master.startedAtMs())
        .put("adopted", master.adopted())
        .put("upgrade_failure", master.upgradeFailure());
    json.set("slaves", slaves());
    final ArrayNode bdevs = json.putArray("bdevs");
    for (final BdevInfo bdev : controlPlane.bdevs()) {
      bdevs
          .addObject()
          .put("name", bdev.spec().name())
          .put("kind", lower(bdev.spec().kind()))
          .put("bytes", bdev.numBlocks() * bdev.blockSize())
          .put("seat", bdev.seat())
          .put("state", lower(bdev.state()))
          .put("reason", bdev.reason());
    }
    final ArrayNode controllers = json.putArray("controllers");
    for (final ControllerInfo controller : controlPlane.controllers()) {
      controllers
          .addObject()
          .put("ctrlr", controller.spec().ctrlr())
          .put("bdev", controller.spec().devName())
          .put("socket", controller.socketPath())
          .put("seat", controller.seat())
          .put("sessions", controller.sessions().size());
    }
    json.set("nvme", subsystems());
    json.put("recoveries", controlPlane.recoveries().size());
    final ObjectNode counters = json.putObject("counters");
    controlPlane.counters().forEach(counters::put);
    return json;
  }

  private ArrayNode subsystems() {
    final ArrayNode json = JsonNodeFactory.instance.arrayNode();
    for (final NvmfSubsystemInfo info : controlPlane.nvmf().subsystems()) {
      final ObjectNode entry = json.addObject();
      entry.put("nqn", info.subsystem().spec().nqn());
      final ArrayNode namespaces = entry.putArray("namespaces");
      info.subsystem()
          .namespaces()
          .forEach(namespace -> namespaces.add(namespace.nsid() + "=" + namespace.bdevName()));
      final ArrayNode sockets = entry.putArray("sockets");
      info.subsystem().listeners().forEach(one -> sockets.add(one.traddr() + "/cntrl"));
      entry.put("seat", info.seat());
      entry.put("sessions", info.controllers().size());
    }
    return json;
  }

  private ArrayNode slaves() {
    final ArrayNode json = JsonNodeFactory.instance.arrayNode();
    for (final SlaveInfo slave : controlPlane.slaves()) {
      final ObjectNode entry = json.addObject();
      entry.put("id", slave.id());
      entry.put("pid", slave.pid());
      entry.put("state", lower(slave.state()));
      entry.put("seat", slave.seat());
      final ArrayNode cores = entry.putArray("cores");
      slave.cores().forEach(cores::add);
      entry.put("sessions", slave.sessions());
      entry.put("version", slave.version());
      entry.put("started_at_ms", slave.startedAtMs());
      entry.put("restarts", slave.restarts());
      entry.put("reason", slave.reason());
    }
    return json;
  }

  private ArrayNode recoveries() {
    final ArrayNode json = JsonNodeFactory.instance.arrayNode();
    for (final RecoveryInfo recovery : controlPlane.recoveries()) {
      json.addObject()
          .put("number", recovery.number())
          .put("time_ms", recovery.timeMs())
          .put("seat", recovery.seat())
          .put("cause", lower(recovery.cause()))
          .put("dead_pid", recovery.deadPid())
          .put("successor_pid", recovery.successorPid())
          .put("warm", recovery.warm())
          .put("sessions", recovery.sessions())
          .put("queues", recovery.queues())
          .put("resubmitted", recovery.resubmitted())
          .put("detect_us", recovery.detectUs())
          .put("fence_us", recovery.fenceUs())
          .put("map_us", recovery.mapUs())
          .put("replay_us", recovery.replayUs())
          .put("first_completion_us", recovery.firstCompletionUs())
          .put("total_us", recovery.totalUs())
          .put("evidence", recovery.evidence());
    }
    return json;
  }

  private static String lower(final Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
