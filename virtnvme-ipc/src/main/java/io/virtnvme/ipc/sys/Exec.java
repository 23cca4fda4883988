package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Another program in the place of this one. Main thread, whose priority and cores it inherits. */
public final class Exec {
  private static final int F_SETFD = 2;
  private static final int FD_CLOEXEC = 1;
  private static final int STANDARD_ERROR = 2;

  private Exec() {}

  /**
   * Replaces this process: its id and the standard descriptors stay, every other descriptor is
   * closed, every other thread ends without a word. Returns only to throw.
   *
   * @param command the program, an absolute path, and its arguments
   * @throws SysException when it cannot be started; this process goes on then
   */
  public static void replaceBy(final List<String> command, final Map<String, String> environment) {
    final List<String> variables = new ArrayList<>();
    environment.forEach((name, value) -> variables.add(name + "=" + value));
    final long arguments = strings(command);
    final long values = strings(variables);
    closeOnExec();
    Sys.check(Libc.execve(command.get(0), arguments, values), "execve " + command.get(0));
  }

  private static void closeOnExec() {
    final String[] names = new File("/proc/self/fd").list();
    for (final String name : names == null ? new String[0] : names) {
      final int fd = Integer.parseInt(name);
      if (fd > STANDARD_ERROR) {
        Libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
      }
    }
  }

  /** A null-terminated array of C strings; never freed, since the process ends with it. */
  private static long strings(final List<String> texts) {
    final long array = Mem.allocate((texts.size() + 1L) * Long.BYTES);
    for (int i = 0; i < texts.size(); i++) {
      final byte[] bytes = texts.get(i).getBytes(StandardCharsets.UTF_8);
      final long text = Mem.allocate(bytes.length + 1L);
      Mem.copyIn(bytes, 0, text, bytes.length);
      Mem.putLong(array + (long) i * Long.BYTES, text);
    }
    return array;
  }
}
