package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;

/**
 * Runs a script on a queue, cuts it at each store, recovers, and lets the driver judge; then cuts
 * each recovery at each of its stores, and those recoveries again.
 */
final class CrashCut implements AutoCloseable {
  /** The memory layout of a queue, and makers of its two sides. */
  interface Queue {
    int lengthBytes();

    /** The driver of a fresh ring. */
    Driver newDriver(TestMemory memory);

    /** A back-end that knows nothing but the base that the front-end gives it. */
    Device newDevice(TestMemory memory);

    /** The region is replaced by a new one; a back-end starts in it where that one stood. */
    void renewRegion(TestMemory memory, Device stopped);
  }

  /** A word of a script: the ring stands still and gets a new region, with requests waiting. */
  static final int NEW_REGION = -1;

  private static final int DEPTH_MAX = 2;
  private static final int STEP_LIMIT = 10_000;

  private final Queue queue;
  private final TestMemory memory;
  private final TestMemory[] afterlives = new TestMemory[2 * (DEPTH_MAX + 1)];
  private static long totalCount;
  private int cutCount;

  CrashCut(final Queue queue) {
    this.queue = queue;
    this.memory = new TestMemory(queue.lengthBytes());
    for (int i = 0; i < afterlives.length; i++) {
      afterlives[i] = new TestMemory(queue.lengthBytes());
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

  /** Runs the script; each number is an operation and its operands. */
  void run(final List<Integer> script) {
    final Driver driver = queue.newDriver(memory);
    final Device[] device = {queue.newDevice(memory)};
    int fetched = 0;
    cut(memory.photographed(() -> device[0].start()), driver, 0, 0);
    for (final int word : script) {
      final int operand = word / 8;
      if (word == NEW_REGION) {
        renewRegion(driver, device, fetched);
        continue;
      }
      switch (word % 8) {
        case 0, 1, 2 -> driver.post(operand);
        case 3, 4 -> {
          final boolean[] taken = new boolean[1];
          final List<byte[]> photographs = memory.photographed(() -> taken[0] = device[0].fetch());
          final int before = fetched;
          fetched += taken[0] ? 1 : 0;
          cut(photographs, driver, before, fetched);
        }
        case 5 -> {
          final int inflight = device[0].inflightCount();
          if (inflight > 0) {
            cut(
                memory.photographed(
                    () -> device[0].complete(1 + operand % inflight, operand / inflight)),
                driver,
                fetched,
                fetched);
          }
        }
        case 6 -> driver.pollUsed();
        default -> {
          final int inflight = device[0].inflightCount();
          if (inflight > 0 && operand % 4 != 0) {
            // This life ends inside a batch; what follows, and is cut, is the life after it.
            final List<byte[]> batch =
                memory.photographed(
                    () -> device[0].complete(1 + operand % inflight, operand / inflight));
            memory.set(batch.get(operand % batch.size()));
          }
          driver.pollUsed();
          device[0] = queue.newDevice(memory);
          final int expected = fetched;
          cut(
              memory.photographed(
                  () -> driver.checkRecovered(device[0].start(), expected, expected)),
              driver,
              fetched,
              fetched);
        }
      }
    }
    finish(driver, device[0], 1);
  }

  private void renewRegion(final Driver driver, final Device[] device, final int fetched) {
    while (device[0].inflightCount() > 0) {
      device[0].complete(device[0].inflightCount(), 1);
    }
    driver.pollUsed();
    queue.renewRegion(memory, device[0]);
    // The ring goes on being used: these wait when the new region is made.
    driver.post(fetched);
    driver.post(fetched + 1);
    device[0] = queue.newDevice(memory);
    cut(
        memory.photographed(() -> driver.checkRecovered(device[0].start(), fetched, fetched)),
        driver,
        fetched,
        fetched);
  }

  private void cut(
      final List<byte[]> photographs,
      final Driver driver,
      final int fetchedMin,
      final int fetchedMax) {
    for (int i = 0; i < photographs.size(); i++) {
      crash(photographs.get(i), driver, fetchedMin, fetchedMax, 0, i);
    }
  }

  /** The crash left these bytes. Once with a driver that waits, once with one that goes on. */
  private void crash(
      final byte[] left,
      final Driver driverThen,
      final int fetchedMin,
      final int fetchedMax,
      final int depth,
      final int choice) {
    for (int busy = 0; busy < 2; busy++) {
      cutCount++;
      final TestMemory afterlife = afterlives[2 * depth + busy];
      afterlife.set(left);
      final Driver driver = driverThen.on(afterlife);
      driver.pollUsed();
      int post = choice;
      while (busy != 0 && driver.post(post)) {
        post += 3;
      }
      final Device device = queue.newDevice(afterlife);
      final int[] fetched = new int[1];
      final List<byte[]> photographs =
          afterlife.photographed(
              () -> fetched[0] = driver.checkRecovered(device.start(), fetchedMin, fetchedMax));
      if (depth < DEPTH_MAX) {
        for (int i = 0; i < photographs.size(); i++) {
          crash(photographs.get(i), driver, fetched[0], fetched[0], depth + 1, choice + i);
        }
      }
      finish(driver, device, choice);
    }
  }

  /** After the last crash everything must come to its end, and the queue must still be whole. */
  private static void finish(final Driver driver, final Device device, final int seed) {
    int choice = seed;
    for (int round = 0; round < 2; round++) {
      int steps = 0;
      driver.pollUsed();
      while (!driver.isAllCompleted()) {
        assertTrue(steps++ < STEP_LIMIT, "a request was lost");
        while (device.fetch()) {
          choice = choice * 31 + 7;
        }
        final int inflight = device.inflightCount();
        assertTrue(inflight > 0, "a request was lost");
        choice = Math.abs(choice * 31 + 7) & 0xFFFFFF;
        device.complete(1 + choice % inflight, choice / 8);
        driver.pollUsed();
      }
      assertEquals(0, device.inflightCount());
      device.checkIdle();
      while (driver.post(choice)) {
        choice += 5;
      }
    }
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
