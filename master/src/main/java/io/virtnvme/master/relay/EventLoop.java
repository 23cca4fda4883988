package io.virtnvme.master.relay;

import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import java.util.HashMap;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.agrona.collections.Long2ObjectHashMap;
import org.agrona.concurrent.ManyToOneConcurrentLinkedQueue;

/**
 * The conductor's wait: descriptors, timers, and tasks from other threads. One thread calls {@link
 * #doWork}; every method but {@link #execute} belongs to it.
 */
public final class EventLoop implements AutoCloseable {
  /** Report a descriptor's new readiness only once, until more arrives. */
  public static final int EDGE_TRIGGERED = 1 << 31;

  private static final int EVENT_COUNT_MAX = 64;
  private static final int TASK_COUNT_MAX = 256;
  private static final long WAKE_TOKEN = 0;

  /** Told that a watched descriptor is ready; {@code readiness} as in {@link Epoll}. */
  @FunctionalInterface
  public interface ReadyHandler {
    void onReady(int readiness);
  }

  /** A task that runs once, later, unless it is cancelled before. */
  public static final class Timer {
    private final long deadlineNs;
    private Runnable task;

    private Timer(final long deadlineNs, final Runnable task) {
      this.deadlineNs = deadlineNs;
      this.task = task;
    }

    public void cancel() {
      task = null;
    }
  }

  private final LongSupplier nanoClock;
  private final Epoll epoll = new Epoll(EVENT_COUNT_MAX);
  private final int wakeFd = EventFd.create();
  private final EventFd wakeSignal = new EventFd();
  private final EventFd wakeDrain = new EventFd();
  private final ManyToOneConcurrentLinkedQueue<Runnable> tasks =
      new ManyToOneConcurrentLinkedQueue<>();
  private final Long2ObjectHashMap<ReadyHandler> handlers = new Long2ObjectHashMap<>();
  private final Map<Integer, Long> tokens = new HashMap<>();
  private final PriorityQueue<Timer> timers =
      new PriorityQueue<>((a, b) -> Long.compare(a.deadlineNs - b.deadlineNs, 0));
  private long lastToken = WAKE_TOKEN;
  private boolean closed;

  /** A loop that takes the time from {@code nanoClock}. */
  public EventLoop(final LongSupplier nanoClock) {
    this.nanoClock = nanoClock;
    epoll.add(wakeFd, Epoll.IN, WAKE_TOKEN);
  }

  public long nowNs() {
    return nanoClock.getAsLong();
  }

  /** Runs a task on the loop's thread, behind those given before. Any thread. */
  public void execute(final Runnable task) {
    tasks.offer(task);
    synchronized (wakeSignal) {
      if (!closed) {
        wakeSignal.signal(wakeFd);
      }
    }
  }

  /** Runs a task after at least {@code delayNs}. */
  public Timer after(final long delayNs, final Runnable task) {
    final Timer timer = new Timer(nowNs() + delayNs, task);
    timers.add(timer);
    return timer;
  }

  /** Watches a descriptor until {@link #unwatch}, which must come before it is closed. */
  public void watch(final int fd, final int interest, final ReadyHandler handler) {
    final long token = ++lastToken;
    epoll.add(fd, interest, token);
    tokens.put(fd, token);
    handlers.put(token, handler);
  }

  /** Changes what a watched descriptor is watched for; 0 leaves hang-ups and errors. */
  public void interest(final int fd, final int interest) {
    epoll.modify(fd, interest, tokens.get(fd));
  }

  /** Stops watching; events of this descriptor that were reported already are dropped. */
  public void unwatch(final int fd) {
    final Long token = tokens.remove(fd);
    if (token != null) {
      handlers.remove(token.longValue());
      epoll.remove(fd);
    }
  }

  /**
   * Runs what is due; waits first if {@code mayWait} and nothing is due yet.
   *
   * @return how many handlers, timers and tasks ran
   */
  public int doWork(final boolean mayWait) {
    int workCount = 0;
    final int readyCount = epoll.await(mayWait && tasks.isEmpty() ? timeoutMs() : 0);
    for (int i = 0; i < readyCount; i++) {
      if (epoll.token(i) == WAKE_TOKEN) {
        wakeDrain.drain(wakeFd);
        continue;
      }
      final ReadyHandler handler = handlers.get(epoll.token(i));
      if (handler != null) {
        handler.onReady(epoll.readiness(i));
        workCount++;
      }
    }
    return workCount + runTimers() + runTasks();
  }

  private int timeoutMs() {
    final Timer next = timers.peek();
    if (next == null) {
      return -1;
    }
    final long waitNs = next.deadlineNs - nowNs();
    // Rounded up: woken a moment too early, the loop would spin until the deadline.
    return (int)
        Math.min(Integer.MAX_VALUE, Math.max(0, TimeUnit.NANOSECONDS.toMillis(waitNs + 999_999)));
  }

  private int runTimers() {
    int count = 0;
    final long nowNs = nowNs();
    for (Timer timer = timers.peek();
        timer != null && timer.deadlineNs - nowNs <= 0;
        timer = timers.peek()) {
      timers.remove();
      if (timer.task != null) {
        timer.task.run();
        count++;
      }
    }
    return count;
  }

  private int runTasks() {
    int count = 0;
    for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
      task.run();
      if (++count == TASK_COUNT_MAX) {
        break;
      }
    }
    return count;
  }

  @Override
  public void close() {
    synchronized (wakeSignal) {
      closed = true;
    }
    epoll.close();
    Fds.close(wakeFd);
  }
}
