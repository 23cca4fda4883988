package io.virtnvme.ipc.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ThreadsTest {
  private static final int SCHED_OTHER = 0;
  private static final int SCHED_BATCH = 3;

  /** Counted behind the name. */
  private static final int POLICY_FIELD = 38;

  /** Confines itself to core 0, says so, and waits for its end. */
  static final class Confined {
    private Confined() {}

    public static void main(final String[] args) throws Exception {
      final int keeper = AddressSpaceKeeper.start();
      final CountDownLatch pinned = new CountDownLatch(1);
      final int last = Runtime.getRuntime().availableProcessors() - 1;
      final Thread reactor =
          new Thread(
              () -> {
                Threads.pinTo(last);
                System.out.println("pinned " + Libc.gettid() + " " + last);
                pinned.countDown();
                while (true) {
                  LockSupport.park();
                }
              });
      reactor.setDaemon(true);
      reactor.start();
      pinned.await();
      Threads.confineProcessTo(new int[] {0});
      System.out.println("keeper " + keeper + " " + Libc.gettid());
      System.in.read();
    }
  }

  @Test
  void shouldConfineEveryThreadThatDidNotPinItselfAndLetItGiveWay() throws Exception {
    try (TestProcess process = TestProcess.start(Confined.class)) {
      final String[] pinned = process.readLine().split(" ", -1);
      final String line = process.readLine();
      assertNotNull(line, "it ended");
      final int keeper = Integer.parseInt(line.split(" ", -1)[1]);
      final String caller = line.split(" ", -1)[2];
      int count = 0;
      try (Stream<Path> tasks = Files.list(Path.of("/proc", "" + process.pid(), "task"))) {
        for (final Path task : (Iterable<Path>) tasks::iterator) {
          final boolean isPinned = task.endsWith(pinned[1]);
          assertEquals(isPinned ? pinned[2] : "0", cores(task), "thread " + task);
          final boolean isCaller = task.endsWith(caller);
          assertEquals(
              isPinned || isCaller ? SCHED_OTHER : SCHED_BATCH, policy(task), "thread " + task);
          count++;
        }
      }
      assertTrue(count > 5, "threads of a JVM: " + count);
      if (keeper != 0) {
        assertEquals("0", cores(Path.of("/proc", "" + keeper)));
      }
    }
  }

  /** The 41st field; the second one, in parentheses, may have spaces. */
  private static int policy(final Path task) throws IOException {
    final String stat = Files.readString(task.resolve("stat"));
    final String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
    return Integer.parseInt(fields[POLICY_FIELD]);
  }

  private static String cores(final Path task) throws IOException {
    for (final String line : Files.readAllLines(task.resolve("status"))) {
      if (line.startsWith("Cpus_allowed_list:")) {
        return line.substring(line.indexOf(':') + 1).strip();
      }
    }
    throw new AssertionError("no cores in " + task);
  }
}
