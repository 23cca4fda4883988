package io.virtnvme.master.rpc;

import io.virtnvme.master.nvme.ControllerIdentity;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * An NVMe controller as it is.
 *
 * @param spec what was asked for, and which of its namespaces are bdevs
 * @param state in SPDK's words
 * @param driverState as the driver says it, or an empty string
 * @param reason why it is in this state; empty when there is nothing to say
 * @param identity what it says that it is; null when it was not asked yet
 * @param problems why namespaces are no bdevs, a sentence each
 * @param repair null while nobody watches the device
 */
public record NvmeControllerInfo(
    NvmeControllerSpec spec,
    State state,
    String driverState,
    String reason,
    ControllerIdentity identity,
    List<String> problems,
    Repair repair) {
  /** Whether it serves. */
  public enum State {
    /** Serves, or would. */
    ENABLED,
    /** Is being reset; requests wait. */
    RESETTING,
    /** Broken: requests wait for a reset. */
    FAILED,
    /** Is on its way up. */
    DISABLED,
    /** Is being given back. */
    DELETING;

    /** As SPDK's clients see it. */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * The repair of its device.
   *
   * @param state where it is
   * @param trouble what it is about; {@code none} while nothing is to repair
   * @param reason a sentence, or an empty string
   * @param troubles how often each kind was found
   * @param states how often each was entered
   */
  public record Repair(
      String state,
      String trouble,
      String reason,
      Map<String, Long> troubles,
      Map<String, Long> states) {}

  public NvmeControllerInfo {
    problems = List.copyOf(problems);
  }
}
