package io.virtnvme.ipc.sys;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
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
    try (BufferedReader output = reader(process)) {
      awaitCat(process, output);
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
    final Process parent = new ProcessBuilder("sh", "-c", "sleep 600 & echo $!; exec cat").start();
    int pidfd = -1;
    try (BufferedReader output = reader(parent)) {
      final int pid = Integer.parseInt(output.readLine());
      pidfd = Processes.pidfdOpen(pid);
      // The shell would reap its child; what it became knows of none.
      awaitCat(parent, output);
      await().until(() -> Processes.isAlive(pid));
      assertEquals(0, Processes.signal(pidfd, Processes.SIGKILL));
      await().until(() -> !Processes.isAlive(pid));
      assertTrue(
          Files.exists(Path.of("/proc", Integer.toString(pid))), "its number is still taken");
    } finally {
      if (pidfd >= 0) {
        Processes.signal(pidfd, Processes.SIGKILL);
        Fds.close(pidfd);
      }
      parent.destroyForcibly();
      assertTrue(parent.waitFor(20, TimeUnit.SECONDS));
    }
  }

  private static BufferedReader reader(final Process process) {
    return new BufferedReader(
        new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
  }

  /** Returns when the process runs {@code cat}, and is no longer about to. */
  private static void awaitCat(final Process process, final BufferedReader output)
      throws IOException {
    final OutputStream input = process.getOutputStream();
    input.write("here\n".getBytes(StandardCharsets.UTF_8));
    input.flush();
    assertEquals("here", output.readLine());
  }
}
