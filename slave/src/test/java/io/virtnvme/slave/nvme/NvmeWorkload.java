package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/**
 * A driver that submits random commands and judges what comes back: each is completed once, with
 * the status that it deserves; what was acknowledged is on the disk; what is read is what was
 * acknowledged. Commands in flight never touch the same blocks, so each answer is certain.
 */
final class NvmeWorkload {
  static final int DISK_BYTES = 64 * 1024;

  private static final int BLOCK = 512;
  private static final int AREA_BLOCKS = 8;
  private static final int AREAS = DISK_BYTES / BLOCK / AREA_BLOCKS;

  /** What a command is to do, and where. */
  @SuppressWarnings("ArrayRecordComponent") // nobody compares them
  private record Expected(
      int opcode, int area, int first, int count, long data, byte[] bytes, int status) {}

  private final NvmeRig rig;
  private final Random random;
  private final byte[] acknowledged = new byte[DISK_BYTES];
  private final Map<Integer, Expected> inFlight = new HashMap<>();
  private final boolean[] areaBusy = new boolean[AREAS];
  private final List<Long> freeBuffers = new ArrayList<>();
  private final int[] outstanding;
  private final int[] freeEntries;
  private int nextId;
  int completedCount;

  NvmeWorkload(final NvmeRig rig, final Random random) {
    this.rig = rig;
    this.random = random;
    this.outstanding = new int[rig.queues.length];
    this.freeEntries = new int[rig.queues.length];
    for (int i = 0; i < freeEntries.length; i++) {
      freeEntries[i] = rig.queues[i].size - 1;
    }
    for (int i = 0; i < AREAS; i++) {
      // Some cross the border between the two regions, and pages of course.
      freeBuffers.add(rig.guestData + i * 8192L + 100);
    }
    freeBuffers.set(0, rig.guestData + NvmeRig.DATA_BYTES - 4096);
  }

  /** One step: the driver does something, or the controller ({@code guarded} runs that). */
  void step(final Consumer<Runnable> guarded) {
    switch (random.nextInt(6)) {
      case 0, 1 -> submit();
      case 2 -> reap(1 + random.nextInt(4));
      case 3 -> finishSome(guarded);
      default ->
          guarded.accept(
              () -> {
                rig.agent.poll(1, 1 + random.nextInt(8));
                rig.agent.flush();
              });
    }
  }

  private void finishSome(final Consumer<Runnable> guarded) {
    if (rig.disk.heldCount() > 0) {
      guarded.accept(() -> rig.disk.finish(random, rig.agent, 0));
    }
  }

  private void submit() {
    final int index = random.nextInt(rig.queues.length);
    final TestQueue queue = rig.queues[index];
    for (int i = random.nextInt(3); i >= 0 && freeEntries[index] > 0; i--) {
      final int area = random.nextInt(AREAS);
      if (!areaBusy[area] && !freeBuffers.isEmpty()) {
        queue.add(command(area));
        freeEntries[index]--;
        outstanding[index]++;
      }
    }
    queue.ring();
  }

  private TestCommand command(final int area) {
    final int[] opcodes = {0, 1, 1, 1, 2, 2, 2, 5, 8, 9, 12, 0x77};
    final int opcode = opcodes[random.nextInt(opcodes.length)];
    final int first = random.nextInt(AREA_BLOCKS);
    final int count = 1 + random.nextInt(AREA_BLOCKS - first);
    final long data = freeBuffers.remove(random.nextInt(freeBuffers.size()));
    final int id = nextId++ & 0xFFFF;
    final int at = (area * AREA_BLOCKS + first) * BLOCK;
    final TestCommand command = new TestCommand(opcode, id, 1);
    byte[] bytes = null;
    int status = 0;
    switch (opcode) {
      case 1 -> {
        bytes = NvmeRig.randomBytes(random, count * BLOCK);
        rig.put(data, bytes);
      }
      case 5 -> {
        bytes = java.util.Arrays.copyOfRange(acknowledged, at, at + count * BLOCK);
        if (random.nextBoolean()) {
          bytes[random.nextInt(bytes.length)] ^= 1;
          status = 0x285;
        }
        rig.put(data, bytes);
      }
      case 9 -> {
        rig.putLong(data, (long) count << 32);
        rig.putLong(data + 8, area * AREA_BLOCKS + first);
      }
      case 0x77 -> status = 0x4001;
      default -> {}
    }
    areaBusy[area] = true;
    inFlight.put(id, new Expected(opcode, area, first, count, data, bytes, status));
    pointTo(command, data, count * BLOCK);
    command.blocks(area * AREA_BLOCKS + first, count);
    return opcode == 9 ? command.dword(10, 0).dword(11, 4).dword(12, 0) : command;
  }

  private void pointTo(final TestCommand command, final long data, final int bytes) {
    if (random.nextInt(3) == 0) {
      command.sgl(data, bytes, 0);
    } else {
      command.prps(data, data / NvmeRig.PAGE * NvmeRig.PAGE + NvmeRig.PAGE);
    }
  }

  private void reap(final int limit) {
    for (int i = 0; i < limit; i++) {
      final NvmeRig.Completion completion = rig.poll();
      if (completion == null) {
        return;
      }
      judge(completion);
    }
  }

  private void judge(final NvmeRig.Completion completion) {
    final Expected expected = inFlight.remove(completion.commandId());
    assertNotNull(expected, "completed twice, or never submitted: " + completion);
    assertEquals(expected.status, completion.status(), expected + " " + completion);
    final int queue = completion.queueId() - rig.queues[0].id;
    outstanding[queue]--;
    updateFree(queue, completion.sqHead());
    final int at = (expected.area * AREA_BLOCKS + expected.first) * BLOCK;
    final int bytes = expected.count * BLOCK;
    switch (expected.opcode) {
      case 1 -> System.arraycopy(expected.bytes, 0, acknowledged, at, bytes);
      case 2 ->
          assertArrayEquals(
              java.util.Arrays.copyOfRange(acknowledged, at, at + bytes),
              rig.get(expected.data, bytes),
              "read " + completion);
      case 8, 9 -> java.util.Arrays.fill(acknowledged, at, at + bytes, (byte) 0);
      default -> {}
    }
    areaBusy[expected.area] = false;
    freeBuffers.add(expected.data);
    completedCount++;
  }

  /** Entries up to the reported head are the driver's again, and it writes rubbish there. */
  private void updateFree(final int index, final int sqHead) {
    final TestQueue queue = rig.queues[index];
    final int used = (queue.tail - sqHead + queue.size) % queue.size;
    final int free = queue.size - 1 - used;
    assertTrue(free >= freeEntries[index], "the head went back: " + sqHead);
    freeEntries[index] = free;
    for (int i = 0; i < free; i++) {
      queue.scribble((queue.tail + i) % queue.size);
    }
  }

  /** Lets all end, and looks at the disk. */
  void drain() {
    for (int i = 0; i < 10_000 && !inFlight.isEmpty(); i++) {
      rig.agent.poll(1, 32);
      while (rig.disk.heldCount() > 0) {
        rig.disk.finish(random, rig.agent, 0);
      }
      rig.agent.flush();
      reap(100);
    }
    assertEquals(Map.of(), inFlight, "lost");
    for (final int left : outstanding) {
      assertEquals(0, left);
    }
    assertArrayEquals(acknowledged, rig.diskBytes(0, DISK_BYTES));
    assertEquals(0, rig.agent.inFlightCount());
    assertEquals(0, rig.reports.doorbellFaults);
    assertTrue(rig.guardsHold());
  }
}
