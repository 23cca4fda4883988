package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.qpair.QpairSegment;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Secondary processes at a volume of a real pair. */
class QpairTest {
  private static final int BLOCK_COUNT = 4096;
  private static final int BLOCK_BYTES = 4096;
  private static final int DEPTH = 32;
  private static final long POOL_LENGTH = (long) DEPTH * BLOCK_BYTES;
  private static final long LIMIT_NS = TimeUnit.SECONDS.toNanos(20);

  private Pair pair;

  @BeforeEach
  void setUp() {
    pair = Pair.start(PairOptions.usual());
    pair.createMemDisk("disk", BLOCK_COUNT);
    createEndpoint("rw", false);
  }

  @AfterEach
  void tearDown() {
    pair.close();
  }

  private void createEndpoint(final String name, final boolean readOnly) {
    pair.call(
        "vhost_create_blk_controller",
        JsonNodeFactory.instance
            .objectNode()
            .put("ctrlr", name)
            .put("dev_name", "disk")
            .put("readonly", readOnly)
            .put("transport", "virtnvme"));
  }

  private QpairClient attach(final String name, final boolean writeAccess) {
    final Path socket = pair.path().resolve("virtnvme").resolve(name);
    return QpairClient.attach(socket, DEPTH + 1, POOL_LENGTH, writeAccess);
  }

  private static void run(final QpairClient client, final int opcode, final long block) {
    client.run(opcode, 0, block, 1, 0, LIMIT_NS);
  }

  @Test
  void shouldRefuseWritesToWhoMayOnlyRead() {
    createEndpoint("ro", true);
    assertThrows(QpairException.class, () -> attach("ro", true));
    try (QpairClient client = attach("rw", false)) {
      run(client, QpairRequest.READ, 0);
      assertThrows(QpairException.class, () -> run(client, QpairRequest.WRITE, 0));
      assertThrows(QpairException.class, () -> run(client, QpairRequest.READ, BLOCK_COUNT));
    }
  }

  @Test
  void shouldCompleteEveryRequestOnceWhileSlavesAreKilled() {
    final Load load = new Load();
    try (QpairClient client = attach("rw", true)) {
      int dead = 0;
      for (int kill = 0; kill < 3; kill++) {
        final int active = pair.activePidWithStandbys(1, dead);
        load.run(client, 20_000);
        pair.killAtWork(active, () -> load.fill(client), kill * 20_000L);
        dead = active;
        load.run(client, 20_000);
      }
      load.finish(client);
    }
    assertEquals(0, load.faultCount);
  }

  @Test
  void shouldServeOthersWhileOneFillsItsMemoryWithGarbage() {
    final Load load = new Load();
    final SplittableRandom random = new SplittableRandom(7);
    try (QpairClient victim = attach("rw", true);
        QpairClient hostile = attach("rw", true)) {
      final long segment =
          hostile.poolAddress() - QpairSegment.poolOffset(hostile.geometry().entryCount());
      for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 2000; i++) {
          Mem.putInt(
              segment + 4L * random.nextInt(QpairSegment.poolOffset(DEPTH + 1) / 4),
              random.nextInt());
        }
        Mem.putInt(segment + QpairSegment.SQ_TAIL_OFFSET, random.nextInt(DEPTH + 3) - 1);
        Mem.putInt(segment + QpairSegment.CQ_HEAD_OFFSET, random.nextInt(DEPTH + 3) - 1);
        // Opcodes of the garbage are mostly unknown, and the volume is the victim's: only reads.
        for (int entry = 0; entry <= DEPTH; entry++) {
          Mem.putByte(
              segment + QpairSegment.REQUESTS_OFFSET + (long) entry * QpairRequest.LENGTH,
              (byte) (random.nextBoolean() ? QpairRequest.READ : random.nextInt(6, 256)));
        }
        load.run(victim, 500);
      }
      load.finish(victim);
    }
    assertEquals(0, load.faultCount);
    try (QpairClient client = attach("rw", false)) {
      run(client, QpairRequest.READ, 0);
    }
  }

  /** Writes blocks that carry their number and version, reads them back, and judges. */
  private static final class Load {
    private final SplittableRandom random = new SplittableRandom(1);
    private final long[] versions = new long[BLOCK_COUNT];
    private final long[] blocks = new long[DEPTH];
    private final boolean[] writes = new boolean[DEPTH];
    private final boolean[] busy = new boolean[DEPTH];
    private final boolean[] locked = new boolean[BLOCK_COUNT];
    private QpairClient client;
    private long endedCount;
    private int faultCount;

    void run(final QpairClient of, final int count) {
      client = of;
      final long end = endedCount + count;
      while (endedCount < end) {
        fill(of);
        take();
      }
    }

    void fill(final QpairClient of) {
      client = of;
      for (int slot = 0; slot < DEPTH; slot++) {
        if (!busy[slot]) {
          submit(slot);
        }
      }
    }

    void finish(final QpairClient of) {
      client = of;
      while (client.inFlightCount() > 0) {
        take();
      }
    }

    private void take() {
      assertTrue(client.await(LIMIT_NS), "no completion");
      client.poll(this::onEnd, DEPTH);
    }

    private void submit(final int slot) {
      final int block = random.nextInt(BLOCK_COUNT);
      if (locked[block]) {
        return;
      }
      locked[block] = true;
      busy[slot] = true;
      blocks[slot] = block;
      writes[slot] = random.nextBoolean();
      final long buffer = client.poolAddress() + (long) slot * BLOCK_BYTES;
      for (int offset = 0; offset < BLOCK_BYTES; offset += Long.BYTES) {
        Mem.putLong(buffer + offset, writes[slot] ? stamp(block, versions[block] + 1, offset) : -1);
      }
      assertTrue(
          client.submit(
              writes[slot] ? QpairRequest.WRITE : QpairRequest.READ,
              0,
              slot,
              block,
              1,
              (long) slot * BLOCK_BYTES));
    }

    private static long stamp(final long block, final long version, final int offset) {
      return version == 0 ? 0 : (block << 40) ^ (version << 12) ^ offset;
    }

    private void onEnd(final int slot, final int errno) {
      final int block = (int) blocks[slot];
      faultCount += errno != 0 || !busy[slot] ? 1 : 0;
      if (writes[slot]) {
        versions[block]++;
      } else {
        final long buffer = client.poolAddress() + (long) slot * BLOCK_BYTES;
        for (int offset = 0; offset < BLOCK_BYTES; offset += Long.BYTES) {
          faultCount +=
              Mem.getLong(buffer + offset) == stamp(block, versions[block], offset) ? 0 : 1;
        }
      }
      busy[slot] = false;
      locked[block] = false;
      endedCount++;
    }
  }
}
