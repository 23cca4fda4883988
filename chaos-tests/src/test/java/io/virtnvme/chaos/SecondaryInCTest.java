package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.qpair.QpairMessage;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.qpair.QpairSegment;
import io.virtnvme.ipc.segment.SegmentHeader;
import io.virtnvme.ipc.segment.SegmentKind;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code docs/virtnvme.h}, by a secondary that is written in C. */
@Tag("once")
class SecondaryInCTest {
  private static final int BLOCK_COUNT = 4096;

  @RegisterExtension private final Pairs pairs = new Pairs();

  @TempDir private Path folder;

  private CProgram program;
  private Pair pair;

  @BeforeEach
  void compile() throws IOException {
    program = CProgram.compile("secondary", folder);
  }

  private void startPair(final String bdev) {
    pair = pairs.start(PairOptions.usual().withStandbys(1));
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", BLOCK_COUNT);
    }
    pair.createSecondaryEndpoint("rw", "disk", false);
    pair.createSecondaryEndpoint("ro", "disk", true);
  }

  private String socket(final String name) {
    return pair.path().resolve("virtnvme").resolve(name).toString();
  }

  @Test
  void shouldHaveTheLayoutThatSlavesHave() throws IOException {
    assertEquals(
        describeSegmentHeader()
            + QpairSegment.describe()
            + QpairRequest.describe()
            + QpairMessage.describe()
            + describeCompletion()
            + constants()
            + places(),
        program.run(0, "layout"));
  }

  private static String describeSegmentHeader() {
    return LayoutText.of("segment header", SegmentHeader.HEADER_LENGTH)
        .field("magic", SegmentHeader.MAGIC_OFFSET, Long.BYTES)
        .field("kind", SegmentHeader.KIND_OFFSET, Integer.BYTES)
        .field("major_version", SegmentHeader.MAJOR_VERSION_OFFSET, Short.BYTES)
        .field("minor_version", SegmentHeader.MINOR_VERSION_OFFSET, Short.BYTES)
        .field("length", SegmentHeader.LENGTH_OFFSET, Long.BYTES)
        .field("boot_id", SegmentHeader.BOOT_ID_HIGH_OFFSET, 2 * Long.BYTES)
        .field("instance_id", SegmentHeader.INSTANCE_ID_OFFSET, Long.BYTES)
        .field("generation", SegmentHeader.GENERATION_OFFSET, Long.BYTES)
        .field("created_ms", SegmentHeader.CREATED_MS_OFFSET, Long.BYTES)
        .text();
  }

  private static String describeCompletion() {
    return LayoutText.of("completion", CompletionEntry.ENTRY_LENGTH)
        .field("spare", CompletionEntry.RESULT_OFFSET, 2 * Integer.BYTES)
        .field("sq_head", CompletionEntry.SQ_HEAD_OFFSET, Short.BYTES)
        .field("sq_id", CompletionEntry.SQ_ID_OFFSET, Short.BYTES)
        .field("id_phase_status", CompletionEntry.DWORD3_OFFSET, Integer.BYTES)
        .text();
  }

  private static String constants() {
    return """
    constants
    opcodes %d %d %d %d %d, durable %d
    limits %d %d %d %d
    message %d %d %d %d %d %d
    segment %d %d %d
    """
        .formatted(
            QpairRequest.READ,
            QpairRequest.WRITE,
            QpairRequest.FLUSH,
            QpairRequest.WRITE_ZEROES,
            QpairRequest.UNMAP,
            QpairRequest.FLAG_DURABLE,
            QpairSegment.ENTRY_COUNT_MIN,
            QpairSegment.ENTRY_COUNT_MAX,
            QpairSegment.POOL_LENGTH_MAX,
            QpairRequest.DATA_BYTES_MAX,
            QpairMessage.MAGIC,
            QpairMessage.VERSION,
            QpairMessage.TYPE_ATTACH,
            QpairMessage.ACCESS_READ,
            QpairMessage.ACCESS_WRITE,
            QpairMessage.FD_COUNT,
            SegmentHeader.MAGIC,
            SegmentKind.QPAIR.code(),
            SegmentKind.QPAIR.majorVersion());
  }

  private static String places() {
    final StringBuilder text = new StringBuilder("places\n");
    for (int entries = QpairSegment.ENTRY_COUNT_MIN;
        entries <= QpairSegment.ENTRY_COUNT_MAX;
        entries *= 2) {
      text.append(
          "%d %d %d\n"
              .formatted(
                  entries,
                  QpairSegment.completionsOffset(entries),
                  QpairSegment.poolOffset(entries)));
    }
    return text.toString();
  }

  @ParameterizedTest
  @ValueSource(strings = {"mem", "uring"})
  void shouldFindEveryBlockAsItWroteItWhileASlaveIsKilled(final String bdev) throws IOException {
    startPair(bdev);
    final int active = pair.activePidWithStandbys(1, 0);
    final Process process = program.start("verify", socket("rw"), Integer.toString(BLOCK_COUNT));
    try (BufferedReader out = process.inputReader()) {
      assertEquals("running", out.readLine());
      Victim.kill(active);
      pair.activePidWithStandbys(1, active);
      process.getOutputStream().close();
      final String said = out.readLine();
      assertTrue(said.endsWith("polled=1 slept=1"), said);
      program.requireEnd(process, 0);
    } finally {
      process.destroyForcibly();
    }
  }

  /** The directories are opened to everybody first: the last gate must hold alone. */
  @Test
  void shouldRefuseAProcessOfAnotherUser() throws IOException {
    startPair("mem");
    final Path opened = pair.path().resolve("secondary");
    for (final Path path : List.of(pair.path(), pair.path().resolve("virtnvme"))) {
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    Files.setPosixFilePermissions(
        Path.of(socket("rw")), PosixFilePermissions.fromString("rw-rw-rw-"));
    program.copyTo(opened);
    final String[] asNobody = {
      "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "" + opened
    };
    final Process process =
        new ProcessBuilder(concat(asNobody, "attach", socket("rw"), "read"))
            .redirectErrorStream(true)
            .start();
    assertEquals(
        "user 65534 may not attach to controller rw: only root and user 0 may (Permission denied)\n",
        program.requireEnd(process, 1));
    assertEquals(1, pair.counter("secondaries_refused"));
    assertEquals("read_only=1\n", program.run(0, "attach", socket("rw"), "read"));
    assertEquals(1, pair.counter("secondaries_refused"));
  }

  private static String[] concat(final String[] first, final String... second) {
    return Stream.of(first, second).flatMap(Stream::of).toArray(String[]::new);
  }

  @Test
  void shouldSayWhyItIsRefused() throws IOException {
    startPair("mem");
    assertEquals("read_only=1\n", program.run(0, "attach", socket("ro"), "read"));
    assertEquals("read_only=0\n", program.run(0, "attach", socket("rw"), "write"));
    final String refusal = program.run(1, "attach", socket("ro"), "write");
    assertEquals("the volume is offered for reading only (Permission denied)\n", refusal);
  }
}
