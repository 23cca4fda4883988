package io.virtnvme.master.rpc;

import java.util.List;
import java.util.concurrent.CompletionStage;

/**
 * What the {@code nvmf_*} methods can ask of the running pair; the same rules as for {@link
 * ControlPlane}.
 */
public interface NvmfControl {
  /** Makes the transport. Fails with EEXIST when there is one. */
  CompletionStage<Void> createTransport(NvmfTransportSpec spec);

  /** Makes a subsystem. Fails with EEXIST when its name is taken. */
  CompletionStage<Void> createSubsystem(NvmfSubsystemSpec spec);

  /** Deletes a subsystem. Fails with ENODEV, or EBUSY while a front-end is connected. */
  CompletionStage<Void> deleteSubsystem(String nqn);

  /** Opens or closes a subsystem for front-ends to come. Fails with ENODEV. */
  CompletionStage<Void> allowAnyHost(String nqn, boolean allow);

  /**
   * Adds a namespace; connected guests are told.
   *
   * <p>Fails with ENODEV when subsystem or bdev do not exist, EEXIST when the id is taken, EBUSY
   * when the bdev is a namespace already or belongs to another seat than the subsystem's others.
   *
   * @return the namespace as it was added: nothing left open
   */
  CompletionStage<NvmfNamespaceSpec> addNamespace(String nqn, NvmfNamespaceSpec spec);

  /** Removes a namespace; answers when nothing runs on it any more. Fails with ENODEV. */
  CompletionStage<Void> removeNamespace(String nqn, int nsid);

  /**
   * Listens on {@code <traddr>/cntrl}. Fails with ENODEV without subsystem or transport, EEXIST
   * when something listens there, EINVAL when the socket cannot be made.
   */
  CompletionStage<Void> addListener(String nqn, NvmfListenerSpec spec);

  /** Listens no longer. Fails with ENODEV, or EBUSY while a front-end is connected there. */
  CompletionStage<Void> removeListener(String nqn, String traddr);

  /** All subsystems in the order of their creation; a snapshot. */
  List<NvmfSubsystemInfo> subsystems();

  /** Everything that a configuration file has of it; a snapshot. */
  NvmfState state();
}
