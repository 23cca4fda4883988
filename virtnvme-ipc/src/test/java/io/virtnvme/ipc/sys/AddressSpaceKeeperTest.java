package io.virtnvme.ipc.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
@EnabledIfSystemProperty(named = "os.arch", matches = "amd64")
class AddressSpaceKeeperTest {
  private static final int LIMIT_MS = 20_000;
  private static final long SYS_WAIT4 = 61;
  private static final long SYS_PRCTL = 157;
  private static final long PR_SET_CHILD_SUBREAPER = 36;
  private static final long WALL = 0x40000000;
  private static final long TOUCHED_BYTES = 64L << 20;

  @TempDir Path directory;

  @Test
  void shouldFreeTheLocksOfADeadProcessBeforeItsMemoryIsTornDown() throws Exception {
    final Path file = Files.createFile(directory.resolve("disk"));
    final Process process = startProcess(file);
    final int lockFd = Fds.open(file.toString(), Fds.O_RDWR, 0);
    try (BufferedReader output =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      final int keeper = Integer.parseInt(output.readLine());
      assertNotEquals(0, keeper);
      assertFalse(Fds.tryLock(lockFd), "the process holds the lock");
      assertEquals(List.of(), Processes.commandLine(keeper), "it is nobody's slave");
      final int keeperFd = Processes.pidfdOpen(keeper);
      // Stopped, it cannot end: so the memory that it shares is there when the lock comes free.
      assertEquals(0, Processes.signal(keeperFd, Processes.SIGSTOP));
      process.destroyForcibly();
      Fds.lock(lockFd);
      assertTrue(residentBytes(keeper) >= TOUCHED_BYTES, () -> residentBytes(keeper) + " bytes");
      assertFalse(Fds.awaitReadable(keeperFd, 0), "the keeper lives");
      assertEquals(0, Processes.signal(keeperFd, Processes.SIGCONT));
      assertTrue(Fds.awaitReadable(keeperFd, LIMIT_MS), "and ends by itself");
      Fds.close(keeperFd);
    } finally {
      Fds.close(lockFd);
      process.destroyForcibly();
      assertTrue(process.waitFor(20, TimeUnit.SECONDS));
    }
  }

  @Test
  void shouldRunToTheEndOfItsProgramWhenTheProcessIsKilled() throws Exception {
    // An orphan becomes our child, so that we hear how it ended.
    assertEquals(0, Libc.syscall(SYS_PRCTL, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0));
    final Process process = startProcess(Files.createFile(directory.resolve("disk")));
    final long status = Mem.allocate(Long.BYTES);
    try (BufferedReader output =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      final int keeper = Integer.parseInt(output.readLine());
      process.destroyForcibly();
      assertTrue(process.waitFor(20, TimeUnit.SECONDS));
      assertEquals(keeper, Libc.syscall(SYS_WAIT4, keeper, status, WALL, 0, 0, 0));
      assertEquals(0, Mem.getInt(status), "neither a signal nor another exit code");
    } finally {
      process.destroyForcibly();
      Mem.free(status);
      Libc.syscall(SYS_PRCTL, PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0, 0);
    }
  }

  @Test
  void shouldEndWithAProcessThatExits() throws Exception {
    final Process process = startProcess(Files.createFile(directory.resolve("disk")));
    try (BufferedReader output =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      final int keeperFd = Processes.pidfdOpen(Integer.parseInt(output.readLine()));
      process.getOutputStream().close();
      assertTrue(process.waitFor(20, TimeUnit.SECONDS));
      assertEquals(0, process.exitValue());
      assertTrue(Fds.awaitReadable(keeperFd, LIMIT_MS));
      Fds.close(keeperFd);
    } finally {
      process.destroyForcibly();
    }
  }

  private static long residentBytes(final int pid) {
    try {
      final String line = Files.readString(Path.of("/proc", Integer.toString(pid), "statm"));
      return Long.parseLong(line.split(" ", -1)[1]) * 4096;
    } catch (final IOException e) {
      throw new AssertionError(e);
    }
  }

  private static Process startProcess(final Path file) throws IOException {
    return new ProcessBuilder(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                KeptProcess.class.getName(),
                file.toString()))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  /** Has a ring and a lock, touches memory, prints its keeper's pid, and waits for its end. */
  static final class KeptProcess {
    public static void main(final String[] arguments) throws IOException {
      final int keeper = AddressSpaceKeeper.start();
      IoUring.disabled(8, 16);
      final int fd = Fds.open(arguments[0], Fds.O_RDWR, 0);
      Fds.lock(fd);
      Mem.fill(Mem.allocate(TOUCHED_BYTES), TOUCHED_BYTES, (byte) 1);
      System.out.println(keeper);
      System.out.flush();
      System.in.read();
      System.exit(0);
    }
  }
}
