package io.virtnvme.tools.load;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import org.junit.jupiter.api.Test;

class TakeoverLatenciesTest {
  private final TakeoverLatencies latencies = new TakeoverLatencies(1_000_000_000);

  @Test
  void shouldGroupWhatASuccessorIsGivenByHundreds() {
    latencies.onCompletion(1, 1_000_000);
    for (int kill = 0; kill < 2; kill++) {
      latencies.onKillAnnounced();
      for (int i = 0; i < 50; i++) {
        latencies.onCompletion(10, 1000);
      }
      latencies.onKill();
      latencies.onCompletion(10, 500_000);
      latencies.onGapEnd(100);
      latencies.onGapEnd(300);
      latencies.onCompletion(99, 500_000);
      for (int i = 0; i < 2000; i++) {
        latencies.onCompletion(100 + i, 2000L + 1000L * (i / 100));
      }
    }
    final JsonNode json = latencies.toJson();
    assertEquals(100, json.path("before").path("requests").asInt());
    assertEquals(1.0, json.path("before").path("max").asDouble(), 0.01);
    for (int group = 0; group < 10; group++) {
      final JsonNode each = json.path("to" + (group + 1) * 100);
      assertEquals(200, each.path("requests").asInt());
      assertEquals(2.0 + group, each.path("max").asDouble(), 0.02);
      assertEquals(2.0 + group, each.path("p50").asDouble(), 0.02);
    }
  }
}
