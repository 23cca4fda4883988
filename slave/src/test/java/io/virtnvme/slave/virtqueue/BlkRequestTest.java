package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRange;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.blk.BlkLimits;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What requests do and how they are answered (virtio 1.2, 5.2.6), on every ring layout. */
class BlkRequestTest {
  private static final int DISK_BYTES = 4 << 20;
  private static final int QUEUE_SIZE = 256;

  private static TestDisk disk() {
    return new TestDisk(DISK_BYTES, 512);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldReadBackWhatWasWritten(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      final byte[] data = Rig.randomBytes(new Random(1), 8192);
      rig.guestBytes(0, data);
      assertEquals(BlkRequest.STATUS_OK, rig.write(100, 0, data.length));
      assertArrayEquals(data, rig.disk.bytes(100 * 512, data.length));
      assertEquals(BlkRequest.STATUS_OK, rig.read(100, 65536, data.length));
      assertArrayEquals(data, rig.guestBytes(65536, data.length));
      assertEquals(1, rig.counter(QueueCounter.READ_OPS));
      assertEquals(data.length, rig.counter(QueueCounter.READ_BYTES));
      assertEquals(1, rig.counter(QueueCounter.WRITE_OPS));
      assertEquals(data.length, rig.counter(QueueCounter.WRITE_BYTES));
      assertEquals(0, rig.agent.inFlightCount());
      assertTrue(rig.guardsHold());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldSplitBuffersAtRegionBorders(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      final byte[] data = Rig.randomBytes(new Random(2), 4096);
      final long border = Rig.DATA_BYTES - 1000;
      rig.guestBytes(border, data);
      assertEquals(BlkRequest.STATUS_OK, rig.write(8, border, data.length));
      assertEquals(2, rig.disk.lastIovecCount);
      assertArrayEquals(data, rig.disk.bytes(8 * 512, data.length));
      rig.guestBytes(border, new byte[data.length]);
      assertEquals(BlkRequest.STATUS_OK, rig.read(8, border, data.length));
      assertArrayEquals(data, rig.guestBytes(border, data.length));
      assertTrue(rig.guardsHold());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldReportTheBytesWritten(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      final int token = rig.driver.begin(BlkRequest.TYPE_IN, 0);
      rig.driver.data(rig.guestData, 1024, true);
      rig.driver.add();
      assertEquals(BlkRequest.STATUS_OK, rig.complete(token));
      assertEquals(1025, rig.driver.usedLength(token));
      rig.driver.begin(BlkRequest.TYPE_OUT, 0);
      rig.driver.data(rig.guestData, 1024, false);
      rig.driver.add();
      assertEquals(BlkRequest.STATUS_OK, rig.complete(token));
      assertEquals(1, rig.driver.usedLength(token));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldTakeHeaderAndStatusInAnyFraming(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      final byte[] data = Rig.randomBytes(new Random(3), 1024);
      for (int cut = 1; cut < BlkRequest.HEADER_LENGTH; cut++) {
        // Header in three pieces, the last joined with the data.
        final long header = rig.guestData + 1000;
        writeHeader(rig, 1000, BlkRequest.TYPE_OUT, cut);
        rig.guestBytes(1016, data);
        final int token = rig.driver.beginBare();
        rig.driver.data(header, cut, false);
        if (cut < 15) {
          rig.driver.data(header + cut, 1, false);
          rig.driver.data(header + cut + 1, 15 - cut + data.length, false);
        } else {
          rig.driver.data(header + cut, 1 + data.length, false);
        }
        rig.driver.data(rig.driver.statusGuestAddress(token), 1, true);
        assertTrue(rig.driver.addBare());
        assertEquals(BlkRequest.STATUS_OK, rig.complete(token), "cut=" + cut);
        assertArrayEquals(data, rig.disk.bytes(cut * 512L, data.length), "cut=" + cut);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldTakeTheStatusAsLastByteOfTheData(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      rig.disk.fill(0, 1024, (byte) 7);
      writeHeader(rig, 0, BlkRequest.TYPE_IN, 0);
      final byte[] before = new byte[1026];
      Arrays.fill(before, (byte) 0x55);
      rig.guestBytes(100, before);
      rig.driver.beginBare();
      rig.driver.data(rig.guestData, 16, false);
      rig.driver.data(rig.guestData + 100, 1000, true);
      rig.driver.data(rig.guestData + 1100, 25, true);
      rig.driver.addBare();
      rig.driver.publish();
      rig.agent.poll(1);
      rig.agent.flush();
      final int token = rig.driver.poll();
      assertEquals(1025, rig.driver.usedLength(token));
      final byte[] after = rig.guestBytes(100, 1026);
      assertEquals(7, after[1023]);
      assertEquals(BlkRequest.STATUS_OK, after[1024]);
      assertEquals(0x55, after[1025]);
    }
  }

  private static void writeHeader(
      final Rig rig, final long offset, final int type, final long sector) {
    final long header = rig.memory.translate(rig.guestData + offset, 16);
    Mem.putInt(header, type);
    Mem.putInt(header + 4, 0);
    Mem.putLong(header + 8, sector);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldTakeAsManySegmentsAsSegMaxSays(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      final byte[] data = Rig.randomBytes(new Random(4), BlkLimits.SEG_MAX * 512);
      rig.guestBytes(0, data);
      final int token = rig.driver.begin(BlkRequest.TYPE_OUT, 5);
      for (int i = 0; i < BlkLimits.SEG_MAX; i++) {
        rig.driver.data(rig.guestData + i * 512L, 512, false);
      }
      assertTrue(rig.driver.add());
      assertEquals(BlkRequest.STATUS_OK, rig.complete(token));
      assertArrayEquals(data, rig.disk.bytes(5 * 512, data.length));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldFailRequestsWithTooManySegments(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      final int token = rig.driver.begin(BlkRequest.TYPE_OUT, 5);
      for (int i = 0; i < 137; i++) {
        rig.driver.data(rig.guestData + i * 512L, 512, false);
      }
      assertTrue(rig.driver.add());
      assertEquals(BlkRequest.STATUS_IOERR, rig.complete(token));
      assertEquals(1, rig.counter(QueueCounter.GUEST_FAULTS));
      assertEquals(1, rig.counter(QueueCounter.ERRORS));
      assertEquals(0, rig.disk.submitCount);
      assertFalse(rig.agent.isBroken());
      assertEquals(BlkRequest.STATUS_OK, rig.read(0, 0, 512));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldRefuseRangesOutsideTheDisk(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      final long sectors = DISK_BYTES / 512;
      assertEquals(BlkRequest.STATUS_OK, rig.read(sectors - 2, 0, 1024));
      assertEquals(BlkRequest.STATUS_IOERR, rig.read(sectors - 1, 0, 1024));
      assertEquals(BlkRequest.STATUS_IOERR, rig.read(sectors, 0, 512));
      assertEquals(BlkRequest.STATUS_IOERR, rig.read(-1, 0, 512));
      assertEquals(BlkRequest.STATUS_IOERR, rig.read(1L << 55, 0, 512));
      assertEquals(BlkRequest.STATUS_IOERR, rig.read((1L << 55) - 1, 0, 512));
      assertEquals(BlkRequest.STATUS_IOERR, rig.write(Long.MIN_VALUE, 0, 512));
      assertEquals(BlkRequest.STATUS_IOERR, rig.read(0, 0, 511));
      assertEquals(BlkRequest.STATUS_IOERR, rig.read(0, 0, 0));
      assertEquals(1, rig.disk.submitCount);
      rig.disk.shrinkTo(DISK_BYTES / 2);
      assertEquals(BlkRequest.STATUS_IOERR, rig.read(sectors - 2, 0, 1024));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldWantWholeBlocks(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, new TestDisk(DISK_BYTES, 4096))) {
      assertEquals(BlkRequest.STATUS_OK, rig.write(8, 0, 4096));
      assertEquals(BlkRequest.STATUS_IOERR, rig.write(8, 0, 512));
      assertEquals(BlkRequest.STATUS_IOERR, rig.write(4, 0, 4096));
      assertEquals(1, rig.disk.submitCount);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldAnswerGetIdWithTheSerial(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      assertEquals(BlkRequest.STATUS_OK, rig.request(BlkRequest.TYPE_GET_ID, 0, 0, 20, true));
      assertArrayEquals(Arrays.copyOf(Rig.SERIAL, 20), rig.guestBytes(0, 20));
      rig.guestBytes(0, new byte[20]);
      assertEquals(BlkRequest.STATUS_OK, rig.request(BlkRequest.TYPE_GET_ID, 0, 0, 4, true));
      assertArrayEquals(Arrays.copyOf(Arrays.copyOf(Rig.SERIAL, 4), 20), rig.guestBytes(0, 20));
      assertEquals(0, rig.disk.submitCount);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldFlushTheDisk(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      assertEquals(BlkRequest.STATUS_OK, rig.request(BlkRequest.TYPE_FLUSH, 0, 0, 0, false));
      assertEquals(BlockChannel.OP_FLUSH, rig.disk.lastOperation);
      assertEquals(1, rig.counter(QueueCounter.FLUSH_OPS));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldSayThatOtherTypesAreUnsupported(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      for (final int type : new int[] {2, 3, 5, 10, 14, 16, -1, Integer.MIN_VALUE}) {
        assertEquals(BlkRequest.STATUS_UNSUPP, rig.request(type, 0, 0, 512, true), "type=" + type);
      }
      assertFalse(rig.agent.isBroken());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldZeroAndDiscardRanges(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      rig.disk.fill(0, 65536, (byte) 9);
      assertEquals(BlkRequest.STATUS_OK, range(rig, BlkRequest.TYPE_WRITE_ZEROES, 8, 8, 0));
      assertEquals(0, rig.disk.lastFlags);
      assertArrayEquals(new byte[4096], rig.disk.bytes(4096, 4096));
      assertEquals(9, rig.disk.bytes(8192, 1)[0]);
      assertEquals(
          BlkRequest.STATUS_OK,
          range(rig, BlkRequest.TYPE_WRITE_ZEROES, 16, 8, BlkRange.FLAG_UNMAP));
      assertEquals(BlockChannel.FLAG_UNMAP, rig.disk.lastFlags);
      assertEquals(BlkRequest.STATUS_OK, range(rig, BlkRequest.TYPE_DISCARD, 24, 8, 0));
      assertEquals(BlockChannel.OP_UNMAP, rig.disk.lastOperation);
      assertEquals(1, rig.counter(QueueCounter.UNMAP_OPS));
      assertEquals(4096, rig.counter(QueueCounter.UNMAP_BYTES));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldRefuseBadRanges(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      final int discard = BlkRequest.TYPE_DISCARD;
      assertEquals(BlkRequest.STATUS_UNSUPP, range(rig, discard, 0, 8, BlkRange.FLAG_UNMAP));
      assertEquals(BlkRequest.STATUS_UNSUPP, range(rig, discard, 0, 8, 2));
      assertEquals(BlkRequest.STATUS_UNSUPP, range(rig, BlkRequest.TYPE_WRITE_ZEROES, 0, 8, 2));
      assertEquals(BlkRequest.STATUS_IOERR, range(rig, discard, 0, 0, 0));
      assertEquals(BlkRequest.STATUS_IOERR, range(rig, discard, 0, -1, 0));
      assertEquals(BlkRequest.STATUS_IOERR, range(rig, discard, DISK_BYTES / 512 - 4, 8, 0));
      assertEquals(BlkRequest.STATUS_IOERR, range(rig, discard, -1, 8, 0));
      assertEquals(
          BlkRequest.STATUS_IOERR,
          rig.request(BlkRequest.TYPE_DISCARD, 0, 0, BlkRange.LENGTH * 2, false));
      assertEquals(BlkRequest.STATUS_IOERR, rig.request(discard, 0, 0, 0, false));
      assertEquals(0, rig.disk.submitCount);
    }
  }

  private static int range(
      final Rig rig, final int type, final long sector, final int sectors, final int flags) {
    final long range = rig.memory.translate(rig.guestData, BlkRange.LENGTH);
    Mem.putLong(range + BlkRange.SECTOR_OFFSET, sector);
    Mem.putInt(range + BlkRange.NUM_SECTORS_OFFSET, sectors);
    Mem.putInt(range + BlkRange.FLAGS_OFFSET, flags);
    return rig.request(type, 0, 0, BlkRange.LENGTH, false);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldRefuseWritesToAReadOnlyDisk(final Layout layout) {
    try (Rig rig = new Rig(layout.packed, QUEUE_SIZE, layout.features, disk())) {
      rig.setup = rig.newSetup(-1, null, -1, rig.driver.initialBase(), true);
      rig.startAgent();
      assertEquals(BlkRequest.STATUS_OK, rig.read(0, 0, 512));
      assertEquals(BlkRequest.STATUS_IOERR, rig.write(0, 0, 512));
      assertEquals(BlkRequest.STATUS_IOERR, range(rig, BlkRequest.TYPE_DISCARD, 0, 8, 0));
      assertEquals(BlkRequest.STATUS_IOERR, range(rig, BlkRequest.TYPE_WRITE_ZEROES, 0, 8, 0));
      assertEquals(BlkRequest.STATUS_OK, rig.request(BlkRequest.TYPE_FLUSH, 0, 0, 0, false));
      assertEquals(2, rig.disk.submitCount);
    }
  }

  @Test
  void shouldMakeWritesDurableWithoutWriteCache() {
    try (Rig rig = Layout.SPLIT.started(QUEUE_SIZE, disk())) {
      rig.write(0, 0, 512);
      assertEquals(0, rig.disk.lastFlags);
      rig.agent.writeback(false);
      rig.write(0, 0, 512);
      assertEquals(BlockChannel.FLAG_DURABLE, rig.disk.lastFlags);
      range(rig, BlkRequest.TYPE_WRITE_ZEROES, 0, 8, 0);
      assertEquals(BlockChannel.FLAG_DURABLE, rig.disk.lastFlags);
      rig.read(0, 0, 512);
      assertEquals(0, rig.disk.lastFlags);
      rig.agent.writeback(true);
      rig.write(0, 0, 512);
      assertEquals(0, rig.disk.lastFlags);
    }
  }

  @Test
  void shouldMakeWritesDurableWhenFlushIsNotNegotiated() {
    try (Rig rig = new Rig(false, QUEUE_SIZE, 0, disk())) {
      final QueueSetup full = rig.setup;
      rig.setup =
          full.with(
              rig.memory,
              null,
              full.features() & ~VirtioFeature.of(BlkFeature.FLUSH, BlkFeature.DISCARD));
      rig.startAgent();
      rig.write(0, 0, 512);
      assertEquals(BlockChannel.FLAG_DURABLE, rig.disk.lastFlags);
      assertEquals(BlkRequest.STATUS_UNSUPP, range(rig, BlkRequest.TYPE_DISCARD, 0, 8, 0));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldReportTheDisksErrors(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      rig.disk.failNext(-5);
      assertEquals(BlkRequest.STATUS_IOERR, rig.read(0, 0, 512));
      assertEquals(BlkRequest.STATUS_OK, rig.read(0, 0, 512));
      assertEquals(1, rig.counter(QueueCounter.ERRORS));
      rig.disk.asynchronous(8);
      final int token = rig.driver.begin(BlkRequest.TYPE_IN, 0);
      rig.driver.data(rig.guestData, 512, true);
      rig.driver.add();
      rig.driver.publish();
      rig.agent.poll(8);
      rig.agent.nowNs(77);
      rig.disk.finish(new Random(1), rig.agent, -5);
      rig.agent.flush();
      assertEquals(token, rig.driver.poll());
      assertEquals(BlkRequest.STATUS_IOERR, rig.driver.status(token));
    }
  }

  @Test
  void shouldSumLatenciesByTheTimeGiven() {
    try (Rig rig = Layout.SPLIT.started(QUEUE_SIZE, disk())) {
      rig.disk.asynchronous(8);
      rig.agent.nowNs(1000);
      rig.driver.begin(BlkRequest.TYPE_OUT, 0);
      rig.driver.data(rig.guestData, 512, false);
      rig.driver.add();
      rig.driver.publish();
      rig.agent.poll(8);
      rig.agent.nowNs(4500);
      rig.disk.finish(new Random(1), rig.agent, 0);
      rig.agent.flush();
      assertEquals(3500, rig.counter(QueueCounter.WRITE_NS));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldPauseFetchingAfterCopyingAQuarterOfAMegabyte(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      pollSomeTimes(rig);
      addReads(rig, 10, 64 << 10);
      assertEquals(4, rig.agent.poll(QUEUE_SIZE));
      assertEquals(4, rig.agent.poll(QUEUE_SIZE));
      assertEquals(2, rig.agent.poll(QUEUE_SIZE));
      assertEquals(10, rig.agent.flush());
      assertEquals(10, rig.reapAll());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldPauseFetchingAfterHandingOnSomeMegabytes(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      pollSomeTimes(rig);
      rig.disk.asynchronous(8);
      addReads(rig, 6, 1 << 20);
      assertEquals(4, rig.agent.poll(QUEUE_SIZE));
      assertEquals(2, rig.agent.poll(QUEUE_SIZE));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldPauseSoonerAfterAStart(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      addReads(rig, 15, 16 << 10);
      assertEquals(1, rig.agent.poll(QUEUE_SIZE));
      assertEquals(2, rig.agent.poll(QUEUE_SIZE));
      assertEquals(4, rig.agent.poll(QUEUE_SIZE));
      assertEquals(8, rig.agent.poll(QUEUE_SIZE));
      assertEquals(15, rig.agent.flush());
      assertEquals(15, rig.reapAll());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldShowTheDriverEachAdvanceOnceBeforeItTakesAnything(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      assertFalse(rig.driver.hasAdvanced());
      assertTrue(rig.driver.isDeviceIdle());
      addReads(rig, 2, 512);
      assertFalse(rig.driver.hasAdvanced());
      assertFalse(rig.driver.isDeviceIdle());
      rig.agent.poll(QUEUE_SIZE);
      rig.agent.flush();
      assertTrue(rig.driver.hasAdvanced());
      assertFalse(rig.driver.hasAdvanced());
      assertEquals(2, rig.reapAll());
      assertTrue(rig.driver.isDeviceIdle());
    }
  }

  /** Until the agent fetches as much at a time as it ever does. */
  private static void pollSomeTimes(final Rig rig) {
    for (int i = 0; i < 4; i++) {
      addReads(rig, 1, 512);
      assertEquals(1, rig.agent.poll(QUEUE_SIZE));
      assertEquals(1, rig.agent.flush());
      assertEquals(1, rig.reapAll());
    }
  }

  private static void addReads(final Rig rig, final int count, final int lengthBytes) {
    for (int i = 0; i < count; i++) {
      rig.driver.begin(BlkRequest.TYPE_IN, 0);
      rig.driver.data(rig.guestData, lengthBytes, true);
      rig.driver.add();
    }
    rig.driver.publish();
  }

  @Test
  void shouldRefuseTransfersThatTakeTooLong() {
    try (Rig rig = Layout.SPLIT_INDIRECT.started(QUEUE_SIZE, new TestDisk(160 << 20, 512))) {
      final int token = rig.driver.begin(BlkRequest.TYPE_OUT, 0);
      for (int i = 0; i < BlkLimits.SEG_MAX; i++) {
        rig.driver.data(rig.guestData, BlkLimits.SIZE_MAX_BYTES + 512, false);
      }
      rig.driver.add();
      assertEquals(BlkRequest.STATUS_IOERR, rig.complete(token));
      assertEquals(0, rig.disk.submitCount);
    }
  }
}
