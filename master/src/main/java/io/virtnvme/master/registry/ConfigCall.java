package io.virtnvme.master.registry;

import com.fasterxml.jackson.databind.node.ObjectNode;

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
    return params.path("ctrlr").asText(params.path("name").asText(params.path("nqn").asText("")));
  }
}
