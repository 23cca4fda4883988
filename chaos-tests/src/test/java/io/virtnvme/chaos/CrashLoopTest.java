package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A slave that dies at once every time is given up on: its disks are marked failed, the guest's
 * requests wait, and an operator's call brings them back.
 */
@Tag("once")
class CrashLoopTest {
  private static final Duration GIVE_UP_LIMIT = Duration.ofSeconds(60);
  private static final int LENGTH = 4096;

  @RegisterExtension private final Pairs pairs = new Pairs();

  @ParameterizedTest
  @ValueSource(strings = {"start", "seat"})
  void shouldGiveUpOnASlaveThatDiesAtOnceUntilToldToStartItAgain(final String when)
      throws IOException {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler().withMain(FragileMaster.class));
    pair.createMemDisk("disk", 256);
    pair.createController("vm", "disk", false);
    final int slave = pair.activePidWithStandbys(1, 0);
    final RawGuest guest = pairs.add(RawGuest.running(pair.socket("vm"), false));
    assertEquals(BlkRequest.STATUS_OK, guest.transfer(BlkRequest.TYPE_OUT, 0, LENGTH, false));

    final Path order = pair.path().resolve("die");
    Files.writeString(order, when);
    if (when.equals("start")) {
      Victim.kill(slave);
      pair.activePidWithStandbys(0, slave);
      Victim.kill(pair.activePidWithStandbys(0, slave));
    }
    Waiting.until("seat 0 is given up on", GIVE_UP_LIMIT, () -> failedSlave(pair) != null);

    final SlaveView failed = failedSlave(pair);
    assertEquals(0, failed.seat());
    assertFalse(failed.reason().isEmpty(), failed::toString);
    final JsonNode disk =
        pair.call("bdev_get_bdevs", Json.of("name", "disk"))
            .path(0)
            .path("driver_specific")
            .path("virtnvme");
    assertEquals("failed", disk.path("state").asText(), disk::toString);
    assertFalse(disk.path("reason").asText().isEmpty(), disk::toString);
    assertEquals(1, pair.counter("seats_failed"));

    final int token =
        guest.submit(BlkRequest.TYPE_IN, 0, RawGuest.dataGuestAddress(), LENGTH, true);
    Files.delete(order);
    assertEquals(DriverQueue.NONE, guest.queue().poll(), "nobody is there to complete it");
    assertTrue(pair.call("virtnvme_start_slave", Json.of("seat", 0)).asBoolean());
    assertEquals(BlkRequest.STATUS_OK, guest.awaitStatus(token), "what waited is finished");
    pair.activePidWithStandbys(0, 0);
    assertEquals(null, failedSlave(pair));
    pair.createController("again", "disk", true);
    assertEquals(LENGTH * 256L / BlkRequest.SECTOR_BYTES, guest.capacitySectors());
  }

  private static SlaveView failedSlave(final Pair pair) {
    return pair.slaves().stream()
        .filter(slave -> slave.is("failed") && slave.seat() == 0)
        .findFirst()
        .orElse(null);
  }
}
