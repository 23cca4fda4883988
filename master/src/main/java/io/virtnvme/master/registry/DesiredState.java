package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.BdevMethod;
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
import io.virtnvme.master.rpc.NvmfState;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcParams;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What should exist: the outcome of the recorded calls, in the order of creation. Used by one
 * thread at a time.
 */
public final class DesiredState {
  /** A new length for a bdev, whatever method asked for it: {@code name}, {@code num_blocks}. */
  public static final String RESIZE_METHOD = "virtnvme_bdev_resize";

  static final String DELETE_CONTROLLER_METHOD = "vhost_delete_controller";

  private static final Map<String, BdevMethod> CREATES = methods("create");
  private static final Map<String, BdevMethod> DELETES = methods("delete");

  private final Map<String, BdevSpec> bdevs = new LinkedHashMap<>();
  private final Map<String, NvmeControllerSpec> nvme = new LinkedHashMap<>();
  private NvmeSettings nvmeSettings = NvmeSettings.DEFAULT;
  private final Map<String, BlkControllerSpec> controllers = new LinkedHashMap<>();
  private final DesiredNvmf nvmf;

  /** Nothing should exist. */
  public DesiredState() {
    nvmf = new DesiredNvmf();
  }

  /** A copy that changes on its own. */
  public DesiredState(final DesiredState other) {
    bdevs.putAll(other.bdevs);
    nvme.putAll(other.nvme);
    nvmeSettings = other.nvmeSettings;
    controllers.putAll(other.controllers);
    nvmf = new DesiredNvmf(other.nvmf);
  }

  private static Map<String, BdevMethod> methods(final String verb) {
    final Map<String, BdevMethod> methods = new LinkedHashMap<>();
    for (final BdevMethod method : BdevMethod.CALLABLE) {
      methods.put("bdev_" + method.word() + "_" + verb, method);
    }
    return methods;
  }

  /** The bdevs, oldest first. */
  public List<BdevSpec> bdevs() {
    return List.copyOf(bdevs.values());
  }

  /** NVMe devices, oldest first; their bdevs are among {@link #bdevs}. */
  public List<NvmeControllerSpec> nvme() {
    return List.copyOf(nvme.values());
  }

  /** What holds for all NVMe devices. */
  public NvmeSettings nvmeSettings() {
    return nvmeSettings;
  }

  /** The controllers, oldest first; each one's bdev is among {@link #bdevs}. */
  public List<BlkControllerSpec> controllers() {
    return List.copyOf(controllers.values());
  }

  /** NVMe subsystems; the bdev of each namespace is among {@link #bdevs}. */
  public NvmfState nvmf() {
    return nvmf.state();
  }

  /** The calls that make all of it again, as a configuration; NVMe devices with what was found. */
  public ObjectNode config() {
    return ConfigWriter.write(this);
  }

  /**
   * Applies one recorded call.
   *
   * @throws RpcException when the method is unknown, a parameter is not as it should be, or the
   *     call does not fit what exists; the state is unchanged then
   */
  public void apply(final String method, final JsonNode params) {
    final BdevMethod created = CREATES.get(method);
    if (created != null) {
      final RpcParams checked = RpcParams.of(method, params, BdevSpecs.parameters(created));
      final BdevSpec bdev = BdevSpecs.parse(created, checked, "");
      if (bdev.name().isEmpty()) {
        throw checked.invalid("name", "a name");
      }
      addNew(bdevs, bdev.name(), bdev, "bdev");
    } else if (DELETES.containsKey(method)) {
      final RpcParams checked = RpcParams.of(method, params, List.of("name"));
      remove(bdevs, checked.requireString("name"), "bdev");
    } else if (method.equals(NvmeSpecs.ATTACH)) {
      attach(NvmeSpecs.attach(RpcParams.of(method, params, NvmeSpecs.RECORD_PARAMETERS)));
    } else if (method.equals(NvmeSpecs.DETACH)) {
      detach(RpcParams.of(method, params, List.of("name")).requireString("name"));
    } else if (method.equals(NvmeSpecs.SPLIT)) {
      split(RpcParams.of(method, params, NvmeSpecs.SPLIT_RECORD_PARAMETERS));
    } else if (method.equals(NvmeSpecs.UNSPLIT)) {
      unsplit(RpcParams.of(method, params, NvmeSpecs.UNSPLIT_PARAMETERS));
    } else if (method.equals(NvmeOptionSpecs.SET)) {
      nvmeSettings =
          NvmeOptionSpecs.parse(
              RpcParams.of(method, params, NvmeOptionSpecs.PARAMETERS), nvmeSettings);
    } else if (method.equals(RESIZE_METHOD)) {
      resize(RpcParams.of(method, params, List.of("name", "num_blocks")));
    } else if (method.equals(LimitSpecs.METHOD)) {
      limit(RpcParams.of(method, params, LimitSpecs.PARAMETERS));
    } else if (method.equals(DirtySpecs.START)) {
      final RpcParams checked = RpcParams.of(method, params, DirtySpecs.START_PARAMETERS);
      track(checked, DirtySpecs.grainShift(checked));
    } else if (method.equals(DirtySpecs.STOP)) {
      track(RpcParams.of(method, params, DirtySpecs.STOP_PARAMETERS), 0);
    } else if (method.equals(MigrationSpecs.SET)) {
      migrate(RpcParams.of(method, params, MigrationSpecs.SET_PARAMETERS));
    } else if (method.equals(ControllerSpecs.CREATE_METHOD)) {
      final BlkControllerSpec controller =
          ControllerSpecs.parse(RpcParams.of(method, params, ControllerSpecs.PARAMETERS));
      addController(controller);
    } else if (method.equals(DELETE_CONTROLLER_METHOD)) {
      final RpcParams checked = RpcParams.of(method, params, List.of("ctrlr"));
      remove(controllers, checked.requireString("ctrlr"), "controller");
    } else if (!nvmf.apply(method, params, bdevs.keySet())) {
      throw new RpcException(RpcException.METHOD_NOT_FOUND, "unknown method " + method);
    }
  }

  private void attach(final NvmeControllerSpec spec) {
    for (final BdevSpec bdev : spec.bdevs()) {
      if (bdevs.containsKey(bdev.name())) {
        throw new RpcException(RpcException.EEXIST, "a bdev " + bdev.name() + " is there already");
      }
    }
    addNew(nvme, spec.name(), spec, "NVMe controller");
    spec.bdevs().forEach(bdev -> bdevs.put(bdev.name(), bdev));
  }

  private void detach(final String name) {
    final NvmeControllerSpec spec = nvme.get(name);
    remove(nvme, name, "NVMe controller");
    spec.bdevs().forEach(bdev -> bdevs.remove(bdev.name()));
  }

  private NvmeControllerSpec controllerOf(final String base) {
    for (final NvmeControllerSpec spec : nvme.values()) {
      if (spec.namespace(base) != null) {
        return spec;
      }
    }
    throw new RpcException(RpcException.ENODEV, "no NVMe controller has a namespace " + base);
  }

  private void split(final RpcParams params) {
    final String base = params.requireString("base_bdev");
    final NvmeControllerSpec spec = controllerOf(base);
    final NvmeControllerSpec.Split split = NvmeSpecs.split(params, spec.namespace(base).nsid());
    final List<BdevSpec> parts =
        spec.parts(split).stream().map(NvmeControllerSpec.Part::bdev).toList();
    if (parts.stream().anyMatch(part -> bdevs.containsKey(part.name()))) {
      throw new RpcException(RpcException.EEXIST, "a part of " + base + " is there already");
    }
    nvme.put(spec.name(), spec.with(split));
    parts.forEach(part -> bdevs.put(part.name(), part));
  }

  private void unsplit(final RpcParams params) {
    final String base = params.requireString("base_bdev");
    final NvmeControllerSpec spec = controllerOf(base);
    final NvmeControllerSpec.Split split = spec.split(base);
    if (split == null) {
      throw new RpcException(RpcException.ENOENT, "bdev " + base + " is not split");
    }
    nvme.put(spec.name(), spec.without(split));
    spec.parts(split).forEach(part -> bdevs.remove(part.bdev().name()));
  }

  private void addController(final BlkControllerSpec controller) {
    if (!bdevs.containsKey(controller.devName())) {
      throw new RpcException(
          RpcException.ENODEV,
          "controller "
              + controller.ctrlr()
              + " exports "
              + controller.devName()
              + ", which is gone");
    }
    addNew(controllers, controller.ctrlr(), controller, "controller");
  }

  private BdevSpec bdevOf(final RpcParams params) {
    final String name = params.requireString("name");
    final BdevSpec bdev = bdevs.get(name);
    if (bdev == null) {
      throw new RpcException(RpcException.ENODEV, "no bdev " + name);
    }
    return bdev;
  }

  private void resize(final RpcParams params) {
    final BdevSpec bdev = bdevOf(params);
    final long numBlocks = params.requireLong("num_blocks", 1, Long.MAX_VALUE);
    bdevs.put(bdev.name(), bdev.withNumBlocks(numBlocks));
  }

  private void limit(final RpcParams params) {
    final BdevSpec bdev = bdevOf(params);
    bdevs.put(bdev.name(), bdev.withLimits(LimitSpecs.parse(params, bdev.limits())));
  }

  private void track(final RpcParams params, final int grainShift) {
    final BdevSpec bdev = bdevOf(params);
    bdevs.put(bdev.name(), bdev.withDirtyGrainShift(grainShift));
  }

  private void migrate(final RpcParams params) {
    final BdevSpec bdev = bdevOf(params);
    bdevs.put(bdev.name(), bdev.withMigration(MigrationSpecs.parse(params)));
  }

  private static <T> void addNew(
      final Map<String, T> objects, final String name, final T object, final String noun) {
    if (objects.putIfAbsent(name, object) != null) {
      throw new RpcException(RpcException.EEXIST, "a " + noun + " " + name + " is there already");
    }
  }

  private static <T> void remove(
      final Map<String, T> objects, final String name, final String noun) {
    if (objects.remove(name) == null) {
      throw new RpcException(RpcException.ENODEV, "no " + noun + " " + name);
    }
  }
}
