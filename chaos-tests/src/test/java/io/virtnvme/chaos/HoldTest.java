package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.tools.pair.FrontEnd;
import java.time.Duration;
import java.util.UUID;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A disk that is held changes for nobody, whoever dies, and goes on by itself. */
@Tag("once")
class HoldTest {
  private static final int BLOCK_COUNT = 512;
  private static final int LONG_MS = 10_000;
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final UUID SOURCE = new UUID(7, 8);

  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair pair;
  private LoadProcess load;
  private int active;
  private QpairClient reader;

  private void start(final String bdev, final FrontEnd frontEnd) {
    pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(1));
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", BLOCK_COUNT);
    }
    LoadOptions options = LoadOptions.withPauses(pairs.seed()).withBlockCount(BLOCK_COUNT);
    if (frontEnd == FrontEnd.NVME) {
      pair.createNvmeController("vm", true, "disk");
      options = options.onNvme();
    } else {
      pair.createController("vm", "disk", false);
    }
    pair.createSecondaryEndpoint("ro", "disk", true);
    active = pair.activePidWithStandbys(1, 0);
    load = pairs.load(pair, "vm", options);
    reader = pairs.add(QpairLoad.attach(pair.path().resolve("virtnvme/ro"), false));
  }

  private long hold(final int limitMs) {
    return pair.call("virtnvme_bdev_hold", Json.of("name", "disk", "limit_ms", limitMs))
        .path("hold")
        .asLong();
  }

  private void release(final long hold) {
    pair.call("virtnvme_bdev_release", Json.of("name", "disk", "hold", hold));
  }

  private void migration(final String state, final UUID source) {
    pair.call(
        "virtnvme_bdev_set_migration",
        Json.of("name", "disk", "state", state, "source", source.toString(), "peer", "h:1"));
  }

  private String state() {
    final JsonNode disk = pair.call("bdev_get_bdevs", Json.of("name", "disk")).path(0);
    return disk.path("driver_specific").path("virtnvme").path("migration").path("state").asText();
  }

  /** Reads the whole disk twice, which takes a while, and finds the same. */
  private void assertStill() {
    final long before = checksum();
    final long ios = load.progress().ios();
    assertEquals(before, checksum());
    // What had completed when the hold began may be counted late, and nothing else.
    assertTrue(load.progress().ios() - ios <= 64);
  }

  private long checksum() {
    long sum = 0;
    for (int block = 0; block < BLOCK_COUNT; block++) {
      reader.run(QpairRequest.READ, 0, block, 1, 0, QpairLoad.LIMIT_NS);
      for (int at = 0; at < QpairLoad.BLOCK_BYTES; at += Long.BYTES) {
        sum = sum * 31 + Mem.getLong(reader.poolAddress() + at);
      }
    }
    return sum;
  }

  private static void assertRefused(final int code, final Runnable call) {
    assertEquals(code, assertThrows(RpcException.class, call::run).code());
  }

  @ParameterizedTest
  @CsvSource({"mem,BLK", "uring,NVME"})
  void shouldStandStillAlsoUnderTheSuccessorOfADeadSlave(
      final String bdev, final FrontEnd frontEnd) {
    start(bdev, frontEnd);
    final long first = hold(LONG_MS);
    assertStill();
    assertRefused(RpcException.EBUSY, () -> hold(LONG_MS));
    release(first);
    assertRefused(RpcException.ENOENT, () -> release(first));
    load.awaitIos(1000);

    // Not a hold any more: the death of the slave must not end what has no end.
    migration("moved", SOURCE);
    Victim.kill(active);
    pair.activePidWithStandbys(0, active);
    assertStill();
    migration("none", SOURCE);
    load.awaitIos(1000);
    load.finish();
  }

  @Test
  void shouldGoOnByItselfWhenTheMasterDies() {
    start("mem", FrontEnd.BLK);
    hold(2000);
    pair.killMaster();
    // Neither a master nor whoever asked for the hold could end it.
    load.awaitIos(1000);
    pair.startMaster();
    final long hold = hold(4000);
    pair.killMaster();
    pair.startMaster();
    // The number means nothing to the new one, which does not know whether it has ended meanwhile.
    assertRefused(RpcException.ENOENT, () -> release(hold));
    load.awaitIos(1000);
    load.finish();
  }

  @Test
  void shouldKeepWhatIsMovedOverTheDeathOfEverything() {
    start("uring", FrontEnd.BLK);
    final long hold = hold(LONG_MS);
    pair.call(
        "virtnvme_bdev_set_migration",
        Json.of(
            "name",
            "disk",
            "state",
            "moved",
            "source",
            SOURCE.toString(),
            "peer",
            "h:1",
            "hold",
            hold));
    assertRefused(RpcException.EBUSY, () -> hold(1000));
    assertRefused(RpcException.EBUSY, () -> migration("receiving", SOURCE));
    assertRefused(RpcException.EBUSY, () -> migration("moved", new UUID(1, 1)));
    migration("moved", SOURCE);
    pair.killTogether(pair.pids());
    pair.startMaster();
    pair.activePid();
    assertEquals("moved", state());
    reader = pairs.add(QpairLoad.attach(pair.path().resolve("virtnvme/ro"), false));
    assertStill();
    pair.call("virtnvme_bdev_set_migration", Json.of("name", "disk", "state", "none"));
    load.awaitIos(1000);
    load.finish();
  }

  @Test
  void shouldTakeTheStepsOfADiskThatComesAndLetGuestsInAtTheEnd() {
    start("mem", FrontEnd.BLK);
    pair.createSecondaryEndpoint("rw", "disk", false);
    assertRefused(RpcException.EBUSY, () -> migration("prepared", SOURCE));
    assertRefused(RpcException.EBUSY, () -> migration("owned", SOURCE));
    migration("receiving", SOURCE);
    assertStill();
    // Whoever receives it writes.
    final QpairClient writer =
        pairs.add(QpairLoad.attach(pair.path().resolve("virtnvme/rw"), true));
    reader.run(QpairRequest.READ, 0, 0, 1, 0, QpairLoad.LIMIT_NS);
    Mem.copy(reader.poolAddress(), writer.poolAddress(), QpairLoad.BLOCK_BYTES);
    writer.run(QpairRequest.WRITE, 0, 0, 1, 0, QpairLoad.LIMIT_NS);
    assertRefused(RpcException.EBUSY, () -> migration("owned", SOURCE));
    migration("prepared", SOURCE);
    assertRefused(RpcException.EBUSY, () -> migration("owned", new UUID(1, 1)));
    Victim.kill(active);
    pair.activePidWithStandbys(1, active);
    assertStill();
    migration("owned", SOURCE);
    load.awaitIos(1000);
    migration("owned", SOURCE);
    load.awaitIos(1000);
    final long hold = hold(LONG_MS);
    assertStill();
    release(hold);
    load.finish();
  }

  @Test
  void shouldSayWhatCannotBeHeld() {
    pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(0));
    pair.call("bdev_null_create", Json.of("name", "n", "block_size", 512, "num_blocks", 8));
    pair.createMemDisk("one", BLOCK_COUNT);
    pair.createMemDisk("two", BLOCK_COUNT);
    pair.createNvmeController("vm", true, "one", "two");
    Waiting.until("a slave", LIMIT, () -> pair.activePid() != 0);
    assertRefused(RpcException.ENOTSUP, () -> holdOf("n"));
    assertRefused(RpcException.ENOTSUP, () -> holdOf("one"));
    assertRefused(RpcException.ENODEV, () -> holdOf("none"));
  }

  private void holdOf(final String name) {
    pair.call("virtnvme_bdev_hold", Json.of("name", name, "limit_ms", 1000));
  }
}
