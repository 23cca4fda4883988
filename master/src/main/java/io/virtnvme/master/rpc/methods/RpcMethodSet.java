package io.virtnvme.master.rpc.methods;

import io.virtnvme.master.registry.EventHistory;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.MasterReplacer;
import io.virtnvme.master.rpc.RpcMethods;

/** Puts all methods together. */
public final class RpcMethodSet {
  private RpcMethodSet() {}

  /**
   * Every method of the master.
   *
   * @param version of this build as {@code major.minor.patch[-suffix]}
   * @param replacer for {@code virtnvme_upgrade_master}
   * @param history for {@code virtnvme_get_history}
   */
  public static RpcMethods create(
      final String version,
      final ControlPlane controlPlane,
      final ChangeLog changes,
      final EventHistory history,
      final MasterReplacer replacer) {
    final RpcMethods methods = new RpcMethods(version);
    new BdevMethods(controlPlane, changes).register(methods);
    new VhostMethods(controlPlane, changes).register(methods);
    new NvmfMethods(controlPlane, changes).register(methods);
    new NvmeMethods(controlPlane.nvme(), changes).register(methods);
    new FrameworkMethods(controlPlane).register(methods);
    new VirtnvmeMethods(controlPlane, history::last).register(methods);
    new UpgradeMethods(controlPlane, replacer).register(methods);
    return methods;
  }
}
