package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.nvme.ControllerIdentity;
import io.virtnvme.master.nvme.HealthLog;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.NvmeControl;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.NvmeErrorRule;
import io.virtnvme.master.rpc.NvmeOptionSpecs;
import io.virtnvme.master.rpc.NvmeSpecs;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.RpcParams;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletionStage;

/** {@code bdev_nvme_*}: NVMe devices that the pair drives itself. */
public final class NvmeMethods {
  private static final List<String> NAME = List.of("name");
  private static final int KELVIN_OF_ZERO_CELSIUS = 273;

  private final NvmeControl nvme;
  private final ChangeLog changes;

  /** Makes the methods; {@link #register} adds them. */
  public NvmeMethods(final NvmeControl nvme, final ChangeLog changes) {
    this.nvme = nvme;
    this.changes = changes;
  }

  /** Adds the methods. */
  public void register(final RpcMethods methods) {
    methods.add(NvmeSpecs.ATTACH, NvmeSpecs.ATTACH_PARAMETERS, this::attach);
    methods.add(NvmeSpecs.DETACH, NvmeSpecs.DETACH_PARAMETERS, this::detach);
    methods.add("bdev_nvme_get_controllers", NAME, this::getControllers);
    methods.add("bdev_nvme_reset_controller", List.of("name", "cntlid"), this::reset);
    methods.add("bdev_nvme_get_controller_health_info", NAME, this::health);
    methods.add("virtnvme_nvme_identify_controller", NAME, this::identify);
    methods.add("virtnvme_nvme_get_log_page", NvmeOptionSpecs.LOG_PARAMETERS, this::logPage);
    methods.add(NvmeOptionSpecs.SET, NvmeOptionSpecs.PARAMETERS, this::setOptions);
    methods.add(NvmeOptionSpecs.INJECT, NvmeOptionSpecs.INJECT_PARAMETERS, this::inject);
    methods.add(
        NvmeOptionSpecs.END_INJECTION,
        NvmeOptionSpecs.END_INJECTION_PARAMETERS,
        this::endInjection);
    methods.add(NvmeSpecs.SPLIT, NvmeSpecs.SPLIT_PARAMETERS, this::split);
    methods.add(NvmeSpecs.UNSPLIT, NvmeSpecs.UNSPLIT_PARAMETERS, this::unsplit);
  }

  private CompletionStage<JsonNode> setOptions(final RpcParams params) {
    return nvme.settings(before -> NvmeOptionSpecs.parse(params, before))
        .thenCompose(now -> changes.append(NvmeOptionSpecs.SET, NvmeOptionSpecs.toParams(now)))
        .thenApply(recorded -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> inject(final RpcParams params) {
    final NvmeErrorRule rule = NvmeOptionSpecs.rule(params);
    return nvme.inject(params.requireString("name"), rule).thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> endInjection(final RpcParams params) {
    final int opcode = NvmeOptionSpecs.opcode(params);
    return nvme.endInjection(params.requireString("name"), opcode)
        .thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> split(final RpcParams params) {
    final String base = params.requireString("base_bdev");
    return nvme.split(base, NvmeSpecs.splitCount(params), NvmeSpecs.splitMib(params))
        .thenCompose(
            made ->
                changes
                    .append(NvmeSpecs.SPLIT, NvmeSpecs.toRecord(made, made.split(base)))
                    .thenApply(recorded -> partNames(made, base)));
  }

  private static ArrayNode partNames(final NvmeControllerSpec controller, final String base) {
    final ArrayNode names = JsonNodeFactory.instance.arrayNode();
    controller.parts(controller.split(base)).forEach(part -> names.add(part.bdev().name()));
    return names;
  }

  private CompletionStage<JsonNode> unsplit(final RpcParams params) {
    final String base = params.requireString("base_bdev");
    final ObjectNode recorded = JsonNodeFactory.instance.objectNode().put("base_bdev", base);
    // A master that dies while queue pairs are being deleted must not bring the parts back.
    return nvme.unsplit(base, () -> changes.append(NvmeSpecs.UNSPLIT, recorded))
        .thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> logPage(final RpcParams params) {
    return nvme.logPage(params.requireString("name"), NvmeOptionSpecs.log(params))
        .thenApply(NvmeMethods::inBase64);
  }

  private static JsonNode inBase64(final byte[] data) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("data", Base64.getEncoder().encodeToString(data));
  }

  private CompletionStage<JsonNode> attach(final RpcParams params) {
    return nvme.attach(NvmeSpecs.attach(params))
        .thenCompose(
            made ->
                changes
                    .append(NvmeSpecs.ATTACH, NvmeSpecs.toRecord(made.spec()))
                    .thenApply(recorded -> names(made)));
  }

  private static ArrayNode names(final NvmeControllerInfo controller) {
    final ArrayNode names = JsonNodeFactory.instance.arrayNode();
    controller.spec().bdevs().stream().map(BdevSpec::name).forEach(names::add);
    return names;
  }

  private CompletionStage<JsonNode> detach(final RpcParams params) {
    final String name = params.requireString("name");
    if (params.has("trtype")) {
      NvmeSpecs.requireTransport(params);
    }
    if (params.has("traddr")) {
      final String address = NvmeSpecs.address(params);
      if (!require(name).spec().address().equals(address)) {
        throw new RpcException(
            RpcException.ENODEV,
            "controller " + name + " is at " + require(name).spec().address() + ", not " + address);
      }
    }
    final ObjectNode recorded = JsonNodeFactory.instance.objectNode().put("name", name);
    return nvme.detach(name)
        .thenCompose(done -> changes.append(NvmeSpecs.DETACH, recorded))
        .thenApply(done -> BooleanNode.getTrue());
  }

  private NvmeControllerInfo require(final String name) {
    for (final NvmeControllerInfo controller : nvme.controllers()) {
      if (controller.spec().name().equals(name)) {
        return controller;
      }
    }
    throw new RpcException(
        RpcException.ENODEV,
        "there is no NVMe controller '"
            + name
            + "'; bdev_nvme_get_controllers lists those there are");
  }

  private CompletionStage<JsonNode> getControllers(final RpcParams params) {
    final ArrayNode answer = JsonNodeFactory.instance.arrayNode();
    if (params.has("name")) {
      answer.add(json(require(params.requireString("name"))));
    } else {
      nvme.controllers().forEach(controller -> answer.add(json(controller)));
    }
    return RpcMethods.answer(answer);
  }

  private static ObjectNode json(final NvmeControllerInfo info) {
    final ObjectNode json = JsonNodeFactory.instance.objectNode().put("name", info.spec().name());
    final ObjectNode one = json.putArray("ctrlrs").addObject().put("state", info.state().label());
    one.set("trid", NvmeSpecs.toTransportId(info.spec()));
    one.put("cntlid", info.identity() == null ? 0 : info.identity().controllerId());
    one.putObject("host").put("nqn", "").put("addr", "").put("svcid", "");
    final ObjectNode ours = json.putObject("virtnvme");
    ours.put("driver_state", info.driverState()).put("reason", info.reason());
    ours.set("bdevs", names(info));
    final ArrayNode problems = ours.putArray("problems");
    info.problems().forEach(problems::add);
    if (info.identity() != null) {
      addIdentity(ours, info.identity());
    }
    if (info.repair() != null) {
      addRepair(ours.putObject("repair"), info.repair());
    }
    return json;
  }

  private static void addRepair(final ObjectNode json, final NvmeControllerInfo.Repair repair) {
    json.put("state", repair.state())
        .put("trouble", repair.trouble())
        .put("reason", repair.reason());
    final ObjectNode troubles = json.putObject("troubles");
    repair.troubles().forEach(troubles::put);
    final ObjectNode states = json.putObject("states");
    repair.states().forEach(states::put);
  }

  private static void addIdentity(final ObjectNode json, final ControllerIdentity identity) {
    json.put("model_number", identity.model())
        .put("serial_number", identity.serial())
        .put("firmware_revision", identity.firmware());
  }

  private CompletionStage<JsonNode> reset(final RpcParams params) {
    final NvmeControllerInfo controller = require(params.requireString("name"));
    if (params.has("cntlid")
        && controller.identity() != null
        && params.requireInt("cntlid", 0, 0xFFFF) != controller.identity().controllerId()) {
      throw params.invalid("cntlid", Integer.toString(controller.identity().controllerId()));
    }
    return nvme.reset(controller.spec().name()).thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> identify(final RpcParams params) {
    return nvme.identify(params.requireString("name")).thenApply(NvmeMethods::inBase64);
  }

  private CompletionStage<JsonNode> health(final RpcParams params) {
    final NvmeControllerInfo controller = require(params.requireString("name"));
    return nvme.health(controller.spec().name()).thenApply(log -> json(controller, log));
  }

  private static JsonNode json(final NvmeControllerInfo controller, final HealthLog log) {
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    if (controller.identity() != null) {
      addIdentity(json, controller.identity());
    }
    return json.put("traddr", controller.spec().address())
        .put("critical_warning", log.criticalWarning())
        .put("temperature_celsius", log.temperatureKelvin() - KELVIN_OF_ZERO_CELSIUS)
        .put("available_spare_percentage", log.availableSpare())
        .put("available_spare_threshold_percentage", log.spareThreshold())
        .put("percentage_used", log.percentageUsed())
        .put("data_units_read", log.unitsRead())
        .put("data_units_written", log.unitsWritten())
        .put("host_read_commands", log.hostReads())
        .put("host_write_commands", log.hostWrites())
        .put("controller_busy_time", log.busyMinutes())
        .put("power_cycles", log.powerCycles())
        .put("power_on_hours", log.powerOnHours())
        .put("unsafe_shutdowns", log.unsafeShutdowns())
        .put("media_errors", log.mediaErrors())
        .put("num_err_log_entries", log.errorEntries());
  }
}
