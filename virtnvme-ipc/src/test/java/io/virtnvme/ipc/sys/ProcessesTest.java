package io.virtnvme.ipc.sys;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ProcessesTest {
  @Test
  void shouldTellTheLivingFromTheGone() throws Exception {
    final Process process = new ProcessBuilder("cat").start();
    final int pid = (int) process.pid();
    try {
      assertTrue(Processes.isAlive(pid));
      assertEquals(List.of("cat"), Processes.commandLine(pid));
    } finally {
      process.destroyForcibly();
      assertTrue(process.waitFor(20, TimeUnit.SECONDS));
    }
    assertFalse(Processes.isAlive(pid));
    assertEquals(List.of(), Processes.commandLine(pid));
  }

  @Test
  void shouldCountAProcessThatWaitsToBeReapedAsDead() throws Exception {
    // The shell becomes a program that knows nothing of the child, so nobody reaps it.
    final Process parent =
        new ProcessBuilder("sh", "-c", "cat </dev/null & echo $!; exec cat").start();
    try (BufferedReader output =
        new BufferedReader(
            new InputStreamReader(parent.getInputStream(), StandardCharsets.UTF_8))) {
      final int pid = Integer.parseInt(output.readLine());
      await().until(() -> !Processes.isAlive(pid));
      assertTrue(
          Files.exists(Path.of("/proc", Integer.toString(pid))), "its number is still taken");
    } finally {
      parent.destroyForcibly();
      assertTrue(parent.waitFor(20, TimeUnit.SECONDS));
    }
  }
}
