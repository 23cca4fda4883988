package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.tools.Main;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
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

/** {@code virtnvme export}: stock NBD clients read the volume of a real pair. */
@Tag("once")
class ExportTest {
  private static final int BLOCK_COUNT = 4096;
  private static final int BLOCK_BYTES = QpairLoad.BLOCK_BYTES;
  private static final Path QEMU_IMG = Path.of("/usr/bin/qemu-img");
  private static final Path QEMU_IO = Path.of("/usr/bin/qemu-io");

  @RegisterExtension private final Pairs pairs = new Pairs();

  @TempDir private Path folder;

  private final byte[] data = new byte[BLOCK_COUNT * BLOCK_BYTES];

  @Test
  void shouldLetStockClientsReadAndNotWriteWhileASlaveIsKilled() throws Exception {
    Assumptions.assumeTrue(Files.isExecutable(QEMU_IMG), "no qemu-img");
    final Pair pair = pairs.start(PairOptions.usual().withStandbys(1));
    pair.createMemDisk("disk", BLOCK_COUNT);
    pair.createSecondaryEndpoint("rw", "disk", false);
    pair.createSecondaryEndpoint("ro", "disk", true);
    fill(pair);
    final int active = pair.activePidWithStandbys(1, 0);
    final Path socket = folder.resolve("nbd");
    final Process export =
        new ProcessBuilder(
                ChildJvm.command(
                    Main.class,
                    List.of(
                        "export",
                        "--run-dir",
                        pair.path().toString(),
                        "ro",
                        "--nbd",
                        "unix:" + socket)))
            .redirectErrorStream(true)
            .start();
    try (BufferedReader said = export.inputReader()) {
      assertTrue(said.readLine().startsWith("export: ro at "));
      final String url = "nbd+unix:///ro?socket=" + socket;
      final Path copy = folder.resolve("copy");
      run(0, QEMU_IMG, "convert", "-f", "raw", "-O", "raw", url, copy.toString());
      assertArrayEquals(data, Files.readAllBytes(copy));

      run(1, QEMU_IO, "-f", "raw", "-c", "write 0 4k", url);
      run(0, QEMU_IO, "-r", "-f", "raw", "-c", "read 1 1023", "-c", "flush", url);
      run(1, QEMU_IMG, "info", "nbd+unix:///other?socket=" + socket);

      // The reader stands before a slave that does not move; then that dies.
      final Path second = folder.resolve("second");
      try (Victim slave = Victim.of(active)) {
        slave.signal(Processes.SIGSTOP);
        final Process reading =
            start(QEMU_IMG, "convert", "-f", "raw", "-O", "raw", url, second.toString());
        Waiting.until(
            "the reader is attached",
            Duration.ofSeconds(20),
            () ->
                pair.call("vhost_get_controllers", Json.of("name", "ro"))
                        .path(0)
                        .path("sessions")
                        .size()
                    == 1);
        slave.signal(Processes.SIGKILL);
        assertEquals(0, end(reading));
      }
      assertArrayEquals(data, Files.readAllBytes(second));
      export.destroy();
      assertTrue(export.waitFor(20, TimeUnit.SECONDS));
      assertTrue(Files.notExists(socket));
    } finally {
      export.destroyForcibly();
    }
  }

  private void fill(final Pair pair) {
    new SplittableRandom(13).nextBytes(data);
    try (QpairClient client = QpairLoad.attach(pair.path().resolve("virtnvme/rw"), true)) {
      for (int block = 0; block < BLOCK_COUNT; block++) {
        Mem.copyIn(data, block * BLOCK_BYTES, client.poolAddress(), BLOCK_BYTES);
        client.run(QpairRequest.WRITE, 0, block, 1, 0, QpairLoad.LIMIT_NS);
      }
    }
  }

  private Process start(final Path program, final String... arguments) throws IOException {
    final List<String> command = new java.util.ArrayList<>(List.of(program.toString()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("said").toFile())
        .start();
  }

  private static int end(final Process process) throws InterruptedException {
    try {
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), "does not end");
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  private String run(final int exitCode, final Path program, final String... arguments)
      throws IOException, InterruptedException {
    final int found = end(start(program, arguments));
    final String said = Files.readString(folder.resolve("said"), StandardCharsets.UTF_8);
    if (exitCode == 0) {
      assertEquals(0, found, said);
    } else {
      assertNotEquals(0, found, said);
    }
    return said;
  }
}
