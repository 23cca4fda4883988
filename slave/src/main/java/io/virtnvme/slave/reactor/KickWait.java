package io.virtnvme.slave.reactor;

import static io.virtnvme.ipc.segment.SeatSegment.ACTIVITY_ASLEEP;
import static io.virtnvme.ipc.segment.SeatSegment.ACTIVITY_OFFSET;
import static io.virtnvme.ipc.segment.SeatSegment.ACTIVITY_POLLING;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.slave.bdev.ReactorIo;
import java.util.Queue;

/**
 * How a reactor sleeps: on the kick descriptors of its rings, on its device I/O, and on a
 * descriptor of its own by which other threads {@link #wake} it. All else belongs to the reactor's
 * thread.
 */
final class KickWait implements AutoCloseable {
  private static final int READY_MAX = 64;
  private static final long WAKE_TOKEN = -1;
  private static final long IO_TOKEN = -2;

  private final long seatBlock;
  private final RingTable rings;
  private final ReactorIo io;
  private final Epoll epoll = new Epoll(READY_MAX);
  private final EventFd eventFd = new EventFd();
  private final int wakeFd = EventFd.create();
  private final EventFd wakeSender = new EventFd();
  private volatile boolean asleep;
  private boolean ioWatched;

  /**
   * @param seatBlock the reactor's block of its seat segment, which says whether it sleeps
   */
  KickWait(final long seatBlock, final RingTable rings, final ReactorIo io) {
    this.seatBlock = seatBlock;
    this.rings = rings;
    this.io = io;
    epoll.add(wakeFd, Epoll.IN, WAKE_TOKEN);
  }

  /**
   * Lets a kick of this ring end the sleep, if it has a kick descriptor.
   *
   * @throws io.virtnvme.ipc.sys.SysException when the descriptor cannot be watched
   */
  void watch(final Ring ring) {
    if (ring.setup.kickFd() >= 0) {
      epoll.add(ring.setup.kickFd(), Epoll.IN, ring.slot);
    }
    ring.kickWatched = true;
  }

  void unwatch(final Ring ring) {
    if (ring.kickWatched && ring.setup.kickFd() >= 0) {
      epoll.remove(ring.setup.kickFd());
    }
    ring.kickWatched = false;
  }

  /**
   * Ends the sleep, now or as soon as it begins, for a command that was queued before; any thread.
   */
  void wake() {
    if (asleep) {
      synchronized (wakeSender) {
        wakeSender.signal(wakeFd);
      }
    }
  }

  /**
   * Sleeps until a kick, a device, a command, the end of the time, or until a ring may take what a
   * rate limit holds back; not at all when work waits already. Kicks are off again at the return.
   *
   * @param commands what {@link #wake} announces
   * @param timeoutNs at most {@link SeatSegment#SLEEP_MS_MAX}
   * @return whether it slept
   */
  boolean sleep(final Queue<Runnable> commands, final long timeoutNs) {
    // The order matters: say that we sleep, let the guests kick again, then look once more at
    // everything that could have arrived in between; armKicks has the full fence that pairs with
    // the guest's.
    asleep = true;
    Mem.fullFence();
    boolean workWaits = !commands.isEmpty();
    long pollDueNs = Long.MAX_VALUE;
    final Ring[] current = rings.started();
    for (int i = 0; i < current.length; i++) {
      if (current[i].state == Ring.State.RUNNING) {
        workWaits |= current[i].agent.armKicks();
        pollDueNs = Math.min(pollDueNs, current[i].agent.pollDueNs());
      }
    }
    watchIo();
    workWaits |= io.armWakeUp();
    if (!workWaits) {
      final long nowNs = System.nanoTime();
      await(pollDueNs <= nowNs ? 0 : Math.min(timeoutNs, pollDueNs - nowNs));
    }
    asleep = false;
    io.disarmWakeUp();
    for (int i = 0; i < current.length; i++) {
      if (current[i].state == Ring.State.RUNNING) {
        current[i].agent.disarmKicks();
      }
    }
    return !workWaits;
  }

  private void await(final long timeoutNs) {
    Mem.putLongRelease(seatBlock + ACTIVITY_OFFSET, ACTIVITY_ASLEEP);
    final int readyCount = epoll.awaitNs(timeoutNs);
    Mem.putLongRelease(seatBlock + ACTIVITY_OFFSET, ACTIVITY_POLLING);
    for (int i = 0; i < readyCount; i++) {
      onReady(epoll.token(i));
    }
  }

  private void watchIo() {
    if (!ioWatched && io.fd() >= 0) {
      epoll.add(io.fd(), Epoll.IN, IO_TOKEN);
      ioWatched = true;
    }
  }

  private void onReady(final long token) {
    if (token == WAKE_TOKEN) {
      eventFd.drain(wakeFd);
    } else if (token >= 0 && rings.at((int) token) != null) {
      final Ring ring = rings.at((int) token);
      eventFd.drain(ring.setup.kickFd());
      ring.agent.onKick();
    }
  }

  @Override
  public void close() {
    epoll.close();
    Fds.close(wakeFd);
    eventFd.free();
    wakeSender.free();
  }
}
