package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.List;

/**
 * Runs a script on the queues of a small controller, cuts it at each store, recovers, and lets the
 * driver judge; then cuts each recovery at each of its stores, and those recoveries again.
 */
final class NvmeCrashCut implements AutoCloseable {
  static final int SUBMIT = 0;
  static final int FETCH = 1;
  static final int FETCH_ALL = 2;
  static final int COMPLETE = 3;
  static final int POLL = 4;
  static final int POLL_SOME = 5;
  static final int DIE = 6;
  static final int RECREATE = 7;
  static final int RESET = 8;
  static final int OPERATIONS = 9;

  private static final int DEPTH_MAX = 2;
  private static final int STEP_LIMIT = 10_000;

  private static long totalCount;

  private final NvmeArea area;
  private final TestMemory memory;
  private final TestMemory[] afterlives = new TestMemory[2 * (DEPTH_MAX + 1)];
  private final int[] fetched;
  private NvmeDriver driver;
  private NvmeDevice device;
  private long creations = 100;
  private int cutCount;

  NvmeCrashCut(final NvmeArea area) {
    this.area = area;
    this.memory = new TestMemory(area.lengthBytes());
    this.fetched = new int[area.sqCount];
    for (int i = 0; i < afterlives.length; i++) {
      afterlives[i] = new TestMemory(area.lengthBytes());
    }
  }

  /** How many crashes all tests of this JVM have tried. */
  static long totalCount() {
    return totalCount;
  }

  /** How many crashes were tried. */
  int cutCount() {
    return cutCount;
  }

  /** A word of a script. */
  static int word(final int operation, final int operand) {
    return operation + OPERATIONS * operand;
  }

  /** Runs the script; each number is an operation and its operand. */
  void run(final List<Integer> script) {
    area.initialise(memory);
    driver = new NvmeDriver(area, memory);
    device = new NvmeDevice(area, memory);
    cut(device::start, fetched);
    for (final int word : script) {
      step(word % OPERATIONS, word / OPERATIONS);
    }
    finish(driver, device, 1);
  }

  private void step(final int operation, final int operand) {
    final int queue = operand % area.sqCount;
    final int rest = operand / area.sqCount;
    switch (operation) {
      case SUBMIT -> {
        for (int i = 0; i <= rest % 3; i++) {
          driver.submit(queue);
        }
      }
      case FETCH -> fetch(queue, 1 + rest % 3);
      case FETCH_ALL -> {
        for (int i = 0; i < area.sqCount; i++) {
          fetch(i, area.sqSize);
        }
      }
      case COMPLETE -> cut(() -> device.complete(1 + operand % 5, operand / 5), fetched);
      case POLL -> driver.pollAll();
      case POLL_SOME -> driver.poll(1 + operand % 2);
      case DIE -> die(operand);
      case RECREATE -> recreate(queue);
      default -> reset();
    }
  }

  private void fetch(final int queue, final int limit) {
    final int[] before = fetched.clone();
    final int[] count = new int[1];
    final List<byte[]> photographs =
        memory.photographed(() -> count[0] = device.fetch(queue, limit));
    fetched[queue] += count[0];
    judge(photographs, before, fetched);
  }

  /** This life ends inside a batch; what follows, and is cut, is the life after it. */
  private void die(final int operand) {
    if (device.inflightCount() > 0 && operand % 4 != 0) {
      final List<byte[]> batch =
          memory.photographed(() -> device.complete(1 + operand % 5, operand / 5));
      if (!batch.isEmpty()) {
        memory.set(batch.get(operand % batch.size()));
      }
    }
    device = new NvmeDevice(area, memory);
    cut(device::start, fetched);
    check(driver, device, fetched, fetched);
  }

  private void recreate(final int queue) {
    driver.pollAll();
    driver.onRecreated(queue);
    area.creation(memory, queue, ++creations);
    fetched[queue] = 0;
    cut(() -> device.recreate(queue), fetched);
  }

  private void reset() {
    driver.pollAll();
    driver.onCompletionQueueRecreated();
    area.creation(memory, area.sqCount, ++creations);
    for (int queue = 0; queue < area.sqCount; queue++) {
      driver.onRecreated(queue);
      area.creation(memory, queue, ++creations);
      fetched[queue] = 0;
    }
    device = new NvmeDevice(area, memory);
    cut(device::start, fetched);
  }

  private void cut(final Runnable action, final int[] expected) {
    judge(memory.photographed(action), expected, expected);
  }

  private void judge(
      final List<byte[]> photographs, final int[] fetchedMin, final int[] fetchedMax) {
    for (int i = 0; i < photographs.size(); i++) {
      crash(photographs.get(i), driver, fetchedMin, fetchedMax, 0, i);
    }
  }

  /** The crash left these bytes. Once with a driver that waits, once with one that goes on. */
  private void crash(
      final byte[] left,
      final NvmeDriver driverThen,
      final int[] fetchedMin,
      final int[] fetchedMax,
      final int depth,
      final int choice) {
    for (int busy = 0; busy < 2; busy++) {
      cutCount++;
      final TestMemory afterlife = afterlives[2 * depth + busy];
      afterlife.set(left);
      final NvmeDriver driverNow = driverThen.on(afterlife);
      if (busy != 0) {
        driverNow.poll(1 + choice % 4);
        for (int queue = 0; queue < area.sqCount; queue++) {
          while (driverNow.submit(queue)) {
            // Fills the queue: whatever entry is free is overwritten.
          }
        }
      }
      final NvmeDevice successor = new NvmeDevice(area, afterlife);
      final List<byte[]> photographs = afterlife.photographed(successor::start);
      final NvmeDriver driverAfter = driverNow.on(afterlife);
      final int[] found = check(driverAfter, successor, fetchedMin, fetchedMax);
      finish(driverAfter, successor, choice);
      if (depth < DEPTH_MAX) {
        for (int i = 0; i < photographs.size(); i++) {
          crash(photographs.get(i), driverNow, found, found, depth + 1, choice + i);
        }
      }
    }
  }

  private int[] check(
      final NvmeDriver judge,
      final NvmeDevice successor,
      final int[] fetchedMin,
      final int[] fetchedMax) {
    judge.pollAll();
    final int[] found = new int[area.sqCount];
    for (int queue = 0; queue < area.sqCount; queue++) {
      found[queue] =
          judge.checkRecovered(
              queue, successor.inflightAnswers(queue), fetchedMin[queue], fetchedMax[queue]);
    }
    return found;
  }

  /** After the last crash everything must come to its end, and the queues must still be whole. */
  private void finish(final NvmeDriver judge, final NvmeDevice last, final int seed) {
    int choice = seed;
    for (int round = 0; round < 2; round++) {
      int steps = 0;
      judge.pollAll();
      while (!judge.isAllCompleted()) {
        assertTrue(steps++ < STEP_LIMIT, "a command was lost");
        for (int queue = 0; queue < area.sqCount; queue++) {
          last.fetch(queue, area.sqSize);
        }
        assertTrue(last.inflightCount() > 0, "a command was lost");
        choice = Math.abs(choice * 31 + 7) & 0xFFFFFF;
        last.complete(1 + choice % 7, choice / 8);
        judge.pollAll();
      }
      last.checkIdle();
      for (int queue = 0; queue < area.sqCount && round == 0; queue++) {
        while (judge.submit(queue)) {
          choice += 5;
        }
      }
    }
  }

  /** What cuts an operation short while its objects live on. */
  private static final class Cut extends InternalError {
    private static final long serialVersionUID = 1L;
  }

  /**
   * Runs a script on one and the same device that fails before one of its stores, and then recovers
   * in place.
   *
   * @return whether the script has so many stores
   */
  boolean runWithErrorAt(final List<Integer> script, final int store) {
    area.initialise(memory);
    driver = new NvmeDriver(area, memory);
    device = new NvmeDevice(area, memory);
    device.start();
    final int[] storesLeft = {store};
    boolean isCut = false;
    for (final int word : script) {
      final int operand = word / OPERATIONS;
      final int queue = operand % area.sqCount;
      final int[] before = fetched.clone();
      try {
        Mem.listener(
            (address, length) -> {
              if (--storesLeft[0] == 0) {
                throw new Cut();
              }
            });
        if (word % OPERATIONS == FETCH) {
          device.fetch(queue, 1 + operand % 3);
        } else if (word % OPERATIONS == COMPLETE) {
          device.complete(1 + operand % 5, operand / 5);
        }
      } catch (final Cut e) {
        isCut = true;
        Mem.listener(null);
        device.recover();
      } finally {
        Mem.listener(null);
      }
      if (word % OPERATIONS == SUBMIT) {
        driver.submit(queue);
      }
      final int[] most = before.clone();
      most[queue] += word % OPERATIONS == FETCH ? 3 : 0;
      System.arraycopy(check(driver, device, before, most), 0, fetched, 0, fetched.length);
    }
    finish(driver, device, store);
    return isCut;
  }

  @Override
  public void close() {
    totalCount += cutCount;
    memory.close();
    for (final TestMemory afterlife : afterlives) {
      afterlife.close();
    }
  }
}
