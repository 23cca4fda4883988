package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.BlkRange;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Random;
import java.util.function.Consumer;

/**
 * A guest that does random things, with a model of what its disk must hold. Requests in flight
 * never touch the same sectors, so each has one right answer. It knows nothing of agents or
 * journals: it judges by what the guest may expect.
 */
final class Workload {
  static final int DISK_BYTES = 256 << 10;

  private static final int SECTOR_BYTES = 512;
  private static final int SECTORS = DISK_BYTES / SECTOR_BYTES;
  private static final int BUFFER_BYTES = 16384;
  private static final int SECTORS_MAX = 12;

  private static final class Expected {
    int type;
    int sector;
    int count;
    byte[] data;
    long bufferOffset;
    int status;
  }

  private final Rig rig;
  private final Random random;
  private final byte[] model = new byte[DISK_BYTES];
  private final BitSet busy = new BitSet(SECTORS);
  private final Expected[] expected;
  long completedCount;

  Workload(final Rig rig, final Random random) {
    this.rig = rig;
    this.random = random;
    this.expected = new Expected[rig.queueSize];
  }

  /**
   * One random action of guest, agent or disk; {@code guarded} runs what belongs to the back-end.
   */
  void step(final Consumer<Runnable> guarded) {
    switch (random.nextInt(8)) {
      case 0, 1, 2 -> {
        final int count = 1 + random.nextInt(4);
        for (int i = 0; i < count; i++) {
          submit();
        }
        if (random.nextInt(4) > 0) {
          rig.driver.publish();
        }
      }
      case 3, 4 -> {
        final int limit = random.nextInt(6);
        guarded.accept(() -> rig.agent.poll(limit));
      }
      case 5 -> {
        final int count = Math.min(rig.disk.heldCount(), 1 + random.nextInt(4));
        for (int i = 0; i < count; i++) {
          guarded.accept(this::finishOne);
        }
      }
      case 6 -> guarded.accept(() -> rig.agent.flush());
      default -> {
        reap();
        guarded.accept(
            () -> {
              if (rig.agent.armKicks()) {
                rig.agent.disarmKicks();
              }
            });
      }
    }
  }

  private void finishOne() {
    if (rig.disk.heldCount() > 0) {
      rig.disk.finish(random, rig.agent, 0);
    }
  }

  private void submit() {
    final Expected request = new Expected();
    request.type = randomType();
    if (!chooseRange(request)) {
      return;
    }
    rig.driver.useIndirect(rig.agent.indirectOffered && random.nextBoolean());
    final int token = rig.driver.begin(request.type, request.sector);
    if (token == DriverQueue.NONE) {
      return;
    }
    // Buffers overlap neither each other nor the border between the guest's two regions, except
    // token 1's, which lies on it.
    request.bufferOffset = Rig.DATA_BYTES + (token - 1L) * BUFFER_BYTES - 5000 + random.nextInt(64);
    fillBuffer(request);
    addData(request);
    if (!rig.driver.add()) {
      return;
    }
    expected[token] = request;
    if (request.count > 0) {
      busy.set(request.sector, request.sector + request.count);
    }
  }

  private int randomType() {
    return switch (random.nextInt(16)) {
      case 0 -> BlkRequest.TYPE_FLUSH;
      case 1 -> BlkRequest.TYPE_GET_ID;
      case 2 -> BlkRequest.TYPE_DISCARD;
      case 3 -> BlkRequest.TYPE_WRITE_ZEROES;
      case 4 -> 99;
      case 5, 6, 7, 8, 9 -> BlkRequest.TYPE_IN;
      default -> BlkRequest.TYPE_OUT;
    };
  }

  private boolean chooseRange(final Expected request) {
    switch (request.type) {
      case BlkRequest.TYPE_IN,
          BlkRequest.TYPE_OUT,
          BlkRequest.TYPE_DISCARD,
          BlkRequest.TYPE_WRITE_ZEROES -> {
        request.count = 1 + random.nextInt(SECTORS_MAX);
        request.sector = random.nextInt(SECTORS - request.count);
        return busy.get(request.sector, request.sector + request.count).isEmpty();
      }
      default -> {
        request.status = request.type == 99 ? BlkRequest.STATUS_UNSUPP : BlkRequest.STATUS_OK;
        return true;
      }
    }
  }

  private void fillBuffer(final Expected request) {
    final int bytes = request.count * SECTOR_BYTES;
    final int start = request.sector * SECTOR_BYTES;
    switch (request.type) {
      case BlkRequest.TYPE_IN -> {
        request.data = Arrays.copyOfRange(model, start, start + bytes);
        rig.guestBytes(request.bufferOffset, Rig.randomBytes(random, bytes));
      }
      case BlkRequest.TYPE_OUT -> {
        request.data = Rig.randomBytes(random, bytes);
        rig.guestBytes(request.bufferOffset, request.data);
      }
      case BlkRequest.TYPE_DISCARD, BlkRequest.TYPE_WRITE_ZEROES -> {
        request.data = new byte[bytes];
        final byte[] range = new byte[BlkRange.LENGTH];
        final java.nio.ByteBuffer buffer =
            java.nio.ByteBuffer.wrap(range).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        buffer.putLong(BlkRange.SECTOR_OFFSET, request.sector);
        buffer.putInt(BlkRange.NUM_SECTORS_OFFSET, request.count);
        rig.guestBytes(request.bufferOffset, range);
      }
      case BlkRequest.TYPE_GET_ID -> request.data = Arrays.copyOf(Rig.SERIAL, 20);
      default -> {}
    }
  }

  private void addData(final Expected request) {
    final long address = rig.guestData + request.bufferOffset;
    switch (request.type) {
      case BlkRequest.TYPE_IN -> addSegments(address, request.data.length, true);
      case BlkRequest.TYPE_OUT -> addSegments(address, request.data.length, false);
      case BlkRequest.TYPE_DISCARD, BlkRequest.TYPE_WRITE_ZEROES ->
          addSegments(address, BlkRange.LENGTH, false);
      case BlkRequest.TYPE_GET_ID -> addSegments(address, 20, true);
      default -> {}
    }
  }

  /** Cuts a buffer at random places, odd ones too. */
  private void addSegments(final long guestAddress, final int lengthBytes, final boolean in) {
    int offset = 0;
    while (offset < lengthBytes) {
      final int left = lengthBytes - offset;
      final int length = random.nextInt(3) == 0 ? 1 + random.nextInt(left) : left;
      rig.driver.data(guestAddress + offset, length, in);
      offset += length;
    }
  }

  /** Takes what is completed and judges it. */
  void reap() {
    for (int token = rig.driver.poll(); token != DriverQueue.NONE; token = rig.driver.poll()) {
      final Expected request = expected[token];
      assertEquals(request.status, rig.driver.status(token), "type=" + request.type);
      judge(request);
      if (request.count > 0) {
        busy.clear(request.sector, request.sector + request.count);
      }
      expected[token] = null;
      rig.driver.reclaim(token);
      completedCount++;
    }
    assertEquals(0, rig.driver.faultCount(), "completions that no request explains");
  }

  private void judge(final Expected request) {
    switch (request.type) {
      case BlkRequest.TYPE_IN, BlkRequest.TYPE_GET_ID ->
          assertArrayEquals(
              request.data, rig.guestBytes(request.bufferOffset, request.data.length));
      case BlkRequest.TYPE_OUT, BlkRequest.TYPE_DISCARD, BlkRequest.TYPE_WRITE_ZEROES -> {
        System.arraycopy(
            request.data, 0, model, request.sector * SECTOR_BYTES, request.data.length);
        assertArrayEquals(
            request.data,
            rig.disk.bytes((long) request.sector * SECTOR_BYTES, request.data.length));
      }
      default -> {}
    }
  }

  /** Lets everything end, then compares the whole disk. */
  void drain() {
    rig.driver.publish();
    for (int i = 0; i < 1000 && (rig.driver.inFlightCount() > 0 || i < 3); i++) {
      rig.agent.poll(8);
      while (rig.disk.heldCount() > 0) {
        rig.disk.finish(random, rig.agent, 0);
      }
      rig.agent.flush();
      reap();
    }
    assertFalse(rig.agent.isBroken(), rig.agent.brokenReason());
    assertEquals(0, rig.driver.inFlightCount(), "requests lost");
    assertEquals(0, rig.agent.inFlightCount());
    assertEquals(0, rig.disk.heldCount());
    assertArrayEquals(model, rig.disk.bytes(0, DISK_BYTES));
    assertTrue(rig.guardsHold());
    assertEquals(0, Mem.getLong(rig.counters + 8 * 10), "guest faults");
  }
}
