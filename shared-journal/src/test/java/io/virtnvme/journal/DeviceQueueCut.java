package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Runs a script on a device's queue pair, cuts it at each store, adopts, and lets the device and
 * the front-end judge; then cuts each adoption at each of its stores, and those adoptions again.
 */
final class DeviceQueueCut implements AutoCloseable {
  static final int SUBMIT = 0;
  static final int RING = 1;
  static final int FETCH = 2;
  static final int COMPLETE = 3;
  static final int POLL = 4;
  static final int DIE = 5;
  static final int RESET = 6;
  static final int OPERATIONS = 7;

  private static final int DEPTH_MAX = 2;
  private static final int STEP_LIMIT = 1000;

  private final DeviceQueueGeometry geometry;
  private final int doorbells;
  private final TestMemory memory;
  private final TestMemory[] afterlives = new TestMemory[2 * (DEPTH_MAX + 1)];
  private final Set<Long> inFlight = new TreeSet<>();
  private DeviceQueueModel device;
  private DeviceQueueLife life;
  private long requestCount;
  private int cutCount;
  private int adoptedCount;

  DeviceQueueCut(final int entryCount, final int slotCount) {
    this.geometry =
        new DeviceQueueGeometry(entryCount, slotCount, 1, 1, 0, 0, 1 << 20, 512, 4096, 0);
    this.doorbells = DeviceQueueSegment.slotPagesOffset(entryCount, slotCount);
    this.memory = new TestMemory(doorbells + 64);
    for (int i = 0; i < afterlives.length; i++) {
      afterlives[i] = new TestMemory(doorbells + 64);
    }
  }

  static int word(final int operation, final int operand) {
    return operation + OPERATIONS * operand;
  }

  /** How many crashes were tried. */
  int cutCount() {
    return cutCount;
  }

  /** Commands that successors found on the device. */
  int adoptedCount() {
    return adoptedCount;
  }

  /** Runs the script on queues that have counted so far. */
  void run(final List<Integer> script, final long base) {
    final long address = memory.address();
    DeviceQueueSegment.format(address, geometry);
    Mem.putLong(address + DeviceQueueSegment.CREATION_OFFSET, 1);
    Mem.putLong(address + DeviceQueueSegment.GATE_OFFSET, 2);
    device =
        new DeviceQueueModel(
            memory,
            DeviceQueueSegment.sqOffset(geometry.slotCount()),
            DeviceQueueSegment.cqOffset(geometry.entryCount(), geometry.slotCount()),
            doorbells,
            geometry.entryCount());
    device.startAt(base);
    if (base > 0) {
      Mem.putLong(address + DeviceQueueSegment.JOINED_OFFSET, 1);
      for (final int offset :
          new int[] {
            DeviceQueueSegment.SUBMITTED_OFFSET,
            DeviceQueueSegment.RUNG_OFFSET,
            DeviceQueueSegment.REAPED_OFFSET,
            DeviceQueueSegment.RELEASED_OFFSET
          }) {
        Mem.putLong(address + offset, base);
      }
    }
    revive();
    for (final int step : script) {
      step(step % OPERATIONS, step / OPERATIONS);
    }
    finish(device, life, inFlight, 1);
  }

  private void revive() {
    life = new DeviceQueueLife(memory, geometry, doorbells);
    cut(() -> life.start(inFlight));
  }

  private void step(final int operation, final int operand) {
    switch (operation) {
      case SUBMIT -> submit(1 + operand % geometry.slotCount());
      case RING -> cut(life::ring);
      case FETCH -> device.fetch(1 + operand % 3);
      case COMPLETE -> {
        for (int i = 0; i <= operand % 3; i++) {
          device.complete(operand);
        }
      }
      case POLL -> poll(1 + operand % 4);
      case DIE -> die(operand);
      default -> reset(operand);
    }
  }

  private void submit(final int count) {
    for (int i = 0; i < count && inFlight.size() < 2 * geometry.slotCount(); i++) {
      inFlight.add(++requestCount);
      final long request = requestCount;
      cut(() -> life.submit(request));
    }
  }

  private void poll(final int limit) {
    final int[] count = new int[1];
    final Set<Long> ended = new TreeSet<>();
    cut(
        () -> {
          final List<Long> now = life.poll(limit);
          count[0] = now.size();
          ended.addAll(now);
        });
    assertEquals(count[0], ended.size(), "ended twice");
    assertTrue(inFlight.removeAll(ended) || ended.isEmpty());
  }

  /** This life ends inside a step; what follows, and is cut, is the life after it. */
  private void die(final int operand) {
    final List<byte[]> photographs;
    if (operand % 2 == 0 && inFlight.size() < 2 * geometry.slotCount()) {
      inFlight.add(++requestCount);
      final long request = requestCount;
      photographs =
          memory.photographed(
              () -> {
                life.submit(request);
                life.ring();
              });
    } else {
      photographs = memory.photographed(() -> life.poll(2));
    }
    if (!photographs.isEmpty()) {
      memory.set(photographs.get(operand / 2 % photographs.size()));
    }
    revive();
  }

  /** A controller reset, under a living driver or between two lives. */
  private void reset(final int operand) {
    device.reset();
    final long creation = memory.address() + DeviceQueueSegment.CREATION_OFFSET;
    Mem.putLong(creation, Mem.getLong(creation) + 1);
    assertTrue(!life.isJoined());
    if (operand % 2 == 0) {
      revive();
    } else {
      cut(() -> life.start(inFlight));
    }
  }

  private void cut(final Runnable action) {
    final DeviceQueueModel deviceThen = device.on(memory);
    final Set<Long> inFlightThen = new TreeSet<>(inFlight);
    final List<byte[]> photographs = memory.photographed(action);
    for (int i = 0; i < photographs.size(); i++) {
      crash(photographs.get(i), deviceThen, inFlightThen, 0, i);
    }
  }

  /** The crash left these bytes. Once with a device that waits, once with one that goes on. */
  private void crash(
      final byte[] left,
      final DeviceQueueModel deviceThen,
      final Set<Long> inFlightThen,
      final int depth,
      final int choice) {
    for (int busy = 0; busy < 2; busy++) {
      cutCount++;
      final TestMemory afterlife = afterlives[2 * depth + busy];
      afterlife.set(left);
      final DeviceQueueModel deviceNow = deviceThen.on(afterlife);
      if (busy != 0) {
        deviceNow.fetch(geometry.entryCount());
        for (int i = 0; i <= choice % 3; i++) {
          deviceNow.complete(choice);
        }
      }
      final Set<Long> inFlightNow = new TreeSet<>(inFlightThen);
      final DeviceQueueModel deviceBefore = deviceNow.on(afterlife);
      final DeviceQueueLife successor = new DeviceQueueLife(afterlife, geometry, doorbells);
      final List<byte[]> photographs = afterlife.photographed(() -> successor.start(inFlightNow));
      adoptedCount += successor.adoptedCount();
      finish(deviceNow, successor, inFlightNow, choice);
      if (depth < DEPTH_MAX) {
        for (int i = 0; i < photographs.size(); i++) {
          crash(photographs.get(i), deviceBefore, inFlightThen, depth + 1, i);
        }
      }
    }
  }

  /** After the last crash everything must come to its end, once, and the queues must be whole. */
  private void finish(
      final DeviceQueueModel judge,
      final DeviceQueueLife last,
      final Set<Long> open,
      final int seed) {
    int choice = seed;
    for (int steps = 0; !open.isEmpty(); steps++) {
      assertTrue(steps < STEP_LIMIT, () -> "lost: " + open);
      last.ring();
      choice = Math.abs(choice * 31 + 7) & 0xFFFFFF;
      judge.fetch(1 + choice % 3);
      judge.complete(choice / 3);
      for (final long request : last.poll(1 + choice % 2)) {
        assertTrue(open.remove(request), () -> "ended twice: " + request);
      }
      last.submitWaiting();
    }
    judge.checkIdle();
  }

  @Override
  public void close() {
    memory.close();
    for (final TestMemory afterlife : afterlives) {
      afterlife.close();
    }
  }
}
