package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.master.rpc.RpcException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A secondary keeps a copy of a disk by its dirty bitmap while a load writes and processes are
 * killed. In the end the copy is the disk: every block that changed was marked.
 */
@Tag("once")
class DirtyTrackingTest {
  /** Few: one pass behind a load that never rests must not take long. */
  private static final int BLOCK_COUNT = 512;

  private static final int BLOCK_BYTES = QpairLoad.BLOCK_BYTES;
  private static final int KILLS = 2;
  private static final int PASSES_BETWEEN = 2;

  @RegisterExtension private final Pairs pairs = new Pairs();

  private final byte[] copy = new byte[BLOCK_COUNT * BLOCK_BYTES];
  private Pair pair;
  private QpairClient client;
  private Path marks;
  private DirtySegment dirty;

  private void startPair(final int standbyCount, final String bdev) {
    pair = pairs.start(PairOptions.usual().withStandbys(standbyCount));
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", BLOCK_COUNT);
    }
    pair.createSecondaryEndpoint("copy", "disk", false);
  }

  private void attach() {
    client =
        pairs.add(QpairClient.attach(pair.path().resolve("virtnvme/copy"), 2, BLOCK_BYTES, false));
  }

  private JsonNode startTracking(final int grainKib) {
    return pair.call(
        "virtnvme_start_dirty_tracking", Json.of("name", "disk", "grain_kib", grainKib));
  }

  private void startCopy(final int grainKib) {
    attach();
    marks = Path.of(startTracking(grainKib).path("path").asText());
    dirty = pairs.add(DirtySegment.attach(marks));
    for (int block = 0; block < BLOCK_COUNT; block++) {
      read(block, copy);
    }
  }

  private void read(final int block, final byte[] into) {
    client.run(QpairRequest.READ, 0, block, 1, 0, QpairLoad.LIMIT_NS);
    Mem.copyOut(client.poolAddress(), into, block * BLOCK_BYTES, BLOCK_BYTES);
  }

  /** One pass; how many grains it copied. */
  private int pass() {
    final int blocks = (int) dirty.grainBytes() / BLOCK_BYTES;
    int grains = 0;
    for (int word = 0; word < dirty.wordCount(); word++) {
      final long taken = dirty.take(word);
      for (long left = taken; left != 0; left &= left - 1) {
        final int grain = word * Long.SIZE + Long.numberOfTrailingZeros(left);
        for (int i = 0; i < blocks; i++) {
          read(grain * blocks + i, copy);
        }
        grains++;
      }
      dirty.copied(word, taken);
    }
    return grains;
  }

  private void passes(final int count) {
    for (int i = 0; i < count; i++) {
      pass();
    }
  }

  /** Nothing writes any more. */
  private void assertCopyIsTheDisk() {
    while (pass() > 0) {
      // A mark may be older than the last write.
    }
    final byte[] now = new byte[copy.length];
    for (int block = 0; block < BLOCK_COUNT; block++) {
      read(block, now);
    }
    assertArrayEquals(now, copy);
  }

  @ParameterizedTest
  @CsvSource({"mem,BLK,4", "uring,BLK,64", "uring,NVME,4"})
  void shouldMarkEveryBlockThatChangesWhileSlavesAreKilled(
      final String bdev, final String frontEnd, final int grainKib) {
    startPair(1, bdev);
    final LoadOptions usual = LoadOptions.usual(pairs.seed()).withBlockCount(BLOCK_COUNT);
    final boolean nvme = frontEnd.equals("NVME");
    if (nvme) {
      pair.createNvmeController("vm", true, "disk");
    } else {
      pair.createController("vm", "disk", false);
    }
    int active = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = pairs.load(pair, "vm", nvme ? usual.onNvme() : usual);
    startCopy(grainKib);
    for (int kill = 0; kill < KILLS; kill++) {
      passes(PASSES_BETWEEN);
      load.awaitIos(1000);
      Victim.kill(active);
      load.awaitIos(1000);
      passes(PASSES_BETWEEN);
      load.pause();
      active = pair.activePidWithStandbys(1, active);
      load.resume();
    }
    load.check();
    load.finish();
    assertCopyIsTheDisk();
  }

  @Test
  void shouldGoOnWithoutAMasterAndUnderTheNext() {
    startPair(1, "uring");
    pair.createSecondaryEndpoint("rw", "disk", false);
    final QpairLoad load =
        new QpairLoad(
            pairs.add(QpairLoad.attach(pair.path().resolve("virtnvme/rw"), true)), 0, BLOCK_COUNT);
    final int active = pair.activePidWithStandbys(1, 0);
    startCopy(4);
    load.run(2000);
    pair.killMaster();
    load.run(2000);
    passes(1);
    Victim.kill(active);
    load.run(2000);
    passes(1);
    pair.startMaster();
    final int second = pair.activePidWithStandbys(1, active);
    load.run(2000);
    Victim.kill(second);
    load.run(2000);
    passes(1);
    load.run(2000);
    load.finish();
    assertEquals(0, load.faultCount());
    assertCopyIsTheDisk();
    assertRefused(RpcException.EEXIST, () -> startTracking(64));
  }

  /** All processes at once: the marks stay in the segment, and the new slave goes on with them. */
  @Test
  void shouldKeepMarksWhenEverythingIsKilled() {
    startPair(0, "uring");
    pair.createController("vm", "disk", false);
    pair.activePid();
    startCopy(4);
    final QpairClient writer =
        pairs.add(QpairLoad.attach(pair.path().resolve("virtnvme/copy"), true));
    write(writer, 5);
    pair.killTogether(pair.pids());
    pair.startMaster();
    pair.activePid();
    attach();
    final QpairClient next =
        pairs.add(QpairLoad.attach(pair.path().resolve("virtnvme/copy"), true));
    write(next, 100);
    assertEquals(2, dirty.dirtyCount());
    assertCopyIsTheDisk();
    assertEquals(0x5A, copy[5 * BLOCK_BYTES]);
  }

  private static void write(final QpairClient writer, final int block) {
    Mem.fill(writer.poolAddress(), BLOCK_BYTES, (byte) 0x5A);
    writer.run(QpairRequest.WRITE, 0, block, 1, 0, QpairLoad.LIMIT_NS);
  }

  private static void assertRefused(final int code, final Runnable call) {
    assertEquals(code, assertThrows(RpcException.class, call::run).code());
  }

  @Test
  void shouldSwitchOnAndOffAndSayWhatCannotBe() {
    startPair(1, "mem");
    pair.activePidWithStandbys(1, 0);
    pair.call("bdev_null_create", Json.of("name", "n", "block_size", 512, "num_blocks", 8));
    for (final int wrong : List.of(0, 3, 65, 1 << 30)) {
      assertRefused(RpcException.INVALID_PARAMS, () -> startTracking(wrong));
    }
    assertRefused(
        RpcException.ENOTSUP,
        () -> pair.call("virtnvme_start_dirty_tracking", Json.of("name", "n")));
    assertRefused(RpcException.ENOENT, this::stopTracking);
    startCopy(64);
    assertEquals(64, grainShown());
    assertEquals(BLOCK_COUNT * BLOCK_BYTES / (64 << 10), dirty.grainCount());
    assertRefused(RpcException.EEXIST, () -> startTracking(64));
    assertRefused(
        RpcException.EBUSY,
        () ->
            pair.call(
                "virtnvme_bdev_resize", Json.of("name", "disk", "num_blocks", 2 * BLOCK_COUNT)));
    stopTracking();
    assertFalse(Files.exists(marks));
    assertEquals(0, grainShown());
    final QpairClient writer =
        pairs.add(QpairLoad.attach(pair.path().resolve("virtnvme/copy"), true));
    write(writer, 1);
    assertEquals(0, dirty.dirtyCount());
    assertTrue(Files.exists(Path.of(startTracking(4).path("path").asText())));
    stopTracking();
  }

  private void stopTracking() {
    pair.call("virtnvme_stop_dirty_tracking", Json.of("name", "disk"));
  }

  private int grainShown() {
    return pair.call("bdev_get_bdevs", Json.of("name", "disk"))
        .path(0)
        .path("driver_specific")
        .path("virtnvme")
        .path("dirty_grain_kib")
        .asInt();
  }
}
