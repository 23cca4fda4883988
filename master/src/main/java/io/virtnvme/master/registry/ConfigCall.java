package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/**
 * One call of a configuration.
 *
 * @param subsystem SPDK's name for the part it belongs to
 * @param index position in that part's list, from 0
 * @param method RPC method
 * @param params its parameters; empty when there are none
 */
public record ConfigCall(String subsystem, int index, String method, ObjectNode params) {
  /** Names the entry in an error text. */
  public String where() {
    return "entry " + index + " of subsystem '" + subsystem + "' (" + method + ")";
  }

  /** The name of the object that the call makes, or an empty string. */
  public String objectName() {
    for (final String name : List.of("ctrlr", "name", "nqn", "base_bdev")) {
      if (params.has(name)) {
        return params.path(name).asText();
      }
    }
    return "";
  }
}
