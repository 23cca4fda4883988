package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.JsonNode;

/** One entry of {@code virtnvme_get_slaves}. */
record SlaveView(long id, int pid, String state, int seat, String reason) {
  static SlaveView of(final JsonNode node) {
    return new SlaveView(
        node.path("id").asLong(-1),
        node.path("pid").asInt(-1),
        node.path("state").asText(),
        node.path("seat").asInt(-1),
        node.path("reason").asText());
  }

  boolean is(final String wanted) {
    return state.equals(wanted);
  }
}
