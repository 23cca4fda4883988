package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairRequest;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code virtnvme migrate} and {@code virtnvme receive} between two pairs of this machine: a disk
 * moves while a verifying load writes to it, everybody is killed at every step, and it belongs to
 * one end.
 */
@Tag("once")
class MigrationTest {
  /** The load has the first blocks; the others make the first pass long. */
  private static final int LOAD_BLOCK_COUNT = 1024;

  private static final int BLOCK_COUNT = 6144;
  private static final int ZERO_BLOCK_COUNT = 1024;
  private static final int EQUAL_BLOCK_COUNT = 512;
  private static final int BLOCK_BYTES = QpairLoad.BLOCK_BYTES;
  private static final int BLOCKS_PER_REQUEST = 32;
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Pattern LISTENS = Pattern.compile("disk at .*:(\\d+)");

  @RegisterExtension private final Pairs pairs = new Pairs();

  @TempDir private Path folder;

  private Pair source;
  private Pair destination;
  private LoadProcess load;
  private FrameProxy proxy;

  private void start(final int standbyCount) {
    destination = pairs.start(PairOptions.ofFirstCompiler().withStandbys(0));
    source = pairs.start(PairOptions.ofFirstCompiler().withStandbys(standbyCount));
    source.createMemDisk("disk", BLOCK_COUNT);
    source.createController("vm", "disk", false);
    destination.createFileDisk("disk", BLOCK_COUNT);
    proxy = pairs.add(new FrameProxy());
    fill();
    source.activePidWithStandbys(standbyCount, 0);
    destination.activePid();
    load =
        pairs.load(
            source, "vm", LoadOptions.withPauses(pairs.seed()).withBlockCount(LOAD_BLOCK_COUNT));
  }

  private void fill() {
    source.createSecondaryEndpoint("rw", "disk", false);
    destination.createSecondaryEndpoint("ro", "disk", true);
    source.createSecondaryEndpoint("ro", "disk", true);
    final byte[] bytes = new byte[BLOCKS_PER_REQUEST * BLOCK_BYTES];
    final SplittableRandom random = new SplittableRandom(pairs.seed());
    try (QpairClient client = QpairLoad.attach(source.path().resolve("virtnvme/rw"), true)) {
      for (int block = LOAD_BLOCK_COUNT;
          block < BLOCK_COUNT - ZERO_BLOCK_COUNT;
          block += BLOCKS_PER_REQUEST) {
        // The last of them are all the same.
        if (block < BLOCK_COUNT - ZERO_BLOCK_COUNT - EQUAL_BLOCK_COUNT) {
          random.nextBytes(bytes);
        }
        Mem.copyIn(bytes, 0, client.poolAddress(), bytes.length);
        client.run(QpairRequest.WRITE, 0, block, BLOCKS_PER_REQUEST, 0, QpairLoad.LIMIT_NS);
      }
    }
  }

  private CommandProcess run(final String name, final Pair pair, final String... arguments)
      throws IOException {
    final List<String> all = new ArrayList<>(List.of(name, "--run-dir", pair.path().toString()));
    all.addAll(List.of("--disk", "disk", "--insecure"));
    all.addAll(List.of(arguments));
    return pairs.add(CommandProcess.start(folder, all));
  }

  private CommandProcess receive() throws IOException {
    final CommandProcess command = run("receive", destination, "--listen", "127.0.0.1:0");
    final int[] port = {0};
    Waiting.until(
        "the receiver listens",
        LIMIT,
        () -> {
          final Matcher matcher = LISTENS.matcher(command.text());
          if (matcher.find()) {
            port[0] = Integer.parseInt(matcher.group(1));
          }
          assertTrue(command.process().isAlive(), command.text());
          return port[0] != 0;
        });
    proxy.target(port[0]);
    return command;
  }

  private CommandProcess migrate(final String... arguments) throws IOException {
    final List<String> all = new ArrayList<>(List.of("--to", proxy.address(), "--json"));
    // A machine that has other work may be slow; what is asked here is not how slow.
    all.addAll(List.of("--max-blackout", "2000"));
    all.addAll(List.of(arguments));
    return run("migrate", source, all.toArray(new String[0]));
  }

  private static String state(final Pair pair) {
    final JsonNode disk = pair.call("bdev_get_bdevs", Json.of("name", "disk")).path(0);
    return disk.path("driver_specific")
        .path("virtnvme")
        .path("migration")
        .path("state")
        .asText("none");
  }

  private void assertStates(final String ofSource, final String ofDestination) {
    assertEquals(ofSource + " " + ofDestination, state(source) + " " + state(destination));
  }

  private void assertMoved() {
    assertSame();
    goBack();
    load.finish();
  }

  /** The load has not moved along: what it waits for is still to come, and nothing was lost. */
  private void goBack() {
    for (final Pair pair : List.of(source, destination)) {
      pair.call("virtnvme_bdev_set_migration", Json.of("name", "disk", "state", "none"));
    }
    load.awaitIos(1000);
  }

  /** The source has let go: what the destination has is the disk, for ever. */
  private void assertSame() {
    assertStates("moved", "owned");
    final long ios = load.progress().ios();
    try (QpairClient one = QpairLoad.attach(source.path().resolve("virtnvme/ro"), false);
        QpairClient other = QpairLoad.attach(destination.path().resolve("virtnvme/ro"), false)) {
      for (int block = 0; block < BLOCK_COUNT; block += BLOCKS_PER_REQUEST) {
        one.run(QpairRequest.READ, 0, block, BLOCKS_PER_REQUEST, 0, QpairLoad.LIMIT_NS);
        other.run(QpairRequest.READ, 0, block, BLOCKS_PER_REQUEST, 0, QpairLoad.LIMIT_NS);
        for (int at = 0; at < BLOCKS_PER_REQUEST * BLOCK_BYTES; at += Long.BYTES) {
          assertEquals(
              Mem.getLong(one.poolAddress() + at),
              Mem.getLong(other.poolAddress() + at),
              "block " + block + " byte " + at);
        }
      }
    }
    assertTrue(load.progress().ios() - ios <= 64, "the source goes on");
  }

  @Test
  void shouldMoveADiskInUseWhileItsSlaveIsKilled() throws Exception {
    start(1);
    final int active = source.activePidWithStandbys(1, 0);
    final CommandProcess receiver = receive();
    proxy.stopAt(FrameProxy.CHUNK, Integer.MAX_VALUE);
    final CommandProcess migration = migrate("--verify", "--bandwidth", "20");
    Waiting.until("it is under way", LIMIT, () -> state(destination).equals("receiving"));
    load.awaitIos(200);
    Victim.kill(active);
    assertEquals(0, migration.end(), migration.text());
    assertEquals(0, receiver.end(), receiver.text());
    final JsonNode result = migration.result();
    assertTrue(result.path("blackout_ms").asDouble() > 0, migration.text());
    assertEquals(0, result.path("mismatches").asInt(-1));
    assertTrue(
        result.path("skipped_bytes").asLong() >= (long) ZERO_BLOCK_COUNT * BLOCK_BYTES,
        migration.text());
    assertMoved();
  }

  @Test
  void shouldGoOnWhereAKilledHelperOrReceiverEnded() throws Exception {
    start(0);
    final CommandProcess first = receive();
    proxy.stopAt(FrameProxy.CHUNK, 100);
    final CommandProcess killed = migrate("--find-duplicates");
    proxy.awaitStop();
    killed.kill();
    proxy.cut();
    load.awaitIos(1000);
    assertStates("none", "receiving");

    proxy.stopAt(FrameProxy.CHUNK, 100);
    final CommandProcess left = migrate();
    proxy.awaitStop();
    first.kill();
    proxy.cut();
    assertEquals(1, left.end(), left.text());
    assertTrue(left.text().contains("disk stays here"), left.text());
    load.awaitIos(1000);
    assertStates("none", "receiving");

    final CommandProcess second = receive();
    proxy.stopAt(0, 0);
    // Interrupted: the source is as it was.
    final CommandProcess cancelled = migrate("--bandwidth", "1");
    Waiting.until("it sends", LIMIT, () -> cancelled.text().contains("pass 1: "));
    cancelled.process().destroy();
    cancelled.end();
    assertStates("none", "receiving");
    assertEquals(
        "",
        source
            .call("bdev_get_bdevs", Json.of("name", "disk"))
            .path(0)
            .path("driver_specific")
            .path("virtnvme")
            .path("dirty_grain_kib")
            .asText());

    final CommandProcess last = migrate("--find-duplicates");
    assertEquals(0, last.end(), last.text());
    assertEquals(0, second.end(), second.text());
    final long kept = last.result().path("skipped_bytes").asLong();
    assertTrue(last.text().contains("in the index of an attempt before"), last.text());
    assertTrue(last.result().path("duplicate_bytes").asLong() > 0, last.text());
    assertTrue(kept > (long) (ZERO_BLOCK_COUNT + 500) * BLOCK_BYTES, last.text());
    assertMoved();
  }

  /**
   * @param frame that does not arrive
   * @param victim who is killed when it was sent
   * @param states of source and destination afterwards
   */
  private record Step(int frame, String victim, String states) {
    boolean isMoved() {
      return states.startsWith("moved");
    }
  }

  private static final List<Step> STEPS =
      List.of(
          new Step(FrameProxy.PREPARE, "helper", "none receiving"),
          new Step(FrameProxy.PREPARED, "helper", "none prepared"),
          new Step(FrameProxy.PREPARED, "receiver", "none prepared"),
          new Step(FrameProxy.PREPARED, "source-slave", "none prepared"),
          new Step(FrameProxy.PREPARED, "source-master", "none prepared"),
          new Step(FrameProxy.COMMIT, "helper", "moved prepared"),
          new Step(FrameProxy.COMMIT, "receiver", "moved prepared"),
          new Step(FrameProxy.COMMIT, "masters", "moved prepared"),
          new Step(FrameProxy.COMMITTED, "helper", "moved owned"),
          new Step(FrameProxy.COMMITTED, "masters", "moved owned"));

  @Test
  void shouldBelongToOneEndWhoeverIsKilledAtAnyStep() throws Exception {
    start(0);
    CommandProcess receiver = receive();
    for (final Step step : STEPS) {
      proxy.stopAt(step.frame(), 0);
      final CommandProcess helper = migrate();
      proxy.awaitStop();
      kill(step.victim(), helper, receiver);
      proxy.cut();
      final int code = helper.end();
      if (!step.victim().equals("helper") && !step.victim().equals("both")) {
        assertEquals(1, code, helper.text());
        final String whose = step.isMoved() ? "belongs to" : "stays here";
        assertTrue(helper.text().contains(whose), step + ": " + helper.text());
      }
      assertEquals(step.states(), state(source) + " " + state(destination), step.toString());
      proxy.stopAt(0, 0);
      if (step.frame() == FrameProxy.COMMITTED || !receiver.process().isAlive()) {
        receiver.end();
        receiver = receive();
      }
      if (!step.isMoved()) {
        // Its hold ends, with or without the helper; then the load goes on.
        load.awaitIos(1000);
        continue;
      }
      final CommandProcess again = migrate();
      assertEquals(0, again.end(), step + ": " + again.text());
      assertEquals(0, receiver.end(), receiver.text());
      assertSame();
      goBack();
      receiver = receive();
    }
    load.finish();
  }

  private void kill(
      final String victim, final CommandProcess helper, final CommandProcess receiver) {
    switch (victim) {
      case "helper" -> helper.kill();
      case "receiver" -> receiver.kill();
      case "both" -> {
        helper.kill();
        receiver.kill();
      }
      case "source-slave" -> Victim.kill(source.activePid());
      case "source-master" -> {
        source.killMaster();
        source.startMaster();
      }
      case "masters" -> {
        source.killMaster();
        destination.killMaster();
        source.startMaster();
        destination.startMaster();
      }
      default -> throw new AssertionError(victim);
    }
  }

  /** What a source may send that is no source of ours, or not of this build. */
  @Test
  void shouldRefuseWhatMakesNoSenseAndTakeTheNextSource() throws Exception {
    start(0);
    final CommandProcess receiver = receive();
    final long length = (long) BLOCK_COUNT * BLOCK_BYTES;
    assertSaid(
        receiver,
        "no virtnvme migration",
        "GET / HTTP/1.1\r\nHost: disk\r\n\r\n".getBytes(StandardCharsets.UTF_8));
    assertSaid(receiver, "version 9.0", hello(9, BLOCK_BYTES, length, 0));
    assertSaid(receiver, "blocks of 512", hello(1, 512, length, 0));
    assertSaid(receiver, "only", hello(1, BLOCK_BYTES, length + BLOCK_BYTES, 0));
    assertSaid(receiver, "given its disk away", hello(1, BLOCK_BYTES, length, 1));
    assertStates("none", "none");
    final byte[] sound = hello(1, BLOCK_BYTES, length, 0);
    assertSaid(receiver, "COMMIT without PREPARE", sound, frame(12, new byte[0]));
    assertSaid(receiver, "not what the source has sent", sound, frame(10, new byte[8]));
    assertSaid(receiver, "no such chunk", sound, frame(5, chunk(1 << 20, 4096)));
    assertSaid(receiver, "no such chunk", sound, frame(5, chunk(-1, 4096)));
    assertSaid(receiver, "bytes, not 4096", sound, frame(5, chunk(0, 4096)));
    assertSaid(receiver, "does not have its checksum", sound, frame(5, chunk(0, 65536)));
    assertSaid(
        receiver,
        "zeroes beyond the disk",
        sound,
        frame(6, ByteBuffer.allocate(12).putLong(1).putInt(Integer.MAX_VALUE).array()));
    assertSaid(receiver, "out of turn", sound, sound);
    final byte[] changed = frame(9, new byte[0]);
    changed[12] ^= 1;
    assertSaid(receiver, "wrong checksum", sound, changed);
    assertSaid(receiver, "within a frame", sound, new byte[] {0x56});
    // The disk is kept for the source that came first.
    final CommandProcess other = migrate();
    assertEquals(1, other.end());
    assertTrue(other.text().contains("clear it with state none"), other.text());
    destination.call("virtnvme_bdev_set_migration", Json.of("name", "disk", "state", "none"));
    final CommandProcess migration = migrate();
    assertEquals(0, migration.end(), migration.text());
    assertEquals(0, receiver.end(), receiver.text());
    assertMoved();
  }

  private void assertSaid(final CommandProcess receiver, final String what, final byte[]... frames)
      throws Exception {
    final int before = receiver.text().length();
    final Matcher matcher = LISTENS.matcher(receiver.text());
    assertTrue(matcher.find());
    try (Socket socket =
        new Socket(InetAddress.getLoopbackAddress(), Integer.parseInt(matcher.group(1)))) {
      final OutputStream out = socket.getOutputStream();
      for (final byte[] frame : frames) {
        out.write(frame);
      }
      socket.shutdownOutput();
      socket.setSoTimeout(20_000);
      socket.getInputStream().readAllBytes();
    }
    Waiting.until(
        "it says " + what, LIMIT, () -> receiver.text().substring(before).contains(" is gone"));
    assertTrue(receiver.text().substring(before).contains(what), receiver.text());
  }

  private static byte[] frame(final int type, final byte[] payload) {
    final ByteBuffer frame = ByteBuffer.allocate(16 + payload.length);
    frame.putInt(0x564E4D47).putInt(type << 16).putInt(payload.length).putInt(0).put(payload);
    final CRC32C crc = new CRC32C();
    crc.update(frame.array(), 4, 8);
    crc.update(payload, 0, payload.length);
    return frame.putInt(12, (int) crc.getValue()).array();
  }

  private static byte[] hello(
      final int major, final int blockBytes, final long lengthBytes, final int moved) {
    final ByteBuffer hello = ByteBuffer.allocate(41);
    hello.putShort((short) major).putShort((short) 0).putInt(blockBytes).putInt(1 << 16);
    hello.put((byte) moved).put((byte) 0).putShort((short) 1).putLong(lengthBytes);
    return frame(1, hello.putLong(5).putLong(6).put((byte) 'x').array());
  }

  private static byte[] chunk(final long index, final int length) {
    return ByteBuffer.allocate(16 + length).putLong(index).putLong(1).array();
  }
}
