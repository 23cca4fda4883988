package io.virtnvme.master.rpc.methods;

import io.virtnvme.master.registry.ConfigCall;
import io.virtnvme.master.registry.ConfigException;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.ControllerInfo;
import io.virtnvme.master.rpc.ControllerSpecs;
import io.virtnvme.master.rpc.LimitSpecs;
import io.virtnvme.master.rpc.MigrationSpecs;
import io.virtnvme.master.rpc.NvmeOptionSpecs;
import io.virtnvme.master.rpc.NvmeSettings;
import io.virtnvme.master.rpc.NvmeSpecs;
import io.virtnvme.master.rpc.NvmfSpecs;
import io.virtnvme.master.rpc.NvmfState;
import io.virtnvme.master.rpc.NvmfSubsystem;
import io.virtnvme.master.rpc.RpcMethods;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out a configuration, one call after the other. What is there already (brought back by the
 * registry) is left as it is, so that the same file can be given at every start.
 */
public final class ConfigLoader {
  private static final Logger LOG = LoggerFactory.getLogger(ConfigLoader.class);

  /** Steps of a migration with which a bdev is not served here. */
  private static final Set<String> DENYING = Set.of("receiving", "prepared", "moved");

  private final RpcMethods methods;
  private final ControlPlane controlPlane;

  /** A loader that calls these methods. */
  public ConfigLoader(final RpcMethods methods, final ControlPlane controlPlane) {
    this.methods = methods;
    this.controlPlane = controlPlane;
  }

  /**
   * Carries out the calls; stops at the first that fails.
   *
   * @return the number of calls made; fails with {@link ConfigException}, which names the entry.
   *     Nothing at all is done when a method is unknown
   */
  public CompletionStage<Integer> load(final List<ConfigCall> calls) {
    for (final ConfigCall call : calls) {
      if (!methods.isKnown(call.method())) {
        return CompletableFuture.failedFuture(
            new ConfigException(
                call.where() + ": there is no such method; remove the entry and start again"));
      }
    }
    final ConfigCall doubtful = doubtfulMigration(calls);
    if (doubtful != null) {
      return CompletableFuture.failedFuture(
          new ConfigException(
              doubtful.where()
                  + ": bdev '"
                  + doubtful.objectName()
                  + "' is there and anybody's, but here it is "
                  + doubtful.params().path("state").asText()
                  + ": a start with this file was cut short, or the disk was taken back; say which"
                  + " with "
                  + MigrationSpecs.SET
                  + " before, or remove the entry"));
    }
    CompletionStage<Integer> made = CompletableFuture.completedFuture(0);
    final Set<String> before = new HashSet<>();
    controlPlane.bdevs().forEach(bdev -> before.add(bdev.spec().name()));
    for (final ConfigCall call : calls) {
      made =
          made.thenCompose(
              count -> loadOne(call, before).thenApply(done -> count + (done ? 1 : 0)));
    }
    return made;
  }

  /**
   * The call by which this host must not serve a bdev that it would serve: the registry has it
   * without that step. A death between the two records of an earlier start leaves that.
   */
  private ConfigCall doubtfulMigration(final List<ConfigCall> calls) {
    final Map<String, ConfigCall> last = new HashMap<>();
    for (final ConfigCall call : calls) {
      if (call.method().equals(MigrationSpecs.SET)) {
        last.put(call.objectName(), call);
      }
    }
    for (final BdevInfo bdev : controlPlane.bdevs()) {
      final ConfigCall call = last.get(bdev.spec().name());
      if (call != null
          && bdev.spec().migration().state() == BdevMigration.State.NONE
          && DENYING.contains(call.params().path("state").asText())) {
        return call;
      }
    }
    return null;
  }

  private CompletionStage<Boolean> loadOne(final ConfigCall call, final Set<String> bdevsBefore) {
    if (!methods.isCallable(call.method())) {
      LOG.info("{}: a setting of SPDK's insides, skipped", call.where());
      return CompletableFuture.completedFuture(false);
    }
    if (isThere(call) || (isOfABdev(call.method()) && bdevsBefore.contains(call.objectName()))) {
      LOG.info("{}: '{}' is there already and stays as it is", call.where(), call.objectName());
      return CompletableFuture.completedFuture(false);
    }
    return methods
        .call(call.method(), call.params())
        .handle(
            (result, failure) -> {
              if (failure == null) {
                return true;
              }
              final String reason = Failures.cause(failure).getMessage();
              throw new ConfigException(call.where() + " failed: " + reason);
            });
  }

  /** Calls that change a bdev which another one made. */
  private static boolean isOfABdev(final String method) {
    return method.equals(LimitSpecs.METHOD) || method.equals(MigrationSpecs.SET);
  }

  private boolean isThere(final ConfigCall call) {
    final String name = call.objectName();
    if (call.method().equals(ControllerSpecs.CREATE_METHOD)) {
      for (final ControllerInfo controller : controlPlane.controllers()) {
        if (controller.spec().ctrlr().equals(name)) {
          return true;
        }
      }
    } else if (call.method().equals(NvmeSpecs.ATTACH)) {
      return controlPlane.nvme().controllers().stream()
          .anyMatch(controller -> controller.spec().name().equals(name));
    } else if (call.method().equals(NvmeOptionSpecs.SET)) {
      return !controlPlane.nvme().settings().equals(NvmeSettings.DEFAULT);
    } else if (call.method().equals(NvmeSpecs.SPLIT)) {
      final String base = call.params().path("base_bdev").asText();
      return controlPlane.nvme().controllers().stream()
          .anyMatch(controller -> controller.spec().split(base) != null);
    } else if (call.method().startsWith("bdev_") && call.method().endsWith("_create")) {
      for (final BdevInfo bdev : controlPlane.bdevs()) {
        if (bdev.spec().name().equals(name)) {
          return true;
        }
      }
    }
    return isThereNvmf(call);
  }

  private boolean isThereNvmf(final ConfigCall call) {
    final NvmfState state = controlPlane.nvmf().state();
    if (call.method().equals(NvmfSpecs.CREATE_TRANSPORT)) {
      return state.transport() != null;
    }
    for (final NvmfSubsystem subsystem : state.subsystems()) {
      if (subsystem.spec().nqn().equals(call.params().path("nqn").asText())) {
        return switch (call.method()) {
          case NvmfSpecs.CREATE_SUBSYSTEM -> true;
          case NvmfSpecs.ADD_NS -> hasNamespace(subsystem, call);
          case NvmfSpecs.ADD_LISTENER -> hasListener(subsystem, call);
          default -> false;
        };
      }
    }
    return false;
  }

  private static boolean hasNamespace(final NvmfSubsystem subsystem, final ConfigCall call) {
    final String bdev = call.params().path("namespace").path("bdev_name").asText();
    return subsystem.namespaces().stream().anyMatch(namespace -> namespace.bdevName().equals(bdev));
  }

  private static boolean hasListener(final NvmfSubsystem subsystem, final ConfigCall call) {
    final String traddr = call.params().path("listen_address").path("traddr").asText();
    return subsystem.listeners().stream().anyMatch(listener -> listener.traddr().equals(traddr));
  }
}
