package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.ipc.qpair.QpairRequest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code virtnvme migrate --to nbd+unix://...}: a stock server gets a disk that is written to
 * meanwhile, as it was at one moment.
 */
@Tag("once")
class NbdMigrationTest {
  private static final Path QEMU_NBD = Path.of("/usr/bin/qemu-nbd");
  private static final int BLOCK_COUNT = 4096;
  private static final int BLOCK_BYTES = QpairLoad.BLOCK_BYTES;
  private static final int LENGTH = BLOCK_COUNT * BLOCK_BYTES;
  private static final int CHUNK_BLOCKS = 16;
  private static final int ZERO_BLOCK_COUNT = 1024;

  /** A machine that has other work may be slow; what is asked here is not how slow. */
  private static final int PATIENT_MS = 2000;

  private static final Duration LIMIT = Duration.ofSeconds(60);

  @RegisterExtension private final Pairs pairs = new Pairs();

  @TempDir private Path folder;

  private Pair pair;
  private Path image;
  private Path socket;
  private int serverCount;

  /** A process of somebody else's program. */
  private record Server(Process process) implements AutoCloseable {
    @Override
    public void close() {
      process.destroyForcibly();
      Waiting.until("the server ends", LIMIT, () -> !process.isAlive());
    }
  }

  /** What a writer does over and over; the pool begins with the number of the round. */
  @FunctionalInterface
  private interface Round {
    void run(QpairClient client, long number);
  }

  private final class Writer implements AutoCloseable {
    private final QpairClient client = attach("rw", true);
    private final Round round;
    private final Thread thread = new Thread(this::run, "writer");
    private volatile boolean isOver;
    private volatile long count;
    private volatile Throwable failure;

    Writer(final Round round) {
      this.round = round;
    }

    Writer start() {
      thread.start();
      return this;
    }

    private void run() {
      try {
        while (!isOver) {
          final long next = count + 1;
          Mem.putLong(client.poolAddress(), next);
          round.run(client, next);
          count = next;
        }
      } catch (final RuntimeException | Error e) {
        failure = e;
      }
    }

    /** It goes on. */
    void await(final int rounds) {
      final long end = count + rounds;
      Waiting.until("the writer goes on", LIMIT, () -> failure != null || count >= end);
      assertNull(failure);
    }

    @Override
    public void close() {
      isOver = true;
      Waiting.until("the writer ends", LIMIT, () -> !thread.isAlive());
      client.close();
      assertNull(failure);
    }
  }

  private static void writeBothEnds(final QpairClient client) {
    client.run(QpairRequest.WRITE, 0, 0, 1, 0, QpairLoad.LIMIT_NS);
    client.run(QpairRequest.WRITE, 0, BLOCK_COUNT - 1, 1, 0, QpairLoad.LIMIT_NS);
  }

  /** Half of the disk, again and again. */
  private static void writeHalf(final QpairClient client, final long number) {
    final long chunk = number % (BLOCK_COUNT / CHUNK_BLOCKS / 2);
    client.run(QpairRequest.WRITE, 0, chunk * CHUNK_BLOCKS, CHUNK_BLOCKS, 0, QpairLoad.LIMIT_NS);
  }

  private QpairClient attach(final String endpoint, final boolean writeAccess) {
    return QpairLoad.attach(pair.path().resolve("virtnvme").resolve(endpoint), writeAccess);
  }

  private void start() {
    pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(0));
    pair.createMemDisk("disk", BLOCK_COUNT);
    pair.createSecondaryEndpoint("rw", "disk", false);
    pair.createSecondaryEndpoint("ro", "disk", true);
    pair.activePid();
    final byte[] bytes = new byte[CHUNK_BLOCKS * BLOCK_BYTES];
    final SplittableRandom random = new SplittableRandom(pairs.seed());
    try (QpairClient client = attach("rw", true)) {
      for (int block = CHUNK_BLOCKS;
          block < BLOCK_COUNT - ZERO_BLOCK_COUNT;
          block += CHUNK_BLOCKS) {
        random.nextBytes(bytes);
        Mem.copyIn(bytes, 0, client.poolAddress(), bytes.length);
        client.run(QpairRequest.WRITE, 0, block, CHUNK_BLOCKS, 0, QpairLoad.LIMIT_NS);
      }
    }
  }

  /** A server with an image that is full of something else. */
  private Server serve() throws IOException {
    serverCount++;
    image = folder.resolve("image" + serverCount);
    socket = folder.resolve("nbd" + serverCount);
    final byte[] other = new byte[LENGTH + BLOCK_BYTES];
    new SplittableRandom(7).nextBytes(other);
    Files.write(image, other);
    final Server server =
        pairs.add(
            new Server(
                new ProcessBuilder(
                        QEMU_NBD.toString(),
                        "--persistent",
                        "--format=raw",
                        "--export-name=copy",
                        "--socket=" + socket,
                        image.toString())
                    .redirectErrorStream(true)
                    .redirectOutput(folder.resolve("server" + serverCount).toFile())
                    .start()));
    Waiting.until("the server listens", LIMIT, () -> Files.exists(socket));
    return server;
  }

  private CommandProcess migrate(final int maxBlackoutMs, final String... more) throws IOException {
    return migrateTo("nbd+unix:///copy?socket=" + socket, maxBlackoutMs, more);
  }

  private CommandProcess migrateTo(final String to, final int maxBlackoutMs, final String... more)
      throws IOException {
    final List<String> all =
        new java.util.ArrayList<>(
            List.of("migrate", "--run-dir", pair.path().toString(), "--disk", "disk"));
    all.addAll(List.of("--json", "--max-blackout", String.valueOf(maxBlackoutMs)));
    all.addAll(List.of("--to", to));
    all.addAll(List.of(more));
    return pairs.add(CommandProcess.start(folder, all));
  }

  private JsonNode disk() {
    return pair.call("bdev_get_bdevs", Json.of("name", "disk"))
        .path(0)
        .path("driver_specific")
        .path("virtnvme");
  }

  private byte[] source() {
    final byte[] bytes = new byte[LENGTH];
    try (QpairClient client = attach("ro", false)) {
      for (int block = 0; block < BLOCK_COUNT; block += CHUNK_BLOCKS) {
        client.run(QpairRequest.READ, 0, block, CHUNK_BLOCKS, 0, QpairLoad.LIMIT_NS);
        Mem.copyOut(client.poolAddress(), bytes, block * BLOCK_BYTES, CHUNK_BLOCKS * BLOCK_BYTES);
      }
    }
    return bytes;
  }

  private static byte[] range(final byte[] bytes, final int fromBlock, final int toBlock) {
    return java.util.Arrays.copyOfRange(bytes, fromBlock * BLOCK_BYTES, toBlock * BLOCK_BYTES);
  }

  private static long number(final byte[] bytes, final int block) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(block * BLOCK_BYTES);
  }

  @Test
  void shouldGiveAStockServerADiskInUseAsItWasAtOneMoment() throws Exception {
    Assumptions.assumeTrue(Files.isExecutable(QEMU_NBD), "no qemu-nbd");
    start();
    try (Writer writer = new Writer((client, number) -> writeBothEnds(client)).start()) {
      final Server dying = serve();
      final CommandProcess left = migrate(PATIENT_MS, "--bandwidth", "2");
      Waiting.until("it sends", LIMIT, () -> left.text().contains("pass 1: "));
      dying.close();
      assertEquals(1, left.end(), left.text());
      assertTrue(left.text().contains("disk stays here"), left.text());
      writer.await(1000);
      assertTrue(disk().path("migration").isMissingNode(), disk().toString());
      assertTrue(disk().path("dirty_grain_kib").isMissingNode(), disk().toString());

      serve();
      final CommandProcess copying = migrate(PATIENT_MS, "--verify");
      assertEquals(0, copying.end(), copying.text());
      final JsonNode result = copying.result();
      assertEquals("copied", result.path("state").asText());
      assertEquals(0, result.path("mismatches").asInt(-1));
      assertTrue(result.path("blackout_ms").asDouble() > 0, copying.text());
      writer.await(1000);
    }
    final byte[] copy = Files.readAllBytes(image);
    final long first = number(copy, 0);
    final long last = number(copy, BLOCK_COUNT - 1);
    assertTrue(first > 0 && first - last >= 0 && first - last <= 1, first + " and " + last);
    assertArrayEquals(range(source(), 1, BLOCK_COUNT - 1), range(copy, 1, BLOCK_COUNT - 1));

    final Path file = folder.resolve("file");
    Files.write(file, copy);
    final CommandProcess filing = migrateTo("file:" + file, PATIENT_MS);
    assertEquals(0, filing.end(), filing.text());
    assertArrayEquals(source(), range(Files.readAllBytes(file), 0, BLOCK_COUNT));

    final CommandProcess giving = migrate(PATIENT_MS, "--handover");
    assertEquals(0, giving.end(), giving.text());
    assertEquals("moved", giving.result().path("state").asText());
    assertEquals("moved", disk().path("migration").path("state").asText());
    try (QpairClient client = attach("rw", true)) {
      assertThrows(
          QpairException.class,
          () -> client.run(QpairRequest.WRITE, 0, 1, 1, 0, TimeUnit.MILLISECONDS.toNanos(300)));
    }
    assertArrayEquals(source(), range(Files.readAllBytes(image), 0, BLOCK_COUNT));
    final CommandProcess again = migrate(PATIENT_MS, "--handover");
    assertEquals(0, again.end(), again.text());
    assertEquals("moved", again.result().path("state").asText());
    pair.call("virtnvme_bdev_set_migration", Json.of("name", "disk", "state", "none"));
    try (Writer writer = new Writer((client, number) -> writeBothEnds(client)).start()) {
      writer.await(1000);
    }
  }

  @Test
  void shouldSlowDownAWriterThatIsFasterThanWhatIsSentAndNoLongerThanTheHelperLives()
      throws Exception {
    Assumptions.assumeTrue(Files.isExecutable(QEMU_NBD), "no qemu-nbd");
    start();
    serve();
    try (Writer writer = new Writer(NbdMigrationTest::writeHalf).start()) {
      final CommandProcess killed = migrate(1000, "--throttle", "--bandwidth", "8");
      Waiting.until("it throttles", LIMIT, () -> killed.text().contains("guests may write"));
      killed.kill();
      // At 4 MiB/s these would take minutes.
      writer.await(10_000);
      final CommandProcess copying = migrate(1000, "--throttle", "--bandwidth", "8");
      assertEquals(0, copying.end(), copying.text());
      assertTrue(copying.text().contains("guests may write"), copying.text());
      writer.await(10_000);
    }
  }
}
