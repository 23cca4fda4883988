package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.virtio.AvailRing;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDescriptor;
import io.virtnvme.ipc.virtio.SplitDescriptor;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Each rule that a guest can break, by name. */
class HostileGuestTest {
  private static final int QUEUE_SIZE = 16;
  private static final long NOWHERE = 0xDEAD_0000_0000L;
  private static final int INDIRECT = SplitDescriptor.FLAG_INDIRECT;
  private static final int NEXT = SplitDescriptor.FLAG_NEXT;
  private static final int WRITE = SplitDescriptor.FLAG_WRITE;

  private static Rig split() {
    return Layout.SPLIT.started(QUEUE_SIZE, new TestDisk(1 << 20, 512));
  }

  private static void descriptor(
      final Rig rig,
      final int index,
      final long address,
      final int length,
      final int flags,
      final int next) {
    put(rig.descriptors() + 16L * index, address, length, flags, next);
  }

  private static void put(
      final long at, final long address, final int length, final int flags, final int next) {
    Mem.putLong(at, address);
    Mem.putLong(at + 8, SplitDescriptor.word(length, flags, next));
  }

  private static void offer(final Rig rig, final int index, final int head) {
    Mem.putShort(rig.setup.availAddress() + AvailRing.RING_OFFSET + 2L * index, (short) head);
    Mem.putShort(rig.setup.availAddress() + AvailRing.INDEX_OFFSET, (short) (index + 1));
  }

  private static void assertBroken(final Rig rig, final String reason) {
    rig.agent.poll(QUEUE_SIZE);
    rig.agent.flush();
    assertTrue(rig.agent.isBroken());
    assertTrue(rig.agent.brokenReason().contains(reason), rig.agent.brokenReason());
    assertTrue(rig.counter(QueueCounter.GUEST_FAULTS) > 0);
    assertEquals(0, rig.agent.inFlightCount());
    assertEquals(0, rig.agent.poll(QUEUE_SIZE));
    assertFalse(rig.agent.armKicks());
    assertTrue(rig.guardsHold());
  }

  @Test
  void shouldBreakWhenTheAvailIndexJumps() {
    try (Rig rig = split()) {
      Mem.putShort(rig.setup.availAddress() + AvailRing.INDEX_OFFSET, (short) (QUEUE_SIZE + 1));
      assertBroken(rig, "pending=17 queueSize=16");
    }
  }

  @Test
  void shouldBreakWhenTheAvailIndexGoesBack() {
    try (Rig rig = split()) {
      assertEquals(BlkRequest.STATUS_OK, rig.read(0, 0, 512));
      Mem.putShort(rig.setup.availAddress() + AvailRing.INDEX_OFFSET, (short) 0);
      assertBroken(rig, "pending=65535");
    }
  }

  @Test
  void shouldBreakOnAHeadOutsideTheTable() {
    try (Rig rig = split()) {
      offer(rig, 0, QUEUE_SIZE);
      assertBroken(rig, "head=16 queueSize=16");
    }
  }

  @Test
  void shouldBreakOnAHeadThatIsInFlight() {
    try (Rig rig = split()) {
      rig.disk.asynchronous(8);
      final int token = rig.driver.begin(BlkRequest.TYPE_FLUSH, 0);
      rig.driver.add();
      rig.driver.publish();
      rig.agent.poll(1);
      offer(rig, 1, 0);
      rig.agent.poll(1);
      assertTrue(rig.agent.isBroken());
      assertTrue(rig.agent.brokenReason().contains("head=0"), rig.agent.brokenReason());
      // What runs is completed all the same.
      assertEquals(1, rig.agent.inFlightCount());
      rig.disk.finish(new Random(1), rig.agent, 0);
      assertEquals(1, rig.agent.flush());
      assertEquals(token, rig.driver.poll());
      assertEquals(0, rig.agent.inFlightCount());
    }
  }

  @Test
  void shouldBreakOnALoop() {
    try (Rig rig = split()) {
      descriptor(rig, 0, rig.guestData, 16, NEXT, 1);
      descriptor(rig, 1, rig.guestData, 16, NEXT, 0);
      offer(rig, 0, 0);
      assertBroken(rig, "loop");
    }
  }

  @Test
  void shouldBreakOnALinkOutsideTheTable() {
    try (Rig rig = split()) {
      descriptor(rig, 0, rig.guestData, 16, NEXT, 16);
      offer(rig, 0, 0);
      assertBroken(rig, "next=16 entries=16");
    }
  }

  @Test
  void shouldBreakWithoutStatusByte() {
    try (Rig rig = split()) {
      descriptor(rig, 0, rig.guestData, 16, 0, 0);
      offer(rig, 0, 0);
      assertBroken(rig, "no status byte");
    }
  }

  @Test
  void shouldBreakWhenTheStatusByteIsOutsideMemory() {
    try (Rig rig = split()) {
      descriptor(rig, 0, rig.guestData, 16, NEXT, 1);
      descriptor(rig, 1, NOWHERE, 1, WRITE, 0);
      offer(rig, 0, 0);
      assertBroken(rig, "no status byte");
    }
  }

  @Test
  void shouldBreakAgainAfterATakeover() {
    try (Rig rig = split()) {
      descriptor(rig, 0, rig.guestData, 16, 0, 0);
      offer(rig, 0, 0);
      assertBroken(rig, "no status byte");
      rig.dropAgent();
      assertEquals(1, rig.startAgent());
      assertTrue(rig.agent.isBroken());
      assertEquals(0, rig.agent.inFlightCount());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldFailRequestsWithBadBuffers(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, new TestDisk(1 << 20, 512))) {
      assertEquals(BlkRequest.STATUS_IOERR, badBuffer(rig, NOWHERE, 512, true));
      assertEquals(BlkRequest.STATUS_IOERR, badBuffer(rig, -1, 512, true));
      assertEquals(BlkRequest.STATUS_IOERR, badBuffer(rig, -512, 512, false));
      assertEquals(BlkRequest.STATUS_IOERR, badBuffer(rig, rig.guestData, 0, false));
      assertEquals(BlkRequest.STATUS_IOERR, badBuffer(rig, rig.guestData, -512, true));
      assertEquals(
          BlkRequest.STATUS_IOERR,
          badBuffer(rig, rig.guestData + 2 * Rig.DATA_BYTES - 256, 512, true));
      assertEquals(6, rig.counter(QueueCounter.GUEST_FAULTS));
      assertEquals(6, rig.counter(QueueCounter.ERRORS));
      assertEquals(0, rig.disk.submitCount);
      assertNull(rig.agent.brokenReason());
      assertEquals(BlkRequest.STATUS_OK, rig.read(0, 0, 512));
      assertTrue(rig.guardsHold());
    }
  }

  private static int badBuffer(
      final Rig rig, final long guestAddress, final int length, final boolean in) {
    final int token = rig.driver.begin(in ? BlkRequest.TYPE_IN : BlkRequest.TYPE_OUT, 0);
    rig.driver.data(guestAddress, length, in);
    rig.driver.add();
    return rig.complete(token);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldFailRequestsInTheWrongOrder(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, new TestDisk(1 << 20, 512))) {
      final int token = rig.driver.begin(BlkRequest.TYPE_OUT, 0);
      rig.driver.data(rig.guestData, 512, true);
      rig.driver.data(rig.guestData + 512, 512, false);
      rig.driver.add();
      assertEquals(BlkRequest.STATUS_IOERR, rig.complete(token));
      assertEquals(1, rig.counter(QueueCounter.GUEST_FAULTS));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldFailRequestsWithAShortHeader(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, new TestDisk(1 << 20, 512))) {
      final int token = rig.driver.beginBare();
      rig.driver.data(rig.driver.headerGuestAddress(token), 15, false);
      rig.driver.data(rig.driver.statusGuestAddress(token), 1, true);
      rig.driver.addBare();
      assertEquals(BlkRequest.STATUS_IOERR, rig.complete(token));
      assertFalse(rig.agent.isBroken());
    }
  }

  private static Rig splitIndirect() {
    return Layout.SPLIT_INDIRECT.started(QUEUE_SIZE, new TestDisk(1 << 20, 512));
  }

  /** A FLUSH in a table of three; entry {@code bad} gets another flag. */
  private static void flushTable(final Rig rig, final int bad, final int flag) {
    final long table = rig.memory.translate(rig.guestData + 4096, 48);
    Mem.putInt(rig.memory.translate(rig.guestData, 16), BlkRequest.TYPE_FLUSH);
    for (int i = 0; i < 3; i++) {
      final int flags = (i < 2 ? NEXT : WRITE) | (i == bad ? flag : 0);
      put(
          table + 16L * i,
          rig.guestData + (i == 2 ? 100 : 8L * i),
          i == 2 ? 1 : 8,
          flags,
          i < 2 ? i + 1 : 0);
    }
  }

  @Test
  void shouldTakeAChainThatEndsInATable() {
    try (Rig rig = splitIndirect()) {
      // 2.7.5.3.2: zero or more normal descriptors, then one indirect. Eight bytes of header in
      // front of the table's first entry.
      Mem.putInt(rig.memory.translate(rig.guestData, 16), BlkRequest.TYPE_FLUSH);
      descriptor(rig, 0, rig.guestData, 8, NEXT, 1);
      descriptor(rig, 1, rig.guestData + 4096, 32, INDIRECT | WRITE, 0);
      final long table = rig.memory.translate(rig.guestData + 4096, 32);
      put(table, rig.guestData + 8, 8, NEXT, 1);
      put(table + 16, rig.guestData + 100, 1, WRITE, 0);
      Mem.putByte(rig.memory.translate(rig.guestData + 100, 1), (byte) 0xFF);
      offer(rig, 0, 0);
      rig.agent.poll(1);
      rig.agent.flush();
      assertEquals(BlkRequest.STATUS_OK, rig.guestBytes(100, 1)[0]);
    }
  }

  @Test
  void shouldFailATableInsideATable() {
    try (Rig rig = splitIndirect()) {
      flushTable(rig, 1, INDIRECT);
      descriptor(rig, 0, rig.guestData + 4096, 48, INDIRECT, 0);
      offer(rig, 0, 0);
      rig.agent.poll(1);
      rig.agent.flush();
      assertEquals(BlkRequest.STATUS_IOERR, rig.guestBytes(100, 1)[0]);
      assertFalse(rig.agent.isBroken());
    }
  }

  @Test
  void shouldFailATableThatIsNotTheEndOfTheChain() {
    try (Rig rig = splitIndirect()) {
      flushTable(rig, -1, 0);
      descriptor(rig, 0, rig.guestData + 4096, 48, INDIRECT | NEXT, 1);
      offer(rig, 0, 0);
      rig.agent.poll(1);
      rig.agent.flush();
      assertEquals(BlkRequest.STATUS_IOERR, rig.guestBytes(100, 1)[0]);
    }
  }

  @Test
  void shouldFailATableThatWasNotNegotiated() {
    try (Rig rig = split()) {
      flushTable(rig, -1, 0);
      descriptor(rig, 0, rig.guestData + 4096, 48, INDIRECT, 0);
      offer(rig, 0, 0);
      rig.agent.poll(1);
      rig.agent.flush();
      assertEquals(BlkRequest.STATUS_IOERR, rig.guestBytes(100, 1)[0]);
    }
  }

  @Test
  void shouldBreakOnBadTables() {
    for (final int length : new int[] {0, 15, 47, 49, 1}) {
      try (Rig rig = splitIndirect()) {
        flushTable(rig, -1, 0);
        descriptor(rig, 0, rig.guestData + 4096, length, INDIRECT, 0);
        offer(rig, 0, 0);
        assertBroken(rig, "wrong length: bytes=" + length);
      }
    }
    try (Rig rig = splitIndirect()) {
      descriptor(rig, 0, NOWHERE, 48, INDIRECT, 0);
      offer(rig, 0, 0);
      assertBroken(rig, "address=0xdead00000000");
    }
    try (Rig rig = splitIndirect()) {
      flushTable(rig, -1, 0);
      descriptor(rig, 0, rig.guestData + 4096, 32, INDIRECT, 0);
      offer(rig, 0, 0);
      assertBroken(rig, "next=2 entries=2");
    }
    try (Rig rig = splitIndirect()) {
      put(rig.memory.translate(rig.guestData + 4096, 16), rig.guestData, 16, NEXT, 0);
      descriptor(rig, 0, rig.guestData + 4096, 16, INDIRECT, 0);
      offer(rig, 0, 0);
      assertBroken(rig, "loop");
    }
  }

  @Test
  void shouldReadATableOverTheBorderOfTwoRegions() {
    try (Rig rig = splitIndirect()) {
      Mem.putInt(rig.memory.translate(rig.guestData, 16), BlkRequest.TYPE_FLUSH);
      final long border = rig.guestData + Rig.DATA_BYTES;
      put(rig.memory.translate(border - 16, 16), rig.guestData, 16, NEXT, 1);
      put(rig.memory.translate(border, 16), rig.guestData + 100, 1, WRITE, 0);
      Mem.putByte(rig.memory.translate(rig.guestData + 100, 1), (byte) 0xFF);
      descriptor(rig, 0, border - 16, 32, INDIRECT, 0);
      offer(rig, 0, 0);
      rig.agent.poll(1);
      rig.agent.flush();
      assertEquals(BlkRequest.STATUS_OK, rig.guestBytes(100, 1)[0]);
    }
  }

  @Test
  void shouldBreakAPackedRingThatOverrunsItself() {
    try (Rig rig = Layout.PACKED.started(QUEUE_SIZE, new TestDisk(1 << 20, 512))) {
      for (int i = 0; i < QUEUE_SIZE; i++) {
        final long at = rig.descriptors() + 16L * i;
        Mem.putLong(at, rig.guestData);
        Mem.putLong(
            at + 8,
            PackedDescriptor.word(
                16, 0, PackedDescriptor.FLAG_NEXT | PackedDescriptor.availFlags(true)));
      }
      assertBroken(rig, "more descriptors");
    }
  }

  @Test
  void shouldFailAPackedTableThatIsTooLong() {
    try (Rig rig =
        Rig.started(
            true,
            QUEUE_SIZE,
            VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC),
            new TestDisk(1 << 20, 512))) {
      final int entries = 30_000;
      final long status = rig.guestData + 600_000;
      for (int i = 0; i < entries; i++) {
        final long at = rig.memory.translate(rig.guestData + 16L * i, 16);
        Mem.putLong(at, status);
        Mem.putLong(
            at + 8,
            PackedDescriptor.word(1, 0, i == entries - 1 ? PackedDescriptor.FLAG_WRITE : 0));
      }
      Mem.putLong(rig.descriptors(), rig.guestData);
      Mem.putLong(
          rig.descriptors() + 8,
          PackedDescriptor.word(
              16 * entries, 5, PackedDescriptor.FLAG_INDIRECT | PackedDescriptor.availFlags(true)));
      rig.agent.poll(1);
      rig.agent.flush();
      assertEquals(BlkRequest.STATUS_IOERR, rig.guestBytes(600_000, 1)[0]);
      assertFalse(rig.agent.isBroken());
      final long word = Mem.getLong(rig.descriptors() + 8);
      assertEquals(5, PackedDescriptor.id(word));
      assertTrue(PackedDescriptor.isUsed(PackedDescriptor.flags(word), true));
    }
  }

  @Test
  void shouldRefuseAJournalOfAnotherSize() {
    try (Rig rig = split()) {
      Mem.putShort(rig.journal + 10, (short) 32);
      rig.dropAgent();
      assertEquals(0, rig.startAgent());
      assertTrue(rig.agent.brokenReason().contains("desc_num=32"), rig.agent.brokenReason());
      assertEquals(0, rig.agent.poll(8));
    }
  }

  @Test
  void shouldRefuseAPackedBaseOutsideTheRing() {
    try (Rig rig = new Rig(true, QUEUE_SIZE, 0, new TestDisk(1 << 20, 512))) {
      rig.setup = rig.newSetup(-1, null, -1, 0x8010_8010, false);
      rig.startAgent();
      assertTrue(rig.agent.brokenReason().contains("index=16"), rig.agent.brokenReason());
      assertEquals(DriverQueue.NONE, rig.driver.poll());
    }
  }
}
