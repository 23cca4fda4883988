package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.sys.Processes;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** P4: a slave that hangs under load is found out, killed, and replaced. */
class HungSlaveTest {
  @RegisterExtension private final Pairs pairs = new Pairs();

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void shouldReplaceASlaveThatHangs(final int standbyCount) {
    final Pair pair = pairs.start(PairOptions.usual().withStandbys(standbyCount));
    pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    pair.createController("vm", "disk", false);
    final int slave = pair.activePidWithStandbys(standbyCount, 0);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()));
    try (Victim hung = Victim.of(slave)) {
      hung.signal(Processes.SIGSTOP);
      load.awaitIos(5000);
      hung.awaitDeath();
    }
    assertFalse(Victim.isAlive(slave));
    assertNotEquals(slave, pair.activePidWithStandbys(0, slave));
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    final JsonNode recovery = pair.recoveries().path(0);
    assertEquals("hung", recovery.path("cause").asText(), recovery::toString);
    assertEquals(slave, recovery.path("dead_pid").asInt(), recovery::toString);
  }
}
