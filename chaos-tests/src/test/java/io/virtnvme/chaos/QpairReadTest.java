package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.tools.Main;
import io.virtnvme.tools.chaos.BadDisk;
import io.virtnvme.tools.chaos.LoopDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** {@code virtnvme read}: the volume of a real pair as a stream and as checksums. */
@Tag("once")
class QpairReadTest {
  private static final int BLOCK_COUNT = 2000;
  private static final int VOLUME_BYTES = BLOCK_COUNT * QpairLoad.BLOCK_BYTES;
  private static final int CHUNK_BYTES = 1 << 16;

  @RegisterExtension private final Pairs pairs = new Pairs();

  @TempDir private Path folder;

  private final byte[] data = new byte[VOLUME_BYTES];
  private Pair pair;
  private Path err;

  @BeforeEach
  void setUp() {
    err = folder.resolve("err");
    pair = pairs.start(PairOptions.ofFirstCompiler());
    pair.createMemDisk("disk", BLOCK_COUNT);
    pair.createSecondaryEndpoint("rw", "disk", false);
    pair.createSecondaryEndpoint("ro", "disk", true);
    new SplittableRandom(11).nextBytes(data);
    try (QpairClient client = QpairLoad.attach(pair.path().resolve("virtnvme/rw"), true)) {
      for (int block = 0; block < BLOCK_COUNT; block++) {
        Mem.copyIn(
            data, block * QpairLoad.BLOCK_BYTES, client.poolAddress(), QpairLoad.BLOCK_BYTES);
        client.run(QpairRequest.WRITE, 0, block, 1, 0, QpairLoad.LIMIT_NS);
      }
    }
  }

  private Process start(final Path out, final String... arguments) throws IOException {
    final List<String> all = new ArrayList<>(List.of("read", "--run-dir", pair.path().toString()));
    all.addAll(List.of(arguments));
    return new ProcessBuilder(ChildJvm.command(Main.class, all))
        .redirectOutput(out.toFile())
        .redirectError(err.toFile())
        .start();
  }

  private int sessionCount() {
    return pair.call("vhost_get_controllers", Json.of("name", "ro"))
        .path(0)
        .path("sessions")
        .size();
  }

  private static int exitCode(final Process process) throws InterruptedException {
    try {
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), "does not end");
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  private int run(final Path out, final String... arguments) throws Exception {
    return exitCode(start(out, arguments));
  }

  private static String sum(final byte[] bytes, final int from, final int to) {
    final CRC32C crc = new CRC32C();
    crc.update(bytes, from, to - from);
    return String.format("%08x", crc.getValue());
  }

  @Test
  void shouldGiveTheBytesOfTheVolumeAlsoWhenTheSlaveDies() throws Exception {
    final Path out = folder.resolve("out");
    assertEquals(0, run(out, "ro"), () -> said());
    assertArrayEquals(data, Files.readAllBytes(out));

    Waiting.until("the client is gone", Duration.ofSeconds(20), () -> sessionCount() == 0);
    final int active = pair.activePidWithStandbys(1, 0);
    final Path copy = folder.resolve("copy");
    try (Victim slave = Victim.of(active)) {
      slave.signal(Processes.SIGSTOP);
      final Process reading = start(out, "ro", "--out", copy.toString(), "--chunk", "4096");
      // Its attachment waits for the slave, or its first reads do.
      Waiting.until("the command waits", Duration.ofSeconds(20), () -> sessionCount() == 1);
      slave.signal(Processes.SIGKILL);
      assertEquals(0, exitCode(reading), () -> said());
    }
    assertArrayEquals(data, Files.readAllBytes(copy));
  }

  @Test
  void shouldGiveARangeAndChecksums() throws Exception {
    final Path out = folder.resolve("out");
    final int offset = 3 * QpairLoad.BLOCK_BYTES;
    final int length = 5 * CHUNK_BYTES + QpairLoad.BLOCK_BYTES;
    final String[] range = {"--offset", "" + offset, "--length", "" + length};
    assertEquals(0, run(out, concat(range, "ro")), () -> said());
    assertArrayEquals(Arrays.copyOfRange(data, offset, offset + length), Files.readAllBytes(out));

    assertEquals(
        0,
        run(out, concat(range, "ro", "--checksum", "--json", "--chunk", "" + CHUNK_BYTES)),
        () -> said());
    final JsonNode report = new ObjectMapper().readTree(out.toFile());
    assertEquals(sum(data, offset, offset + length), report.path("crc32c").asText());
    assertEquals(0, report.path("failed_chunks").asInt(-1));
    assertEquals(6, report.path("chunks").size());
    int at = offset;
    for (final JsonNode chunk : report.path("chunks")) {
      assertEquals(at, chunk.path("offset").asInt());
      final int end = at + chunk.path("length").asInt();
      assertEquals(sum(data, at, end), chunk.path("crc32c").asText());
      at = end;
    }
    assertEquals(offset + length, at);
  }

  @Test
  void shouldGoOnBehindWhatCannotBeReadAndLeaveNoPartOfACopy() throws Exception {
    Assumptions.assumeTrue(LoopDevice.obstacle().isEmpty(), LoopDevice.obstacle());
    final BadDisk disk = pairs.add(BadDisk.of(4L * CHUNK_BYTES));
    pair.call(
        "bdev_uring_create",
        Json.of("name", "bad", "filename", disk.device(), "block_size", QpairLoad.BLOCK_BYTES));
    pair.createSecondaryEndpoint("bad", "bad", true);
    final Path out = folder.resolve("out");
    final String chunk = "" + CHUNK_BYTES;
    assertEquals(1, run(out, "bad", "--checksum", "--json", "--chunk", chunk), () -> said());
    final JsonNode report = new ObjectMapper().readTree(out.toFile());
    assertEquals(4, report.path("failed_chunks").asInt(), report::toString);
    assertTrue(report.path("crc32c").isNull(), report::toString);
    assertEquals(8, report.path("chunks").size(), report::toString);
    for (int i = 0; i < 8; i++) {
      final JsonNode read = report.path("chunks").path(i);
      assertEquals(
          i < 4 ? sum(new byte[CHUNK_BYTES], 0, CHUNK_BYTES) : "",
          read.path("crc32c").asText(),
          report::toString);
      assertEquals(i >= 4, read.path("error").asText().contains("EIO"), report::toString);
    }

    final Path copy = folder.resolve("copy");
    assertEquals(1, run(out, "bad", "--out", copy.toString(), "--chunk", chunk), () -> said());
    assertTrue(said().contains("offset=" + 4 * CHUNK_BYTES), () -> said());
    assertFalse(Files.exists(copy), "what looks like a copy is left");
  }

  @Test
  void shouldSayWhyItCannotRead() throws Exception {
    final Path out = folder.resolve("out");
    assertFails(out, "virtnvme/missing", "missing");
    assertFails(out, "outside of the volume", "ro", "--offset", "" + 2L * VOLUME_BYTES);
    assertFails(out, "outside of the volume", "ro", "--length", "" + Long.MAX_VALUE);
    assertFails(out, "block length 4096", "ro", "--offset", "512");
    final Path kept = Files.writeString(folder.resolve("kept"), "kept");
    assertFails(out, "exists already", "ro", "--out", kept.toString());
    assertEquals("kept", Files.readString(kept));
  }

  private void assertFails(final Path out, final String why, final String... arguments)
      throws Exception {
    assertEquals(1, run(out, arguments));
    assertTrue(said().contains(why), () -> said());
    assertFalse(said().contains("\tat "), () -> said());
    assertEquals(0, Files.size(out));
  }

  private String said() {
    try {
      return Files.readString(err);
    } catch (final IOException e) {
      return e.getMessage();
    }
  }

  private static String[] concat(final String[] first, final String... second) {
    final List<String> all = new ArrayList<>(List.of(first));
    all.addAll(List.of(second));
    return all.toArray(new String[0]);
  }
}
