package io.virtnvme.master;

import static org.awaitility.Awaitility.await;

import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.supervisor.ProcessActivity;
import io.virtnvme.master.supervisor.ProcessTable;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/** Processes that exist only as an eventfd, readable when the process is "dead". */
final class FakeProcesses implements ProcessTable, AutoCloseable {
  private final AtomicInteger lastPid = new AtomicInteger(1_000_000);
  private final Map<Integer, Integer> eventFds = new ConcurrentHashMap<>();
  private final Map<Integer, Boolean> dead = new ConcurrentHashMap<>();
  private final Map<Integer, Integer> pidByFd = new ConcurrentHashMap<>();
  private final ConcurrentLinkedQueue<Integer> started = new ConcurrentLinkedQueue<>();
  private final ConcurrentLinkedQueue<Integer> connecting = new ConcurrentLinkedQueue<>();

  private volatile long listingNs;
  private volatile ProcessActivity activity = ProcessActivity.NONE;

  /** How long the host takes to say which slaves live; 0 at first. */
  void listingTakesNs(final long ns) {
    listingNs = ns;
  }

  /** A process that the master did not start. */
  int create() {
    final int pid = lastPid.incrementAndGet();
    eventFds.put(pid, EventFd.create());
    return pid;
  }

  @Override
  public int start(final List<String> command, final Path log) {
    final int pid = create();
    started.add(pid);
    return pid;
  }

  /** The oldest process that was started and not asked for yet. */
  int awaitStart() {
    await().until(() -> !started.isEmpty());
    return started.remove();
  }

  int startedCount() {
    return started.size();
  }

  /** The next connection to the slaves' socket comes from this process. */
  void connecting(final int pid) {
    connecting.add(pid);
  }

  /** It could not connect. */
  void notConnecting(final int pid) {
    connecting.remove(pid);
  }

  @Override
  public int peerPid(final int socketFd) {
    return connecting.remove();
  }

  @Override
  public int open(final int pid) {
    final int fd = Fds.duplicate(eventFds.get(pid));
    pidByFd.put(fd, pid);
    return fd;
  }

  @Override
  public void kill(final int pidfd) {
    die(pidByFd.get(pidfd));
  }

  void die(final int pid) {
    if (dead.put(pid, true) == null) {
      final EventFd signal = new EventFd();
      signal.signal(eventFds.get(pid));
      signal.free();
    }
  }

  boolean isDead(final int pid) {
    return dead.containsKey(pid);
  }

  /** What {@link #activity} gives of every process from now on. */
  void activity(final boolean runnable, final long cpuNs) {
    activity = new ProcessActivity(runnable, cpuNs);
  }

  @Override
  public ProcessActivity activity(final int pid) {
    return activity;
  }

  @Override
  public String describe(final int pid) {
    return "process " + pid + " as described";
  }

  @Override
  public boolean askForThreads(final int pid, final int pidfd) {
    return false;
  }

  @Override
  public boolean isSlave(final int pid, final Path runDirectory) {
    return eventFds.containsKey(pid) && !isDead(pid);
  }

  @Override
  public List<Integer> slavesOf(final Path runDirectory) {
    LockSupport.parkNanos(listingNs);
    return eventFds.keySet().stream().filter(pid -> isSlave(pid, runDirectory)).toList();
  }

  @Override
  public void close() {
    new ArrayList<>(eventFds.values()).forEach(Fds::close);
  }
}
