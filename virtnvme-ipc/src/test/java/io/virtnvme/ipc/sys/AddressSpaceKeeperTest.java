package io.virtnvme.ipc.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
@EnabledIfSystemProperty(named = "os.arch", matches = "amd64")
class AddressSpaceKeeperTest {
  private static final int LIMIT_MS = 20_000;
  private static final long SYS_WAIT4 = 61;
  private static final long SYS_GETPRIORITY = 140;
  private static final long SYS_PRCTL = 157;
  private static final long PR_SET_CHILD_SUBREAPER = 36;
  private static final long WALL = 0x40000000;
  private static final int NICE_MAX = 19;

  /** Its queues and its entries. */
  private static final int RING_MAPPINGS = 2;

  private static final long TOUCHED_BYTES = 64L << 20;

  @TempDir Path directory;

  @Test
  void shouldFreeTheLocksOfADeadProcessBeforeItsMemoryIsTornDown() throws Exception {
    final Path file = Files.createFile(directory.resolve("disk"));
    final int lockFd = Fds.open(file.toString(), Fds.O_RDWR, 0);
    try (TestProcess process = startProcess(file)) {
      final int keeper = Integer.parseInt(process.readLine());
      assertNotEquals(0, keeper);
      assertFalse(Fds.tryLock(lockFd), "the process holds the lock");
      assertEquals(List.of(), Processes.commandLine(keeper), "it is nobody's slave");
      final int keeperFd = Processes.pidfdOpen(keeper);
      // Stopped, it cannot end: so the memory that it shares is there when the lock comes free.
      assertEquals(0, Processes.signal(keeperFd, Processes.SIGSTOP));
      process.kill();
      Fds.lock(lockFd);
      assertTrue(residentBytes(keeper) >= TOUCHED_BYTES, () -> residentBytes(keeper) + " bytes");
      assertFalse(Fds.awaitReadable(keeperFd, 0), "the keeper lives");
      assertEquals(0, Processes.signal(keeperFd, Processes.SIGCONT));
      assertTrue(Fds.awaitReadable(keeperFd, LIMIT_MS), "and ends by itself");
      Fds.close(keeperFd);
    } finally {
      Fds.close(lockFd);
    }
  }

  @Test
  void shouldRunToTheEndOfItsProgramWhenTheProcessIsKilled() throws Exception {
    // An orphan becomes our child, so that we hear how it ended.
    assertEquals(0, Libc.syscall(SYS_PRCTL, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0));
    final long status = Mem.allocate(Long.BYTES);
    try (TestProcess process = startProcess(Files.createFile(directory.resolve("disk")))) {
      final int keeper = Integer.parseInt(process.readLine());
      process.kill();
      process.awaitEnd();
      assertEquals(keeper, Libc.syscall(SYS_WAIT4, keeper, status, WALL, 0, 0, 0));
      assertEquals(0, Mem.getInt(status), "neither a signal nor another exit code");
    } finally {
      Mem.free(status);
      Libc.syscall(SYS_PRCTL, PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0, 0);
    }
  }

  @Test
  void shouldUnmapRingsBeforeItTearsDownTheRest() throws Exception {
    try (TestProcess process = startProcess(Files.createFile(directory.resolve("disk")))) {
      final int keeper = Integer.parseInt(process.readLine());
      final long touched = Long.parseUnsignedLong(process.readLine(), 16);
      final int keeperFd = Processes.pidfdOpen(keeper);
      try (TracedExit exit = TracedExit.of(keeper)) {
        assertEquals(RING_MAPPINGS, ringMappings(keeper).size(), "what is to go was there");
        process.kill();
        assertEquals(0, exit.awaitStop(), "it came to the end of its program");
        assertEquals(List.of(), ringMappings(keeper));
        // Everything else waits for the exit, at the lowest priority.
        assertTrue(isMapped(keeper, touched, TOUCHED_BYTES), () -> mappings(keeper).toString());
        assertTrue(residentBytes(keeper) >= TOUCHED_BYTES, () -> residentBytes(keeper) + " bytes");
        assertEquals(NICE_MAX, nice(keeper));
      }
      assertTrue(Fds.awaitReadable(keeperFd, LIMIT_MS), "and it ends");
      Fds.close(keeperFd);
    }
  }

  @Test
  void shouldEndWithAProcessThatExits() throws Exception {
    try (TestProcess process = startProcess(Files.createFile(directory.resolve("disk")))) {
      final int keeperFd = Processes.pidfdOpen(Integer.parseInt(process.readLine()));
      process.endInput();
      assertEquals(0, process.awaitEnd());
      assertTrue(Fds.awaitReadable(keeperFd, LIMIT_MS));
      Fds.close(keeperFd);
    }
  }

  /** Lines of /proc/PID/maps: the first word is {@code start-end}, in hexadecimal digits. */
  private static List<String> mappings(final int pid) {
    try {
      return Files.readAllLines(Path.of("/proc", Integer.toString(pid), "maps"));
    } catch (final IOException e) {
      throw new AssertionError(e);
    }
  }

  private static List<String> ringMappings(final int pid) {
    return mappings(pid).stream().filter(line -> line.contains("anon_inode:[io_uring]")).toList();
  }

  private static boolean isMapped(final int pid, final long address, final long lengthBytes) {
    return mappings(pid).stream()
        .map(line -> line.split("[- ]", -1))
        .anyMatch(
            words ->
                Long.parseUnsignedLong(words[0], 16) <= address
                    && Long.parseUnsignedLong(words[1], 16) >= address + lengthBytes);
  }

  /** The raw call returns 20 minus the nice value. */
  private static long nice(final int pid) {
    return 20 - Libc.syscall(SYS_GETPRIORITY, 0, pid, 0, 0, 0, 0);
  }

  private static long residentBytes(final int pid) {
    try {
      final String line = Files.readString(Path.of("/proc", Integer.toString(pid), "statm"));
      return Long.parseLong(line.split(" ", -1)[1]) * 4096;
    } catch (final IOException e) {
      throw new AssertionError(e);
    }
  }

  private static TestProcess startProcess(final Path file) throws IOException {
    return TestProcess.start(KeptProcess.class, file.toString());
  }

  /**
   * Has a ring and a lock, touches memory, prints its keeper's pid and the memory's address, and
   * waits for its end.
   */
  static final class KeptProcess {
    public static void main(final String[] arguments) throws IOException {
      final int keeper = AddressSpaceKeeper.start();
      IoUring.disabled(8, 16);
      final int fd = Fds.open(arguments[0], Fds.O_RDWR, 0);
      Fds.lock(fd);
      final long touched = Mem.allocate(TOUCHED_BYTES);
      Mem.fill(touched, TOUCHED_BYTES, (byte) 1);
      System.out.println(keeper);
      System.out.println(Long.toHexString(touched));
      System.out.flush();
      System.in.read();
      System.exit(0);
    }
  }
}
