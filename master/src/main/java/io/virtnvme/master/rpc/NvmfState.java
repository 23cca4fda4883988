package io.virtnvme.master.rpc;

import java.util.List;

/**
 * All that the {@code nvmf_*} methods made. Immutable.
 *
 * @param transport null when there is none
 * @param subsystems oldest first
 */
public record NvmfState(NvmfTransportSpec transport, List<NvmfSubsystem> subsystems) {
  /** Nothing. */
  public static final NvmfState EMPTY = new NvmfState(null, List.of());

  public NvmfState {
    subsystems = List.copyOf(subsystems);
  }
}
