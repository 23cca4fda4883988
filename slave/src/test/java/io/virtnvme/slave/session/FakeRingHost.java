package io.virtnvme.slave.session;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.slave.ring.RingSetup;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Reactors that run nothing: keeps what was started, and checks that a session never ends memory or
 * descriptors that a ring still has. Callbacks come at once, or when the test lets them.
 */
final class FakeRingHost implements RingHost {
  final Map<Integer, QueueSetup> running = new TreeMap<>();
  final List<String> calls = new ArrayList<>();

  /** What a ring tells when it stops; rings not listed tell the base that they were started at. */
  final Map<Integer, Integer> bases = new HashMap<>();

  boolean deferred;
  private final Deque<Runnable> callbacks = new ArrayDeque<>();

  @Override
  public void start(final RingSetup given) {
    final QueueSetup setup = (QueueSetup) given;
    assertUsable(setup);
    assertNull(running.put(setup.queueIndex(), setup), "started twice");
    calls.add("start " + setup.queueIndex());
  }

  @Override
  public void stop(final long sessionId, final int queueIndex, final Stopped whenStopped) {
    calls.add("stop " + queueIndex);
    call(
        () -> {
          final QueueSetup setup = running.remove(queueIndex);
          if (setup != null) {
            assertUsable(setup);
          }
          whenStopped.onStopped(setup == null ? -1 : bases.getOrDefault(queueIndex, setup.base()));
        });
  }

  @Override
  public void update(
      final long sessionId,
      final GuestMemory memory,
      final DirtyLog log,
      final long features,
      final Runnable whenDone) {
    calls.add("update");
    final Map<Integer, QueueSetup> before = Map.copyOf(running);
    running.replaceAll((queue, setup) -> SessionFixture.with(setup, memory, log, features));
    call(
        () -> {
          before.values().forEach(FakeRingHost::assertUsable);
          whenDone.run();
        });
  }

  @Override
  public void updateCall(
      final long sessionId, final int queueIndex, final int callFd, final Runnable whenDone) {
    calls.add("call " + queueIndex);
    final QueueSetup before = running.get(queueIndex);
    running.put(queueIndex, SessionFixture.withCall(before, callFd));
    call(
        () -> {
          assertUsable(before);
          whenDone.run();
        });
  }

  @Override
  public void writeback(final long sessionId, final boolean on, final Runnable whenDone) {
    calls.add("writeback " + on);
    running.replaceAll((queue, setup) -> SessionFixture.withWriteback(setup, on));
    call(whenDone);
  }

  private void call(final Runnable callback) {
    if (deferred) {
      callbacks.add(callback);
    } else {
      callback.run();
    }
  }

  /** Lets everything that was deferred happen. */
  void runCallbacks() {
    while (!callbacks.isEmpty()) {
      callbacks.poll().run();
    }
  }

  int pendingCount() {
    return callbacks.size();
  }

  /** Touches all memory that a ring may touch; unmapped memory would end the JVM. */
  static void assertUsable(final QueueSetup setup) {
    Mem.getByte(setup.descriptorAddress());
    Mem.getByte(setup.availAddress());
    Mem.getByte(setup.usedAddress());
    Mem.getLong(setup.inflightAddress());
    setup
        .memory()
        .regions()
        .forEach(
            region -> {
              Mem.getByte(region.hostAddress());
              Mem.getByte(region.hostAddress() + region.lengthBytes() - 1);
              assertFalse(SessionFixture.isClosed(region.fd()));
            });
    assertFalse(setup.kickFd() >= 0 && SessionFixture.isClosed(setup.kickFd()), "kick is closed");
    assertFalse(setup.callFd() >= 0 && SessionFixture.isClosed(setup.callFd()), "call is closed");
  }
}
