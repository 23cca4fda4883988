package io.virtnvme.ipc.nvme.soft;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.Cns;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.FeatureId;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The device as a driver sees it, through registers and memory only. */
class SoftNvmeDeviceTest {
  private static final int ENTRIES = 16;
  private static final long IOVA = 0x4000_0000L;
  private static final int PAGE = 4096;
  private static final int ADMIN_SQ = 0;
  private static final int ADMIN_CQ = PAGE;
  private static final int IO_SQ = 2 * PAGE;
  private static final int IO_CQ = 3 * PAGE;
  private static final int LIST = 4 * PAGE;
  private static final int DATA = 5 * PAGE;
  private static final int LENGTH = 64 * PAGE;

  private final SoftNvmeDevice device = new SoftNvmeDevice(SoftOptions.small());
  private final int[] tails = new int[2];
  private final int[] heads = new int[2];
  private long allocation;
  private long memory;

  @BeforeEach
  void setUp() {
    allocation = Mem.allocate(LENGTH + PAGE);
    memory = (allocation + PAGE - 1) & -PAGE;
    device.map(memory, IOVA, LENGTH);
  }

  @AfterEach
  void tearDown() {
    device.close();
    Mem.free(allocation);
  }

  private void enable() {
    device.putInt(ControllerRegisters.AQA_OFFSET, (ENTRIES - 1) << 16 | (ENTRIES - 1));
    device.putLong(ControllerRegisters.ASQ_OFFSET, IOVA + ADMIN_SQ);
    device.putLong(ControllerRegisters.ACQ_OFFSET, IOVA + ADMIN_CQ);
    device.putInt(ControllerRegisters.CC_OFFSET, ControllerRegisters.CC_EN);
    assertEquals(ControllerRegisters.CSTS_RDY, device.getInt(ControllerRegisters.CSTS_OFFSET));
  }

  private void submit(
      final int queue,
      final int opcode,
      final int id,
      final int dword10,
      final int dword11,
      final int dword12,
      final long prp1,
      final long prp2) {
    final long entry = memory + (queue == 0 ? ADMIN_SQ : IO_SQ) + tails[queue] * 64L;
    Mem.fill(entry, 64, (byte) 0);
    Mem.putInt(entry, SubmissionEntry.dword0(opcode, id));
    Mem.putInt(entry + 4, 1);
    Mem.putLong(entry + 24, prp1);
    Mem.putLong(entry + 32, prp2);
    Mem.putInt(entry + 40, dword10);
    Mem.putInt(entry + 44, dword11);
    Mem.putInt(entry + 48, dword12);
    tails[queue] = (tails[queue] + 1) % ENTRIES;
    device.putInt(Doorbells.BASE_OFFSET + Doorbells.sqTailOffset(queue), tails[queue]);
  }

  /** Id and status of the next completion, as id * 65536 + status; -1 when there is none. */
  private int reap(final int queue) {
    final int index = heads[queue] % ENTRIES;
    final boolean phase = heads[queue] / ENTRIES % 2 == 0;
    final int dword3 = Mem.getInt(memory + (queue == 0 ? ADMIN_CQ : IO_CQ) + index * 16L + 12);
    if (CompletionEntry.phase(dword3) != phase) {
      return -1;
    }
    heads[queue]++;
    device.putInt(Doorbells.BASE_OFFSET + Doorbells.cqHeadOffset(queue), heads[queue] % ENTRIES);
    return CompletionEntry.commandId(dword3) << 16 | CompletionEntry.status(dword3);
  }

  private void createQueues() {
    submit(0, AdminOpcode.CREATE_CQ, 1, (ENTRIES - 1) << 16 | 1, 1, 0, IOVA + IO_CQ, 0);
    assertEquals(1 << 16, reap(0));
    submit(0, AdminOpcode.CREATE_SQ, 2, (ENTRIES - 1) << 16 | 1, 1 << 16 | 1, 0, IOVA + IO_SQ, 0);
    assertEquals(2 << 16, reap(0));
  }

  @Test
  void shouldComeUpAndAnswerAdminCommands() {
    assertEquals(1023, device.getLong(ControllerRegisters.CAP_OFFSET) & 0xFFFF);
    enable();
    submit(0, AdminOpcode.IDENTIFY, 7, Cns.CONTROLLER, 0, 0, IOVA + DATA, 0);
    assertEquals(7 << 16, reap(0));
    assertEquals(0x1B36, Mem.getUnsignedShort(memory + DATA));
    submit(0, AdminOpcode.IDENTIFY, 8, Cns.NAMESPACE, 0, 0, IOVA + DATA, 0);
    assertEquals(8 << 16, reap(0));
    assertEquals(8192, Mem.getLong(memory + DATA));
    submit(0, AdminOpcode.SET_FEATURES, 9, FeatureId.NUMBER_OF_QUEUES, 0x3_0003, 0, 0, 0);
    assertEquals(9 << 16, reap(0));
    submit(0, AdminOpcode.GET_LOG_PAGE, 10, 127 << 16 | 2, 0, 0, IOVA + DATA, 0);
    assertEquals(10 << 16, reap(0));
    assertEquals(300, Mem.getUnsignedShort(memory + DATA + 1));
    submit(0, 0xC0, 11, 0, 0, 0, 0, 0);
    assertEquals(11 << 16 | Status.INVALID_OPCODE | Status.DO_NOT_RETRY, reap(0));
    assertEquals(-1, reap(0));
  }

  @Test
  void shouldMoveDataThroughListsAndKeepItAcrossAReset() {
    enable();
    createQueues();
    final byte[] data = new byte[9 * PAGE];
    new Random(1).nextBytes(data);
    Mem.copyIn(data, 0, memory + DATA + 512, data.length - 512);
    // 8 pages and a half, from an offset: one entry and a list.
    final int length = data.length - 512;
    for (int i = 1; i < 9; i++) {
      Mem.putLong(memory + LIST + (i - 1) * 8L, IOVA + DATA + (long) i * PAGE);
    }
    submit(1, NvmOpcode.WRITE, 3, 16, 0, length / 512 - 1, IOVA + DATA + 512, IOVA + LIST);
    assertEquals(3 << 16, reap(1));
    assertArrayEquals(
        Arrays.copyOf(data, length), Arrays.copyOfRange(device.blocks(), 8192, 8192 + length));
    device.putInt(ControllerRegisters.CC_OFFSET, 0);
    assertEquals(0, device.getInt(ControllerRegisters.CSTS_OFFSET));
    Arrays.fill(tails, 0);
    Arrays.fill(heads, 0);
    Mem.fill(memory, 4 * PAGE, (byte) 0);
    enable();
    createQueues();
    submit(1, NvmOpcode.READ, 4, 16, 0, 7, IOVA + DATA + 2 * PAGE, 0);
    assertEquals(4 << 16, reap(1));
    final byte[] read = new byte[PAGE];
    Mem.copyOut(memory + DATA + 2 * PAGE, read, 0, PAGE);
    assertArrayEquals(Arrays.copyOf(data, PAGE), read);
    submit(1, NvmOpcode.WRITE_ZEROES, 5, 16, 0, 15, 0, 0);
    assertEquals(5 << 16, reap(1));
    assertEquals(0, device.blocks()[8192 + 100]);
    assertEquals(data[16 * 512], device.blocks()[8192 + 16 * 512]);
    assertEquals(0, device.badDoorbellCount());
    assertEquals(0, device.dmaFaultCount());
  }

  @Test
  void shouldFailAsItIsTold() {
    enable();
    createQueues();
    device.faults().failNext(false, NvmOpcode.READ, Status.UNRECOVERED_READ_ERROR, 1);
    submit(1, NvmOpcode.READ, 1, 0, 0, 0, IOVA + DATA, 0);
    assertEquals(1 << 16 | Status.UNRECOVERED_READ_ERROR, reap(1));
    device.faults().hold(true);
    for (int id = 2; id < 5; id++) {
      submit(1, NvmOpcode.READ, id, id, 0, 0, IOVA + DATA, 0);
    }
    assertEquals(-1, reap(1));
    device.endHeld(1);
    assertEquals(3 << 16, reap(1));
    device.faults().doubleNext(1);
    device.faults().hold(false);
    device.step();
    assertEquals(2 << 16, reap(1));
    assertEquals(2 << 16, reap(1));
    assertEquals(4 << 16, reap(1));
    device.faults().loseNext(1);
    submit(1, NvmOpcode.READ, 6, 0, 0, 0, IOVA + DATA, 0);
    assertEquals(-1, reap(1));
    submit(0, AdminOpcode.ABORT, 3, 6 << 16 | 1, 0, 0, 0, 0);
    assertEquals(6 << 16 | Status.ABORTED_BY_REQUEST, reap(1));
    submit(1, NvmOpcode.READ, 7, 0, 0, 0, IOVA + LENGTH, 0);
    assertEquals(7 << 16 | Status.DATA_TRANSFER_ERROR, reap(1));
    assertEquals(1, device.dmaFaultCount());
    device.putInt(Doorbells.BASE_OFFSET + Doorbells.sqTailOffset(1), ENTRIES);
    assertTrue(device.badDoorbellCount() > 0);
    device.failFatally();
    assertEquals(
        ControllerRegisters.CSTS_CFS,
        device.getInt(ControllerRegisters.CSTS_OFFSET) & ControllerRegisters.CSTS_CFS);
    device.unplug();
    assertEquals(-1, device.getInt(ControllerRegisters.CSTS_OFFSET));
    assertEquals(-1L, device.getLong(ControllerRegisters.CAP_OFFSET));
  }
}
