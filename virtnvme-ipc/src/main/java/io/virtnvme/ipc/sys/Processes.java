package io.virtnvme.ipc.sys;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Processes by pidfd, so that a reused process id never gets somebody else's signal. Any thread.
 */
public final class Processes {
  public static final int SIGKILL = 9;
  public static final int SIGTERM = 15;
  public static final int SIGCONT = 18;
  public static final int SIGSTOP = 19;

  private static final long SYS_PIDFD_SEND_SIGNAL = 424;
  private static final long SYS_PIDFD_OPEN = 434;

  private static final int WAIT_NO_HANG = 1;

  private Processes() {}

  /**
   * Buries a dead child that nobody else waits for, as one that this process started before it was
   * replaced; nothing happens when it is none.
   */
  public static void reap(final int pid) {
    Libc.waitpid(pid, 0, WAIT_NO_HANG);
  }

  /**
   * A pidfd, readable once the process is dead and its memory is torn down; or a negative error
   * number.
   */
  public static int pidfdOpen(final int pid) {
    return (int) Sys.orErrno(Libc.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0, 0, 0));
  }

  /** 0, or a negative error number. */
  public static int signal(final int pidfd, final int signal) {
    return (int) Sys.orErrno(Libc.syscall(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0, 0, 0));
  }

  /**
   * The arguments of a process; none when it is gone, waits to be reaped, may not be looked at, or
   * is an {@link AddressSpaceKeeper}, which shows those of another one.
   */
  public static List<String> commandLine(final int pid) {
    final Path folder = Path.of("/proc", Integer.toString(pid));
    try {
      final String line = new String(Files.readAllBytes(folder.resolve("cmdline")), UTF_8);
      final String name = new String(Files.readAllBytes(folder.resolve("comm")), UTF_8);
      return line.isEmpty() || name.strip().equals(AddressSpaceKeeper.NAME)
          ? List.of()
          : List.of(line.split("\0"));
    } catch (final IOException e) {
      return List.of();
    }
  }

  /**
   * False for a process that is gone, gives up its memory or waits to be reaped, and also for the
   * instant in which it becomes another program (execve). Of a number alone: who must not be misled
   * by one that was given anew holds the process by a pidfd.
   */
  public static boolean isAlive(final int pid) {
    try {
      return Files.readAllBytes(Path.of("/proc", Integer.toString(pid), "cmdline")).length > 0;
    } catch (final IOException e) {
      return false;
    }
  }

  public static int currentPid() {
    return Libc.getpid();
  }

  /** Effective user id of this process. */
  public static int currentUid() {
    return Libc.geteuid();
  }

  /**
   * Gives native memory that was freed, by the JIT compiler above all, back to the kernel: each
   * touched page makes the death of the process slower, and a successor may be waiting for it.
   */
  public static void trimNativeHeap() {
    Libc.malloc_trim(0);
  }
}
