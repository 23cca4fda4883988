package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.slave.bdev.BlockChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Single I/O commands, right and wrong. Codes are the specification's numbers. */
class NvmeCommandTest {
  private static final int FLUSH = 0;
  private static final int WRITE = 1;
  private static final int READ = 2;
  private static final int COMPARE = 5;
  private static final int WRITE_ZEROES = 8;
  private static final int DSM = 9;
  private static final int VERIFY = 12;
  private static final int DNR = 0x4000;

  private final NvmeRig rig = NvmeRig.started(16);
  private final Random random = new Random(17);

  @AfterEach
  void close() {
    assertTrue(rig.guardsHold());
    rig.close();
  }

  private TestCommand command(final int opcode) {
    return new TestCommand(opcode, random.nextInt(0x10000), 1);
  }

  private TestCommand transfer(final int opcode, final long start, final int count) {
    return command(opcode).prps(rig.guestData, rig.guestData + NvmeRig.PAGE).blocks(start, count);
  }

  @Test
  void shouldBringBackWhatWasWritten() {
    final byte[] bytes = NvmeRig.randomBytes(random, 8192);
    rig.put(rig.guestData, bytes);
    assertEquals(0, rig.run(transfer(WRITE, 40, 16)));
    assertArrayEquals(bytes, rig.diskBytes(40 * 512, 8192));
    rig.put(rig.guestData, new byte[8192]);
    assertEquals(0, rig.run(transfer(READ, 40, 16)));
    assertArrayEquals(bytes, rig.get(rig.guestData, 8192));
    assertEquals(1, rig.counter(1, QueueCounter.READ_OPS));
    assertEquals(8192, rig.counter(1, QueueCounter.WRITE_BYTES));
    assertEquals(2, rig.agent.completedCount());
  }

  @ParameterizedTest
  @CsvSource({"0, true, 0", "1073741824, true, 1", "0, false, 1"})
  void shouldMakeWritesDurableWhenAskedOrWithoutCache(
      final int dword12, final boolean cache, final int flags) {
    rig.agent.writeCache(cache);
    final TestCommand write = transfer(WRITE, 0, 1);
    write.dwords[12] |= dword12;
    assertEquals(0, rig.run(write));
    assertEquals(flags, rig.disk.lastFlags);
  }

  @Test
  void shouldFlushOneOrAllNamespaces() {
    assertEquals(0, rig.run(command(FLUSH)));
    assertEquals(BlockChannel.OP_FLUSH, rig.disk.lastOperation);
    final int before = rig.disk.submitCount;
    assertEquals(0, rig.run(new TestCommand(FLUSH, 3, 0xFFFF_FFFF)));
    assertEquals(before + 1, rig.disk.submitCount);
    rig.agent.volumes(List.of(NvmeRig.volume(2, rig.disk), NvmeRig.volume(8, rig.disk)));
    assertEquals(0, rig.run(new TestCommand(FLUSH, 4, 0xFFFF_FFFF)));
    assertEquals(before + 3, rig.disk.submitCount);
  }

  @Test
  void shouldWriteZeroesAndSayWhetherToDeallocate() {
    Mem.fill(rig.disk.data, 4096, (byte) 7);
    assertEquals(0, rig.run(command(WRITE_ZEROES).blocks(1, 2)));
    assertArrayEquals(new byte[1024], rig.diskBytes(512, 1024));
    assertEquals(7, rig.diskBytes(0, 1)[0]);
    assertEquals(7, rig.diskBytes(1536, 1)[0]);
    assertEquals(0, rig.disk.lastFlags);
    final TestCommand deallocate = command(WRITE_ZEROES).blocks(1, 2);
    deallocate.dwords[12] |= 1 << 25;
    assertEquals(0, rig.run(deallocate));
    assertEquals(BlockChannel.FLAG_UNMAP, rig.disk.lastFlags);
  }

  private void putRange(final int index, final int blocks, final long start) {
    rig.putLong(rig.guestData + index * 16L, (long) blocks << 32);
    rig.putLong(rig.guestData + index * 16L + 8, start);
  }

  @Test
  void shouldDeallocateEachRange() {
    Mem.fill(rig.disk.data, 1 << 20, (byte) 7);
    for (int i = 0; i < 256; i++) {
      putRange(i, i % 2, i * 4L);
    }
    final TestCommand dsm = command(DSM).prps(rig.guestData, 0).dword(10, 255).dword(11, 4);
    assertEquals(0, rig.run(dsm));
    for (int i = 0; i < 256; i++) {
      assertEquals(i % 2 == 0 ? 7 : 0, rig.diskBytes(i * 2048L, 1)[0], "range " + i);
      assertEquals(7, rig.diskBytes(i * 2048L + 512, 1)[0], "behind range " + i);
    }
    assertEquals(128 * 512, rig.counter(1, QueueCounter.UNMAP_BYTES));
  }

  @Test
  void shouldTouchNothingWhenOneRangeIsWrong() {
    Mem.fill(rig.disk.data, 1 << 20, (byte) 7);
    putRange(0, 4, 0);
    putRange(1, 2, 2047);
    assertEquals(
        0x80 | DNR, rig.run(command(DSM).prps(rig.guestData, 0).dword(10, 1).dword(11, 4)));
    assertEquals(7, rig.diskBytes(0, 1)[0]);
  }

  @Test
  void shouldIgnoreHintsThatDoNotDeallocate() {
    final int before = rig.disk.submitCount;
    assertEquals(0, rig.run(command(DSM).prps(0xDEAD_0000L, 0).dword(10, 3).dword(11, 3)));
    assertEquals(before, rig.disk.submitCount);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 511, 16383, 16384, 16385, 40000, 40959, -1})
  void shouldCompareEachByte(final int different) {
    final byte[] bytes = NvmeRig.randomBytes(random, 40960);
    Mem.copyIn(bytes, 0, rig.disk.data + 1024, bytes.length);
    if (different >= 0) {
      bytes[different] ^= 1;
    }
    // Begins in the middle of a page, so that pieces and steps do not fit together.
    final long data = rig.guestData + 700;
    rig.put(data, bytes);
    for (int i = 0; i < 10; i++) {
      rig.putLong(rig.guestLists + i * 8L, rig.guestData + (i + 1) * 4096L);
    }
    final int status = rig.run(command(COMPARE).prps(data, rig.guestLists).blocks(2, 80));
    assertEquals(different < 0 ? 0 : 0x285, status);
    assertArrayEquals(bytes, rig.get(data, bytes.length));
  }

  @Test
  void shouldVerifyWithoutTouchingTheGuest() {
    assertEquals(0, rig.run(command(VERIFY).prps(0xDEAD_0000L, 0).blocks(0, 2048)));
    assertEquals(BlockChannel.OP_READ, rig.disk.lastOperation);
    rig.disk.failNext(-Errno.EIO);
    assertEquals(0x281, rig.run(command(VERIFY).blocks(0, 1)));
  }

  @ParameterizedTest
  @CsvSource({
    // What the guest gets wrong: opcode, namespace, first block, blocks, status.
    "2, 1, 2048, 1, 0x4080",
    "2, 1, 2047, 2, 0x4080",
    "1, 1, -1, 1, 0x4080",
    "2, 1, 9223372036854775807, 2, 0x4080",
    "5, 1, 2041, 8, 0x4080",
    "8, 1, 2000, 32768, 0x4080",
    "12, 1, 2048, 1, 0x4080",
    "2, 0, 0, 1, 0x400B",
    "2, 9, 0, 1, 0x400B",
    "2, 5, 0, 1, 0x4002",
    "2, -1, 0, 1, 0x4002",
    "9, 0, 0, 1, 0x400B",
    "0, 0, 0, 1, 0x400B",
    "0, 7, 0, 1, 0x4002",
    "3, 1, 0, 1, 0x4001",
    "4, 1, 0, 1, 0x4001",
    "13, 1, 0, 1, 0x4001",
    "255, 1, 0, 1, 0x4001"
  })
  void shouldAnswerWithTheSpecifiedStatus(
      final int opcode,
      final int namespace,
      final long start,
      final int blocks,
      final String status) {
    final TestCommand command =
        new TestCommand(opcode, 77, namespace).prps(rig.guestData, 0).blocks(start, blocks);
    assertEquals(Integer.decode(status), rig.run(command));
    assertEquals(1, rig.counter(1, QueueCounter.ERRORS));
    assertEquals(1, rig.reports.errors.size());
    assertEquals(77, rig.reports.errors.get(0).commandId());
    assertEquals(1, rig.reports.errors.get(0).queueId());
    assertEquals(namespace, rig.reports.errors.get(0).namespaceId());
    assertEquals(Integer.decode(status), rig.reports.errors.get(0).status());
  }

  @Test
  void shouldRefuseMoreThanMdts() {
    rig.disk.shrink(1 << 20);
    assertEquals(0x4002, rig.run(transfer(READ, 0, 2049)));
    assertEquals(0x4002, rig.run(transfer(WRITE, 0, 65536)));
  }

  /** Identify says 4096 pages of 4 KiB (WZSL, VSL): 32768 blocks of 512 bytes. */
  @ParameterizedTest
  @CsvSource({
    "8, 512, 32768, 0",
    "8, 512, 32769, 0x4002",
    "8, 512, 65536, 0x4002",
    "12, 512, 32768, 0",
    "12, 512, 32769, 0x4002",
    "8, 4096, 4096, 0",
    "8, 4096, 4097, 0x4002",
    "8, 4096, 65536, 0x4002",
    "12, 4096, 4096, 0",
    "12, 4096, 65536, 0x4002"
  })
  void shouldRefuseWhatIsLongerThanIdentifySays(
      final int opcode, final int blockBytes, final int blocks, final String status) {
    try (NvmeRig large = new NvmeRig(new NvmeTestDisk(32 << 20, blockBytes), 1, 8, 8)) {
      large.startAgent();
      Mem.fill(large.disk.data, 1 << 20, (byte) 7);
      final int expected = Integer.decode(status);
      assertEquals(expected, large.run(new TestCommand(opcode, 77, 1).blocks(0, blocks)));
      if (expected != 0) {
        assertEquals(7, large.diskBytes(0, 1)[0]);
        assertEquals(1, large.counter(1, QueueCounter.GUEST_FAULTS));
        assertEquals(List.of(new CommandError(1, 77, expected, 48, 0, 1)), large.reports.errors);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void shouldRefuseFusedCommands(final int kind) {
    assertEquals(0x4002, rig.run(transfer(READ, 0, 1).fused(kind)));
  }

  @Test
  void shouldRefuseTheReservedKindOfDataPointer() {
    assertEquals(0x4002, rig.run(command(READ).pointer(3, rig.guestData, 0).blocks(0, 1)));
  }

  @ParameterizedTest
  @CsvSource({
    "2, 5, 0x281",
    "1, 5, 0x280",
    "1, 28, 0x81",
    "1, 30, 0x20",
    "2, 22, 0x80",
    "0, 5, 0x280",
    "8, 5, 0x280",
    "5, 5, 0x281"
  })
  void shouldTellWhyTheDiskFailed(final int opcode, final int errno, final String status) {
    rig.disk.failNext(-errno);
    assertEquals(Integer.decode(status), rig.run(transfer(opcode, 0, 1)));
  }

  @Test
  void shouldReportOneErrorOfAQueueAtATime() {
    for (int i = 0; i < 5; i++) {
      rig.run(command(0x55));
    }
    assertEquals(1, rig.reports.errors.size());
    rig.reports.whenLogged.get(0).run();
    rig.run(command(0x55));
    assertEquals(2, rig.reports.errors.size());
    assertEquals(6, rig.counter(1, QueueCounter.ERRORS));
  }

  @Test
  void shouldRefuseToWriteToAReadOnlyNamespace() {
    rig.agent.volumes(
        List.of(
            new NamespaceVolume(
                new Namespace(1, 2048, 512, true, new java.util.UUID(1, 1)), rig.disk)));
    assertEquals(0x4020, rig.run(transfer(WRITE, 0, 1)));
    assertEquals(0x4020, rig.run(command(WRITE_ZEROES).blocks(0, 1)));
    assertEquals(0x4020, rig.run(command(DSM).prps(rig.guestData, 0).dword(11, 4)));
    assertEquals(0, rig.run(transfer(READ, 0, 1)));
  }

  @Test
  void shouldCountForEachNamespaceWhatWasDoneOnIt() {
    final long counters = Mem.allocate(3 * 128);
    Mem.fill(counters, 3 * 128, (byte) 0);
    final List<NamespaceVolume> volumes = new ArrayList<>();
    for (final int id : new int[] {1, 2, 5}) {
      final long address = counters + volumes.size() * 128L;
      volumes.add(new NamespaceVolume(NvmeRig.volume(id, rig.disk).namespace(), rig.disk, address));
    }
    rig.agent.volumes(volumes);
    assertEquals(0, rig.run(transfer(READ, 0, 8)));
    assertEquals(0, rig.run(new TestCommand(WRITE, 1, 2).prps(rig.guestData, 0).blocks(0, 2)));
    assertEquals(0, rig.run(new TestCommand(WRITE_ZEROES, 1, 2).blocks(0, 4)));
    assertEquals(0x4080, rig.run(new TestCommand(VERIFY, 1, 2).blocks(4096, 1)));
    assertEquals(0x4002, rig.run(new TestCommand(READ, 1, 3)));
    assertEquals(0, rig.run(new TestCommand(FLUSH, 1, 5)));
    assertEquals(0, rig.run(new TestCommand(FLUSH, 1, -1)));
    putRange(0, 3, 0);
    assertEquals(0, rig.run(new TestCommand(DSM, 1, 5).prps(rig.guestData, 0).dword(11, 4)));
    // A namespace that has gone keeps what was counted for it.
    rig.agent.volumes(volumes.subList(0, 1));
    assertEquals(0, rig.run(transfer(READ, 0, 8)));
    final QueueCounter[] shown = {
      QueueCounter.READ_OPS, QueueCounter.READ_BYTES, QueueCounter.WRITE_OPS,
      QueueCounter.WRITE_BYTES, QueueCounter.FLUSH_OPS, QueueCounter.UNMAP_OPS,
      QueueCounter.UNMAP_BYTES, QueueCounter.ERRORS
    };
    final long[][] expected = {
      {2, 8192, 0, 0, 1, 0, 0, 0}, {0, 0, 2, 3072, 1, 0, 0, 1}, {0, 0, 0, 0, 2, 1, 1536, 0}
    };
    for (int i = 0; i < expected.length; i++) {
      for (int j = 0; j < shown.length; j++) {
        assertEquals(
            expected[i][j],
            Mem.getLong(counters + i * 128L + shown[j].offsetBytes()),
            shown[j] + " of volume " + i);
      }
    }
    Mem.free(counters);
  }

  @Test
  void shouldServeBlocksOf4096Bytes() {
    try (NvmeRig large = new NvmeRig(new NvmeTestDisk(1 << 20, 4096), 1, 8, 8)) {
      large.startAgent();
      assertEquals(
          0,
          large.run(
              new TestCommand(READ, 1, 1)
                  .prps(large.guestData, large.guestData + 4096)
                  .blocks(254, 2)));
      assertEquals(8192, large.disk.lastLength);
      assertEquals(
          0x4080, large.run(new TestCommand(READ, 1, 1).prps(large.guestData, 0).blocks(256, 1)));
    }
  }
}
