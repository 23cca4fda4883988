package io.virtnvme.tools.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.junit.jupiter.api.Test;

class TakeoversTest {
  private final Takeovers takeovers = new Takeovers();
  private final ArrayNode recoveries = JsonNodeFactory.instance.arrayNode();

  private void recovery(final int number, final int deadPid, final String cause) {
    recoveries
        .addObject()
        .put("number", number)
        .put("seat", 0)
        .put("cause", cause)
        .put("dead_pid", deadPid)
        .put("successor_pid", deadPid + 1)
        .put("warm", true)
        .put("resubmitted", 3);
  }

  @Test
  void shouldExplainTakeoversOfProcessesThatFaultsEnded() {
    takeovers.expect(100);
    takeovers.expect(101);
    recovery(1, 100, "died");
    recovery(2, 101, "hung");
    takeovers.add(recoveries);
    assertEquals(2, takeovers.count());
    assertEquals(2, takeovers.warmCount());
    assertEquals(6, takeovers.resubmittedCount());
    assertTrue(takeovers.unexplained().isEmpty());
  }

  @Test
  void shouldNameATakeoverThatNoFaultExplains() {
    takeovers.expect(100);
    recovery(1, 100, "died");
    recovery(2, 101, "hung");
    takeovers.add(recoveries);
    assertEquals(
        "process 102 took seat 0 of process 101, which no fault had ended (cause: hung)",
        String.join("; ", takeovers.unexplained()));
  }

  @Test
  void shouldCountATakeoverOnceThatTwoMastersTellOf() {
    takeovers.expect(100);
    recovery(4, 100, "died");
    takeovers.add(recoveries);
    recoveries.removeAll();
    recovery(1, 100, "died");
    takeovers.add(recoveries);
    assertEquals(1, takeovers.count());
  }
}
