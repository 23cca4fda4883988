package io.virtnvme.master.registry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.JsonText;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What was acknowledged is there, in order, whenever the appender is killed. */
@Timeout(180)
final class RegistryKillTest {
  private static final int KILLS = 5;
  private static final long SEED = 20261121;

  @TempDir Path directory;

  /** Appends one bdev after the other and prints each number once it is recorded. */
  static final class Appender {
    private Appender() {}

    public static void main(final String[] arguments) {
      final Registry registry = Registry.open(Path.of(arguments[0]), System::currentTimeMillis);
      for (int i = Integer.parseInt(arguments[1]); ; i++) {
        final ObjectNode params =
            (ObjectNode)
                JsonText.parse("{\"name\":\"n" + i + "\",\"block_size\":512,\"num_blocks\":8}");
        registry.append("bdev_null_create", params).toCompletableFuture().join();
        System.out.println(i);
      }
    }
  }

  private Process startAppender(final int firstNumber) throws IOException {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (final String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (!flag.startsWith("-javaagent") && !flag.startsWith("-agentlib")) {
        command.add(flag);
      }
    }
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(Appender.class.getName());
    command.add(directory.toString());
    command.add(Integer.toString(firstNumber));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  /** Kills the appender after some acknowledged entries; returns the last number it printed. */
  private int appendUntilKilled(final int firstNumber, final int count) throws Exception {
    final Process appender = startAppender(firstNumber);
    int last = firstNumber - 1;
    try (BufferedReader output =
        new BufferedReader(
            new InputStreamReader(appender.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = output.readLine(); line != null; line = output.readLine()) {
        if (line.matches("\\d+")) {
          last = Integer.parseInt(line);
          if (last == firstNumber + count) {
            // By its handle: the process object would close the pipe with what is still in it.
            appender.toHandle().destroyForcibly();
          }
        }
      }
    } finally {
      appender.destroyForcibly();
      assertTrue(appender.waitFor(20, TimeUnit.SECONDS));
    }
    return last;
  }

  @Test
  void shouldKeepEveryAcknowledgedEntryOverKills() throws Exception {
    final Random random = new Random(SEED);
    int next = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      final int acknowledged = appendUntilKilled(next, 1 + random.nextInt(400));
      assertTrue(acknowledged > next, "the appender died by itself, seed " + SEED);
      try (Registry registry = Registry.open(directory, System::currentTimeMillis)) {
        final List<BdevSpec> bdevs = registry.desired().toCompletableFuture().join().bdevs();
        // At most one entry was under way when it was killed.
        assertTrue(
            bdevs.size() == acknowledged + 1 || bdevs.size() == acknowledged + 2,
            "kill " + kill + ": " + bdevs.size() + " of " + (acknowledged + 1) + ", seed " + SEED);
        for (int i = 0; i < bdevs.size(); i++) {
          assertEquals("n" + i, bdevs.get(i).name());
        }
        assertEquals(0, registry.counters().get("registry_entries_skipped"));
        assertEquals(0, registry.counters().get("registry_files_damaged"));
        next = bdevs.size();
      }
    }
  }
}
