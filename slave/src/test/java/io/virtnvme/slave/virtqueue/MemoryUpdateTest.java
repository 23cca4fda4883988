package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Dirty logging, and memory maps that change under a running ring. */
class MemoryUpdateTest {
  private static final int LOG_BYTES = 1 << 10;

  private static TestDisk disk() {
    return new TestDisk(1 << 20, 512);
  }

  private static BitSet takePages(final long logAddress) {
    final byte[] bytes = new byte[LOG_BYTES];
    Mem.copyOut(logAddress, bytes, 0, LOG_BYTES);
    Mem.fill(logAddress, LOG_BYTES, (byte) 0);
    return BitSet.valueOf(bytes);
  }

  private static int page(final long guestAddress) {
    return (int) (guestAddress >>> 12);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldLogWhatItWrites(final Layout layout) {
    final long bitmap = Mem.allocate(LOG_BYTES);
    try (Rig rig = layout.started(64, disk())) {
      rig.read(0, 0, 4096);
      assertTrue(takePages(bitmap).isEmpty());
      rig.agent.update(
          rig.memory,
          new DirtyLog(bitmap, LOG_BYTES),
          rig.features | VirtioFeature.of(VirtioFeature.LOG_ALL));
      rig.read(0, 4096 + 100, 8192);
      final BitSet pages = takePages(bitmap);
      for (int i = 1; i <= 3; i++) {
        assertTrue(pages.get(page(rig.guestData + i * 4096L)), "data page " + i);
      }
      assertFalse(pages.get(page(rig.guestData)));
      assertFalse(pages.get(page(rig.guestData + 4 * 4096L)));
      assertTrue(pages.get(page(rig.driver.statusGuestAddress(0))));
      if (layout.packed) {
        assertTrue(pages.get(page(rig.driver.descriptorGuestAddress())));
      }
      rig.write(0, 40960, 4096);
      assertFalse(takePages(bitmap).get(page(rig.guestData + 40960)));
      rig.agent.update(rig.memory, new DirtyLog(bitmap, LOG_BYTES), rig.features);
      rig.read(0, 0, 4096);
      assertTrue(takePages(bitmap).isEmpty());
    } finally {
      Mem.free(bitmap);
    }
  }

  @Test
  void shouldLogTheUsedRingUnderItsLogAddress() {
    final long bitmap = Mem.allocate(LOG_BYTES);
    try (Rig rig = new Rig(false, 64, VirtioFeature.of(VirtioFeature.LOG_ALL), disk())) {
      rig.setup = rig.newSetup(0x5000, new DirtyLog(bitmap, LOG_BYTES), -1, 0, false);
      rig.startAgent();
      takePages(bitmap);
      rig.write(0, 0, 512);
      assertTrue(takePages(bitmap).get(5));
    } finally {
      Mem.free(bitmap);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldLogARunningReadWhenLoggingStartsMeanwhile(final Layout layout) {
    final long bitmap = Mem.allocate(LOG_BYTES);
    try (Rig rig = layout.started(64, disk())) {
      rig.disk.asynchronous(8);
      rig.driver.begin(BlkRequest.TYPE_IN, 0);
      rig.driver.data(rig.guestData + 8192, 512, true);
      rig.driver.add();
      rig.driver.publish();
      rig.agent.poll(8);
      rig.agent.update(
          rig.memory,
          new DirtyLog(bitmap, LOG_BYTES),
          rig.features | VirtioFeature.of(VirtioFeature.LOG_ALL));
      assertFalse(rig.agent.usesPreviousMemory(), "the map is the same");
      rig.disk.finish(new Random(1), rig.agent, 0);
      rig.agent.flush();
      assertTrue(takePages(bitmap).get(page(rig.guestData + 8192)));
    } finally {
      Mem.free(bitmap);
    }
  }

  @Test
  void shouldIgnorePagesOutsideTheLog() {
    final long bitmap = Mem.allocate(16);
    final DirtyLog log = new DirtyLog(bitmap, 8);
    log.mark(63 * 4096, 4097);
    assertEquals(Long.MIN_VALUE, Mem.getLong(bitmap));
    assertEquals(0, Mem.getLong(bitmap + 8));
    log.mark(-1, 10);
    log.mark(0, -5);
    log.mark(1L << 60, 1L << 50);
    assertEquals(0, Mem.getLong(bitmap + 8));
    log.mark(4095, 2);
    assertEquals(Long.MIN_VALUE | 3, Mem.getLong(bitmap));
    Mem.free(bitmap);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldTellWhenTheOldMapIsOutOfUse(final Layout layout) {
    try (Rig rig = layout.started(64, disk())) {
      rig.disk.asynchronous(1);
      for (int i = 0; i < 2; i++) {
        rig.driver.begin(BlkRequest.TYPE_IN, i);
        rig.driver.data(rig.guestData + 4096L * i, 512, true);
        rig.driver.add();
      }
      rig.driver.publish();
      rig.agent.poll(8);
      assertEquals(1, rig.agent.heldByChannelCount());
      final GuestMemory same = GuestMemory.of(rig.memory.regions());
      rig.agent.update(same, null, rig.features);
      assertTrue(rig.agent.usesPreviousMemory());
      rig.disk.room(2);
      rig.agent.poll(8);
      assertEquals(2, rig.agent.heldByChannelCount());
      while (rig.disk.heldCount() > 0) {
        rig.disk.finish(new Random(1), rig.agent, 0);
      }
      assertFalse(rig.agent.usesPreviousMemory());
      rig.agent.flush();
      assertEquals(2, rig.reapAll());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldMoveTheRingWithTheMap(final Layout layout) {
    try (Rig rig = layout.started(64, disk())) {
      rig.write(0, 0, 512);
      final MemoryRegion first = rig.memory.regions().get(0);
      final long copy = Mem.allocate(first.lengthBytes());
      try {
        // The same guest address lies elsewhere now; the driver goes on at the old place, so it is
        // copied back and forth.
        Mem.copy(first.hostAddress(), copy, first.lengthBytes());
        final GuestMemory moved =
            GuestMemory.of(
                List.of(
                    new MemoryRegion(
                        first.guestAddress(),
                        first.userAddress(),
                        first.lengthBytes(),
                        copy,
                        -1,
                        0)));
        rig.disk.guestMemory(moved);
        rig.agent.update(moved, null, rig.features);
        assertFalse(rig.agent.isBroken());
        final int token = rig.driver.begin(BlkRequest.TYPE_FLUSH, 0);
        rig.driver.add();
        rig.driver.publish();
        Mem.copy(first.hostAddress(), copy, first.lengthBytes());
        rig.agent.poll(1);
        assertEquals(1, rig.agent.flush());
        Mem.copy(copy, first.hostAddress(), first.lengthBytes());
        assertEquals(token, rig.driver.poll());
        assertEquals(BlkRequest.STATUS_OK, rig.driver.status(token));
        rig.agent.update(GuestMemory.of(List.of()), null, rig.features);
        assertTrue(rig.agent.isBroken());
      } finally {
        Mem.free(copy);
      }
    }
  }
}
