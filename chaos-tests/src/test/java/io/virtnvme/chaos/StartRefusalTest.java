package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.tools.Main;
import io.virtnvme.tools.pair.Leftovers;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * A start that cannot go well is refused with the reason, and nothing that was there is touched.
 */
@Tag("once")
class StartRefusalTest {
  private static final long LIMIT_SECONDS = 60;
  private static final String GARBAGE = "garbage\n";

  @RegisterExtension private final Pairs pairs = new Pairs();

  private Path folder;

  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory(Path.of("/tmp"), "vn-");
  }

  @AfterEach
  void removeFolder() throws IOException {
    Leftovers.endProcessesOf(folder);
    Leftovers.delete(folder);
  }

  private record Refusal(int exitCode, String said) {}

  /** Runs {@code virtnvme up}, which must end by itself. */
  private Refusal up(final Path runDirectory, final String... more) throws Exception {
    final Path output = Files.createTempFile(Path.of("/tmp"), "vn-", ".out");
    final List<String> arguments = new ArrayList<>(List.of("up", "--run-dir"));
    arguments.add(runDirectory.toString());
    arguments.addAll(List.of(more));
    final Process process =
        new ProcessBuilder(ChildJvm.command(Main.class, arguments))
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .redirectInput(new File("/dev/null"))
            .start();
    try {
      assertTrue(
          process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS),
          () -> "it refuses instead of running: " + runDirectory);
      final Refusal refusal = new Refusal(process.exitValue(), Files.readString(output));
      assertTrue(refusal.exitCode() != 0, refusal::said);
      assertFalse(refusal.said().contains("\tat "), () -> "a stack trace: " + refusal.said());
      checkNothingWasMade(runDirectory);
      return refusal;
    } finally {
      process.destroyForcibly();
      Leftovers.endProcessesOf(runDirectory);
      Files.delete(output);
    }
  }

  /** A process, a socket, or segments in memory that nobody would ever remove. */
  private static void checkNothingWasMade(final Path runDirectory) throws IOException {
    assertEquals(List.of(), Leftovers.processesOf(runDirectory));
    final Path instance = runDirectory.resolve("instance");
    if (Files.exists(instance) && !Files.readString(instance).equals(GARBAGE)) {
      final SegmentDirectory segments = segmentsOf(runDirectory);
      assertFalse(Files.exists(segments.path()), () -> "segments are left: " + segments.path());
    }
    assertFalse(Files.exists(runDirectory.resolve("slaves.sock")), "a socket is left");
  }

  private static SegmentDirectory segmentsOf(final Path runDirectory) throws IOException {
    final String id = Files.readString(runDirectory.resolve("instance")).trim();
    return SegmentDirectory.of(Long.parseUnsignedLong(id, 16));
  }

  private static void assertSays(final Refusal refusal, final String words) {
    assertTrue(refusal.said().contains(words), () -> "'" + words + "' in: " + refusal.said());
  }

  /** Every file of a folder with what it holds. */
  private static Map<String, String> contents(final Path directory) throws IOException {
    final Map<String, String> contents = new TreeMap<>();
    try (Stream<Path> files = Files.walk(directory)) {
      for (final Path file : files.filter(Files::isRegularFile).toList()) {
        contents.put(
            directory.relativize(file).toString(),
            new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
      }
    }
    return contents;
  }

  @Test
  void shouldNameTheMasterThatRunsThere() throws Exception {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(0));
    pair.createMemDisk("disk", 256);
    pair.createController("vm", "disk", false);
    final int slave = pair.activePid();
    final RawGuest guest = pairs.add(RawGuest.running(pair.socket("vm"), false));
    final Path output = pair.path();
    final Process second =
        new ProcessBuilder(
                ChildJvm.command(Main.class, List.of("up", "--run-dir", output.toString())))
            .redirectErrorStream(true)
            .start();
    final String said;
    try {
      said = new String(second.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(second.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS));
    } finally {
      second.destroyForcibly();
    }
    assertTrue(second.exitValue() != 0, said);
    assertTrue(said.contains("process " + pair.masterPid()), said);
    assertTrue(said.contains("--run-dir"), said);
    assertEquals(slave, pair.activePid());
    assertEquals(0, guest.transfer(1, 0, 4096, false));
    assertEquals(256 * 8, guest.capacitySectors());
  }

  @Test
  void shouldRefuseAnInstanceFileThatHoldsNoId() throws Exception {
    Files.writeString(folder.resolve("instance"), GARBAGE);
    Files.writeString(folder.resolve("mine.txt"), "keep me");
    final Refusal refusal = up(folder);
    assertSays(refusal, "instance");
    assertSays(refusal, "remove it");
    assertEquals(GARBAGE, Files.readString(folder.resolve("instance")));
    assertEquals("keep me", Files.readString(folder.resolve("mine.txt")));
  }

  @Test
  void shouldRefuseARunDirectoryThatCannotBeMade() throws Exception {
    final Path file = Files.writeString(folder.resolve("file"), "not a directory");
    assertSays(up(file.resolve("run")), "cannot be made");
    assertSays(up(file), "cannot be made");
    // Nobody, root included, can make a directory there.
    assertSays(up(Path.of("/proc/virtnvme")), "cannot be made");
    assertEquals("not a directory", Files.readString(file));
  }

  @Test
  void shouldRefuseARunDirectoryWhoseSocketsDoNotFit() throws Exception {
    final Refusal refusal = up(folder.resolve("x".repeat(100)));
    assertSays(refusal, "too long");
    assertSays(refusal, "107");
  }

  @Test
  void shouldRefuseAConfigurationThatCannotBeCarriedOut() throws Exception {
    final Path config = folder.resolve("config.json");
    Files.writeString(config, "{\"subsystems\": [");
    assertSays(up(folder.resolve("run"), "--config", config.toString()), config.toString());
    Files.writeString(
        config,
        "{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":[{\"method\":\"bdev_uring_create\","
            + "\"params\":{\"name\":\"u\",\"filename\":\"/nowhere/x.img\"}}]}]}");
    final Refusal refusal = up(folder.resolve("run"), "--config", config.toString());
    assertSays(refusal, "bdev_uring_create");
    assertSays(refusal, "/nowhere/x.img");
    assertSays(up(folder.resolve("run"), "--config", folder + "/none"), folder + "/none");
  }

  @Test
  void shouldRefuseOptionsOutOfRange() throws Exception {
    assertSays(up(folder, "--cores", "x"), "cores");
    assertSays(up(folder, "--cores", "0,0"), "cores");
    assertSays(up(folder, "--cores", "5000"), "5000");
    assertSays(up(folder, "--standby", "99"), "99");
  }

  /** Sockets and files of a master that died are replaced; what is not ours stays. */
  @Test
  void shouldStartOnAStaleRunDirectory() throws Exception {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(0));
    pair.createMemDisk("disk", 256);
    pair.createController("vm", "disk", false);
    pair.activePid();
    pair.killTogether(pair.pids());
    Files.writeString(pair.path().resolve("stranger.txt"), "keep me");
    Files.writeString(pair.path().resolve("vhost").resolve("stranger"), "no socket");
    pair.startMaster();
    try (RawGuest guest = RawGuest.running(pair.socket("vm"), false)) {
      assertEquals(0, guest.transfer(1, 0, 4096, false));
    }
    assertEquals("keep me", Files.readString(pair.path().resolve("stranger.txt")));
    Files.deleteIfExists(pair.path().resolve("vhost").resolve("stranger"));
  }

  /** P8: what segments say of another life of the host is never replayed. */
  @Test
  void shouldNotReplaySegmentsOfAnotherBoot() throws Exception {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(0));
    pair.createMemDisk("disk", 256);
    pair.createController("vm", "disk", false);
    try (RawGuest guest = RawGuest.running(pair.socket("vm"), false)) {
      guest.fillData(4096, (byte) 0x5A);
      assertEquals(0, guest.transfer(1, 0, 4096, false));
    }
    pair.killTogether(pair.pids());
    ageSegments(pair);
    pair.startMaster();
    try (RawGuest guest = RawGuest.running(pair.socket("vm"), false)) {
      assertEquals(0, guest.transfer(0, 0, 4096, true));
      final byte[] read = new byte[4096];
      Mem.copyOut(guest.dataHostAddress(), read, 0, read.length);
      assertArrayEquals(new byte[4096], read, "the memory disk is empty, as after a boot");
    }
    assertTrue(pair.logText().contains("boot"), "the log says why");
  }

  /** Gives every segment, and the run directory's mark, the boot id of another boot. */
  private static void ageSegments(final Pair pair) throws IOException {
    final SegmentDirectory segments = segmentsOf(pair.path());
    Files.writeString(pair.path().resolve("boot"), "01234567-89ab-cdef-0123-456789abcdef\n");
    final String bootId = Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).trim();
    final Map<String, String> before = contents(segments.path());
    assertTrue(before.containsKey("bdev-disk"), () -> "segments: " + before.keySet());
    final java.util.UUID uuid = java.util.UUID.fromString(bootId);
    for (final String name : before.keySet()) {
      final Path file = segments.path().resolve(name);
      final byte[] bytes = Files.readAllBytes(file);
      assertTrue(replaceBootId(bytes, uuid), () -> "the boot id is in the header of " + file);
      Files.write(file, bytes, java.nio.file.StandardOpenOption.WRITE);
    }
  }

  private static boolean replaceBootId(final byte[] bytes, final java.util.UUID bootId) {
    for (final java.nio.ByteOrder order :
        List.of(java.nio.ByteOrder.LITTLE_ENDIAN, java.nio.ByteOrder.BIG_ENDIAN)) {
      final ByteBuffer header = ByteBuffer.wrap(bytes, 0, 64).order(order);
      for (int at = 0; at + 16 <= 64; at += 8) {
        final long first = header.getLong(at);
        final long second = header.getLong(at + 8);
        if (first == bootId.getMostSignificantBits()
            && second == bootId.getLeastSignificantBits()) {
          header.putLong(at, ~first);
          return true;
        }
      }
    }
    return false;
  }
}
