package io.virtnvme.tools.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Processor time of processes, from /proc. Any thread. */
final class CpuTime {
  /** USER_HZ, which Linux fixes for user space. */
  private static final long NS_PER_TICK = 10_000_000;

  /** Fields behind the process name, which ends with the last parenthesis; see proc(5), stat. */
  private static final int USER_TICKS_FIELD = 11;

  private static final int SYSTEM_TICKS_FIELD = 12;

  private CpuTime() {}

  /** User and system time together, in nanoseconds; a process that is gone counts nothing. */
  static long ofNs(final List<Integer> pids) {
    long ticks = 0;
    for (final int pid : pids) {
      try {
        final String stat = Files.readString(Path.of("/proc", Integer.toString(pid), "stat"));
        final String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
        ticks += Long.parseLong(fields[USER_TICKS_FIELD]);
        ticks += Long.parseLong(fields[SYSTEM_TICKS_FIELD]);
      } catch (final IOException e) {
        // It ended.
        ticks += 0;
      }
    }
    return ticks * NS_PER_TICK;
  }
}
