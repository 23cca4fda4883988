package io.virtnvme.ipc.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class RobustMutexTest {
  private static final long SECOND_NS = 1_000_000_000L;

  @TempDir Path directory;

  private Mapping mapNew(final Path file) {
    final int fd = Fds.open(file.toString(), Fds.O_RDWR | Fds.O_CREAT, 0600);
    Fds.truncate(fd, 4096);
    final Mapping mapping = Mapping.map(fd, 0, 4096);
    Fds.close(fd);
    return mapping;
  }

  @Test
  void shouldBeBusyWhileAnotherProcessHoldsItAndTellThatItsOwnerDied() throws Exception {
    final Path file = directory.resolve("mutex");
    try (Mapping mapping = mapNew(file)) {
      final RobustMutex mutex = new RobustMutex(mapping.address());
      mutex.initialise();
      try (TestProcess holder = TestProcess.start(Holder.class, file.toString())) {
        assertEquals("locked", holder.readLine(), "the child says when it holds the mutex");
        assertEquals(RobustMutex.Outcome.BUSY, mutex.tryLock());
        assertEquals(RobustMutex.Outcome.BUSY, mutex.lock(SECOND_NS / 100));
        final int pidfd = Processes.pidfdOpen(holder.pid());
        assertEquals(0, Processes.signal(pidfd, Processes.SIGKILL));
        Fds.close(pidfd);
        assertEquals(RobustMutex.Outcome.OWNER_DIED, mutex.lock(20 * SECOND_NS));
        mutex.unlock();
        assertEquals(RobustMutex.Outcome.ACQUIRED, mutex.tryLock());
        mutex.unlock();
      }
    }
  }

  /** Locks the mutex, says so, and waits for its death. */
  static final class Holder {
    public static void main(final String[] arguments) throws Exception {
      final int fd = Fds.open(arguments[0], Fds.O_RDWR, 0);
      final Mapping mapping = Mapping.map(fd, 0, 4096);
      if (new RobustMutex(mapping.address()).tryLock() == RobustMutex.Outcome.ACQUIRED) {
        System.out.println("locked");
      }
      System.in.read();
    }
  }
}
