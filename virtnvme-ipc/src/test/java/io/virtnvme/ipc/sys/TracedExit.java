package io.virtnvme.ipc.sys;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.ipc.memory.Mem;
import java.time.Duration;

/**
 * Stops a process at the beginning of its exit, when it has run its last instruction and still has
 * its address space. x86-64; one thread, since the kernel knows a tracer by its thread.
 */
final class TracedExit implements AutoCloseable {
  private static final long SYS_WAIT4 = 61;
  private static final long SYS_PTRACE = 101;
  private static final long PTRACE_DETACH = 17;
  private static final long PTRACE_GETEVENTMSG = 0x4201;
  private static final long PTRACE_SEIZE = 0x4206;
  private static final long PTRACE_O_TRACEEXIT = 0x40;
  private static final int PTRACE_EVENT_EXIT = 6;
  private static final long WNOHANG = 1;
  private static final long WALL = 0x40000000;
  private static final int SIGTRAP = 5;

  /** ptrace(2): the status of a tracee that is stopped by an event. */
  private static final int STOPPED_AT_EXIT = 0x7f | SIGTRAP << 8 | PTRACE_EVENT_EXIT << 16;

  private static final Duration STOP_LIMIT = Duration.ofSeconds(20);

  private final int pid;
  private final Thread tracer = Thread.currentThread();
  private final long word = Mem.allocate(Long.BYTES);

  private TracedExit(final int pid) {
    this.pid = pid;
  }

  /** Lets a process run on until it exits. */
  static TracedExit of(final int pid) {
    final TracedExit trace = new TracedExit(pid);
    final long result = trace.ptrace(PTRACE_SEIZE, PTRACE_O_TRACEEXIT);
    assertEquals(0, result, () -> "PTRACE_SEIZE: " + Errno.text((int) -result));
    return trace;
  }

  /**
   * Returns when the process has stopped.
   *
   * @return the status that its parent is going to see
   */
  long awaitStop() {
    await()
        .pollInSameThread()
        .atMost(STOP_LIMIT)
        .until(() -> Libc.syscall(SYS_WAIT4, pid, word, WALL | WNOHANG, 0, 0, 0) == pid);
    assertEquals(STOPPED_AT_EXIT, Mem.getInt(word), "stopped where it should not be");
    assertEquals(0, ptrace(PTRACE_GETEVENTMSG, word));
    return Mem.getLong(word);
  }

  private long ptrace(final long request, final long data) {
    assertEquals(tracer, Thread.currentThread(), "another thread is not the tracer");
    return Sys.orErrno(Libc.syscall(SYS_PTRACE, request, pid, 0, data, 0, 0));
  }

  /** Lets it exit. One that has not stopped stays traced until this thread ends. */
  @Override
  public void close() {
    ptrace(PTRACE_DETACH, 0);
    Mem.free(word);
  }
}
