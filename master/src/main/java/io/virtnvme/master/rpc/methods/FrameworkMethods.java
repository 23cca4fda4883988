package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.registry.ConfigWriter;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.ControllerInfo;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.RpcParams;
import java.util.List;
import java.util.concurrent.CompletionStage;

/**
 * {@code framework_*}: what SPDK's client needs for {@code save_config} and {@code load_config}.
 */
public final class FrameworkMethods {
  /** Settings of SPDK's insides that its save_config writes and that have nothing to set here. */
  private static final List<String> SPDK_SETTINGS =
      List.of(
          "accel_set_options",
          "bdev_iscsi_set_options",
          "bdev_nvme_set_hotplug",
          "bdev_raid_set_options",
          "bdev_set_options",
          "framework_set_scheduler",
          "fsdev_set_opts",
          "iobuf_set_options",
          "iscsi_set_options",
          "nvmf_set_config",
          "nvmf_set_crdt",
          "nvmf_set_max_subsystems",
          "scheduler_set_options",
          "sock_impl_set_options",
          "sock_set_default_impl");

  private final ControlPlane controlPlane;

  /** Makes the methods; {@link #register} adds them. */
  public FrameworkMethods(final ControlPlane controlPlane) {
    this.controlPlane = controlPlane;
  }

  /** Adds the methods. */
  public void register(final RpcMethods methods) {
    methods.add("framework_get_subsystems", List.of(), params -> subsystems());
    methods.add("framework_get_config", List.of("name", "with_batches"), this::config);
    methods.add(
        "framework_wait_init", List.of(), params -> RpcMethods.answer(BooleanNode.getTrue()));
    for (final String setting : SPDK_SETTINGS) {
      methods.addStartupOnly(
          setting, setting + " sets up SPDK's insides; there is nothing to set here, leave it out");
    }
  }

  private static CompletionStage<JsonNode> subsystems() {
    final ArrayNode answer = JsonNodeFactory.instance.arrayNode();
    answer.addObject().put("subsystem", ConfigWriter.BDEV).putArray("depends_on");
    final ObjectNode vhost = answer.addObject().put("subsystem", ConfigWriter.VHOST_BLK);
    vhost.putArray("depends_on").add(ConfigWriter.BDEV);
    final ObjectNode nvmf = answer.addObject().put("subsystem", ConfigWriter.NVMF);
    nvmf.putArray("depends_on").add(ConfigWriter.BDEV);
    return RpcMethods.answer(answer);
  }

  private CompletionStage<JsonNode> config(final RpcParams params) {
    params.optionalBoolean("with_batches", false);
    final String name = params.requireString("name");
    return RpcMethods.answer(
        switch (name) {
          case ConfigWriter.BDEV ->
              ConfigWriter.nvmeCalls(
                      controlPlane.nvme().settings(),
                      controlPlane.nvme().controllers().stream()
                          .map(NvmeControllerInfo::spec)
                          .toList())
                  .addAll(
                      ConfigWriter.bdevCalls(
                          controlPlane.bdevs().stream().map(FrameworkMethods::present).toList()));
          case ConfigWriter.VHOST_BLK ->
              ConfigWriter.controllerCalls(
                  controlPlane.controllers().stream().map(ControllerInfo::spec).toList());
          case ConfigWriter.NVMF -> ConfigWriter.nvmfCalls(controlPlane.nvmf().state());
          default ->
              throw new RpcException(
                  RpcException.INVALID_PARAMS,
                  "Subsystem '" + name + "' not found; framework_get_subsystems lists them");
        });
  }

  private static BdevSpec present(final BdevInfo bdev) {
    final BdevSpec spec = bdev.spec();
    return new BdevSpec(
        spec.name(),
        spec.method(),
        spec.uuid(),
        bdev.blockSize(),
        spec.kind() == BdevKind.URING ? 0 : bdev.numBlocks(),
        spec.filename(),
        spec.readOnly(),
        spec.limits(),
        // What a client asked for while it runs is no configuration.
        0,
        spec.migration());
  }
}
