package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.BdevSpecs;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.ControllerSpecs;
import io.virtnvme.master.rpc.DirtySpecs;
import io.virtnvme.master.rpc.LimitSpecs;
import io.virtnvme.master.rpc.MigrationSpecs;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.NvmeOptionSpecs;
import io.virtnvme.master.rpc.NvmeSettings;
import io.virtnvme.master.rpc.NvmeSpecs;
import io.virtnvme.master.rpc.NvmfListenerSpec;
import io.virtnvme.master.rpc.NvmfNamespaceSpec;
import io.virtnvme.master.rpc.NvmfSpecs;
import io.virtnvme.master.rpc.NvmfState;
import io.virtnvme.master.rpc.NvmfSubsystem;
import java.util.List;

/** Writes what exists as a configuration in SPDK's JSON form. Thread-safe. */
public final class ConfigWriter {
  /** SPDK's name for the part that has the bdevs. */
  public static final String BDEV = "bdev";

  /** SPDK's name for the part that has the vhost-user-blk controllers. */
  public static final String VHOST_BLK = "vhost_blk";

  /** SPDK's name for the part that has the NVMe subsystems. */
  public static final String NVMF = "nvmf";

  private ConfigWriter() {}

  /** The whole configuration, ready for {@link ConfigReader} or {@code load_config}. */
  public static ObjectNode write(
      final List<BdevSpec> bdevs, final List<BlkControllerSpec> controllers, final NvmfState nvmf) {
    return write(JsonNodeFactory.instance.arrayNode(), bdevs, controllers, nvmf);
  }

  /** All that a registry knows. */
  static ObjectNode write(final DesiredState state) {
    final ArrayNode nvme = settingCalls(state.nvmeSettings());
    for (final NvmeControllerSpec spec : state.nvme()) {
      addCall(nvme, NvmeSpecs.ATTACH, NvmeSpecs.toRecord(spec));
      spec.splits()
          .forEach(split -> addCall(nvme, NvmeSpecs.SPLIT, NvmeSpecs.toRecord(spec, split)));
    }
    return write(nvme, state.bdevs(), state.controllers(), state.nvmf());
  }

  private static ObjectNode write(
      final ArrayNode nvme,
      final List<BdevSpec> bdevs,
      final List<BlkControllerSpec> controllers,
      final NvmfState nvmf) {
    final ObjectNode config = JsonNodeFactory.instance.objectNode();
    final ArrayNode subsystems = config.putArray("subsystems");
    subsystems.addObject().put("subsystem", BDEV).set("config", nvme.addAll(bdevCalls(bdevs)));
    subsystems.addObject().put("subsystem", VHOST_BLK).set("config", controllerCalls(controllers));
    subsystems.addObject().put("subsystem", NVMF).set("config", nvmfCalls(nvmf));
    return config;
  }

  /** The calls that make these subsystems, in SPDK's order. */
  public static ArrayNode nvmfCalls(final NvmfState nvmf) {
    final ArrayNode calls = JsonNodeFactory.instance.arrayNode();
    if (nvmf.transport() != null) {
      addCall(calls, NvmfSpecs.CREATE_TRANSPORT, NvmfSpecs.toParams(nvmf.transport()));
    }
    for (final NvmfSubsystem subsystem : nvmf.subsystems()) {
      addCall(calls, NvmfSpecs.CREATE_SUBSYSTEM, NvmfSpecs.toParams(subsystem.spec()));
    }
    for (final NvmfSubsystem subsystem : nvmf.subsystems()) {
      for (final NvmfNamespaceSpec namespace : subsystem.namespaces()) {
        addCall(calls, NvmfSpecs.ADD_NS, NvmfSpecs.toParams(subsystem.spec().nqn(), namespace));
      }
    }
    for (final NvmfSubsystem subsystem : nvmf.subsystems()) {
      for (final NvmfListenerSpec listener : subsystem.listeners()) {
        addCall(
            calls, NvmfSpecs.ADD_LISTENER, NvmfSpecs.toParams(subsystem.spec().nqn(), listener));
      }
    }
    return calls;
  }

  private static void addCall(final ArrayNode calls, final String method, final ObjectNode params) {
    calls.addObject().put("method", method).set("params", params);
  }

  /** The calls that set what holds for all controllers, attach these, and split namespaces. */
  public static ArrayNode nvmeCalls(
      final NvmeSettings settings, final List<NvmeControllerSpec> nvme) {
    final ArrayNode calls = settingCalls(settings);
    for (final NvmeControllerSpec spec : nvme) {
      addCall(calls, NvmeSpecs.ATTACH, NvmeSpecs.toParams(spec));
      spec.splits()
          .forEach(split -> addCall(calls, NvmeSpecs.SPLIT, NvmeSpecs.toParams(spec, split)));
    }
    return calls;
  }

  private static ArrayNode settingCalls(final NvmeSettings settings) {
    final ArrayNode calls = JsonNodeFactory.instance.arrayNode();
    if (!settings.equals(NvmeSettings.DEFAULT)) {
      addCall(calls, NvmeOptionSpecs.SET, NvmeOptionSpecs.toParams(settings));
    }
    return calls;
  }

  /**
   * The calls that make these bdevs, limit them, have changes marked, and say where they are; those
   * of NVMe controllers are there when their controller is.
   */
  public static ArrayNode bdevCalls(final List<BdevSpec> bdevs) {
    final ArrayNode calls = JsonNodeFactory.instance.arrayNode();
    for (final BdevSpec bdev : bdevs) {
      if (bdev.kind() != BdevKind.NVME) {
        addCall(calls, BdevSpecs.createMethod(bdev.method()), BdevSpecs.toParams(bdev));
      }
      if (!bdev.limits().equals(BdevLimits.NONE)) {
        addCall(calls, LimitSpecs.METHOD, LimitSpecs.toParams(bdev.name(), bdev.limits()));
      }
      if (bdev.dirtyGrainShift() != 0) {
        addCall(calls, DirtySpecs.START, DirtySpecs.toParams(bdev.name(), bdev.dirtyGrainShift()));
      }
      for (final BdevMigration step : bdev.migration().steps()) {
        addCall(calls, MigrationSpecs.SET, MigrationSpecs.toParams(bdev.name(), step));
      }
    }
    return calls;
  }

  /** The calls that make these controllers. */
  public static ArrayNode controllerCalls(final List<BlkControllerSpec> controllers) {
    final ArrayNode calls = JsonNodeFactory.instance.arrayNode();
    for (final BlkControllerSpec controller : controllers) {
      final ObjectNode call = calls.addObject();
      call.put("method", ControllerSpecs.CREATE_METHOD);
      call.set("params", ControllerSpecs.toParams(controller));
    }
    return calls;
  }
}
