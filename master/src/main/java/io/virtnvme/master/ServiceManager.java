package io.virtnvme.master;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.NotifySocket;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.master.relay.DescriptorStore;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * What systemd wants to know of a service of {@code Type=notify}, and what it keeps for it: the
 * protocols of {@code sd_notify(3)}, {@code sd_watchdog_enabled(3)} and {@code sd_listen_fds(3)}.
 * Without systemd every method does nothing. Any thread.
 */
final class ServiceManager implements DescriptorStore {
  private static final String NOTIFY_SOCKET = "NOTIFY_SOCKET";
  private static final String WATCHDOG_USEC = "WATCHDOG_USEC";
  private static final String WATCHDOG_PID = "WATCHDOG_PID";
  private static final String LISTEN_PID = "LISTEN_PID";
  private static final String LISTEN_FDS = "LISTEN_FDS";
  private static final String LISTEN_FDNAMES = "LISTEN_FDNAMES";
  private static final int FIRST_FD = 3;
  private static final int FDS_MAX = 65_536;
  private static final int NAME_LENGTH_MAX = 255;

  private final NotifySocket socket;
  private final long watchdogUs;
  private final Map<String, Integer> kept = new HashMap<>();
  private volatile BooleanSupplier healthy = () -> true;

  /**
   * Reads what the manager left in the environment.
   *
   * @param pid of this process: what is meant for another one is left alone
   */
  ServiceManager(final Map<String, String> environment, final long pid) {
    socket = new NotifySocket(environment.get(NOTIFY_SOCKET));
    final String watchedPid = environment.getOrDefault(WATCHDOG_PID, Long.toString(pid));
    watchdogUs = watchedPid.equals(Long.toString(pid)) ? number(environment.get(WATCHDOG_USEC)) : 0;
    if (Long.toString(pid).equals(environment.get(LISTEN_PID))) {
      final String[] names = environment.getOrDefault(LISTEN_FDNAMES, "").split(":", -1);
      final long count = Math.min(FDS_MAX, number(environment.get(LISTEN_FDS)));
      for (int i = 0; i < count; i++) {
        keep(i < names.length ? names[i] : "", FIRST_FD + i);
      }
    }
  }

  private static long number(final String text) {
    try {
      return text == null ? 0 : Math.max(0, Long.parseLong(text));
    } catch (final NumberFormatException e) {
      return 0;
    }
  }

  private void keep(final String name, final int fd) {
    final int duplicate;
    try {
      // One that no child inherits.
      duplicate = Fds.duplicate(fd);
    } catch (final SysException e) {
      return;
    }
    final Integer before = kept.put(name, duplicate);
    Fds.close(fd);
    if (before != null) {
      Fds.close(before);
    }
  }

  /** Takes the manager's variables out of an environment that another process is to get. */
  static Map<String, String> without(final Map<String, String> environment, final boolean all) {
    final Map<String, String> other = new HashMap<>(environment);
    other.keySet().removeIf(name -> name.startsWith("LISTEN_"));
    if (all) {
      other.remove(NOTIFY_SOCKET);
      other.remove(WATCHDOG_PID);
      other.remove(WATCHDOG_USEC);
    }
    return other;
  }

  /**
   * Starts to show twice per limit that this process is well, if the manager asks for that.
   *
   * @return true when it does
   */
  boolean startWatchdog() {
    if (watchdogUs == 0 || !socket.isThere()) {
      return false;
    }
    final ScheduledExecutorService thread =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              final Thread made = new Thread(task, "service-watchdog");
              made.setDaemon(true);
              return made;
            });
    final var unused =
        thread.scheduleAtFixedRate(
            this::beat, 0, Math.max(1, watchdogUs / 2), TimeUnit.MICROSECONDS);
    return true;
  }

  private void beat() {
    if (healthy.getAsBoolean()) {
      socket.send("WATCHDOG=1\n");
    }
  }

  /** Who knows whether this process is well; asked twice per limit. */
  void healthy(final BooleanSupplier check) {
    healthy = check;
  }

  void ready() {
    socket.send("READY=1\nSTATUS=serving\n");
  }

  /** Another build is to take the place of this one; {@link #ready} ends that. */
  void reloading() {
    socket.send(
        "RELOADING=1\nMONOTONIC_USEC="
            + TimeUnit.NANOSECONDS.toMicros(System.nanoTime())
            + "\nSTATUS=replacing the master\n");
  }

  void stopping() {
    socket.send("STOPPING=1\nSTATUS=stopping\n");
  }

  @Override
  public synchronized int take(final String name) {
    final Integer fd = kept.remove(name);
    return fd == null ? -1 : fd;
  }

  @Override
  public synchronized void put(final String name, final int fd) {
    if (isName(name)) {
      remove(name);
      socket.send("FDSTORE=1\nFDNAME=" + name + "\n", fd);
    }
  }

  @Override
  public synchronized void remove(final String name) {
    if (isName(name)) {
      socket.send("FDSTOREREMOVE=1\nFDNAME=" + name + "\n");
    }
  }

  /** Printable ASCII without a colon; a controller of another name is not kept. */
  private static boolean isName(final String name) {
    return name.length() <= NAME_LENGTH_MAX
        && name.chars().allMatch(c -> c > ' ' && c < 0x7F && c != ':');
  }

  /** Lets go of what was kept for something that does not exist any more. */
  synchronized void closeRest() {
    for (final Map.Entry<String, Integer> entry : kept.entrySet()) {
      remove(entry.getKey());
      Fds.close(entry.getValue());
    }
    kept.clear();
  }
}
