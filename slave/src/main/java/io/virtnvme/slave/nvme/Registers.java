package io.virtnvme.slave.nvme;

import static io.virtnvme.ipc.nvme.ControllerRegisters.ACQ_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.ADMIN_QUEUE_ADDRESS_MASK;
import static io.virtnvme.ipc.nvme.ControllerRegisters.AQA_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.ASQ_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.CAP_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.CC_EN;
import static io.virtnvme.ipc.nvme.ControllerRegisters.CC_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.CRTO_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.CSTS_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.INTMC_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.INTMS_OFFSET;
import static io.virtnvme.ipc.nvme.ControllerRegisters.VS_OFFSET;

import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Doorbells;

/**
 * The registers as words in BAR0: which bits a write changes, what a read finds. A function of the
 * register state; what a change sets going is {@link NvmeController}'s.
 *
 * <p>Version 2.0: what it demands over 1.4 of a controller with the NVM command set alone is little
 * (CAP.CRMS and CRTO, some log pages), and today's drivers and nvme-cli ask for it.
 */
final class Registers {
  static final int VERSION = ControllerRegisters.version(2, 0, 0);

  /** How long RDY may follow EN, in units of 500 ms: a reset waits for what runs on disks. */
  static final int TIMEOUT_UNITS = 60;

  /** Bits of CC that exist. */
  static final int CC_KNOWN = 0x01FF_FFF1;

  static final int AQA_KNOWN = 0x0FFF_0FFF;

  private final long capabilities;

  Registers(final ControllerConfig config) {
    capabilities =
        (config.queueEntriesMax() - 1)
            | ControllerRegisters.CAP_CQR
            | ((long) TIMEOUT_UNITS << ControllerRegisters.CAP_TO_SHIFT)
            | ((long) Doorbells.STRIDE_CODE << ControllerRegisters.CAP_DSTRD_SHIFT)
            | ControllerRegisters.CAP_CSS_NVM
            | ControllerRegisters.CAP_CRWMS;
  }

  /** CAP. */
  long capabilities() {
    return capabilities;
  }

  /**
   * Any bytes of the registers, little endian; 0 where there is none.
   *
   * @param status CSTS as shown
   */
  long read(final RegisterState state, final int status, final int offset, final int width) {
    long value = 0;
    for (int i = 0; i < width; i++) {
      final int at = offset + i;
      final int word = word(state, status, at & -Integer.BYTES);
      value |= (long) ((word >>> (at % Integer.BYTES * Byte.SIZE)) & 0xFF) << (i * Byte.SIZE);
    }
    return value;
  }

  private int word(final RegisterState state, final int status, final int offset) {
    return switch (offset) {
      case CAP_OFFSET -> (int) capabilities;
      case CAP_OFFSET + Integer.BYTES -> high(capabilities);
      case VS_OFFSET -> VERSION;
      case INTMS_OFFSET, INTMC_OFFSET -> state.interruptMask();
      case CC_OFFSET -> state.cc();
      case CSTS_OFFSET -> status;
      case AQA_OFFSET -> state.aqa();
      case ASQ_OFFSET -> (int) state.asq();
      case ASQ_OFFSET + Integer.BYTES -> high(state.asq());
      case ACQ_OFFSET -> (int) state.acq();
      case ACQ_OFFSET + Integer.BYTES -> high(state.acq());
      case CRTO_OFFSET -> TIMEOUT_UNITS;
      default -> 0;
    };
  }

  private static int high(final long value) {
    return (int) (value >>> Integer.SIZE);
  }

  /**
   * The registers after a write of any bytes of them.
   *
   * @param value little endian; bytes beyond {@code width} do not count
   */
  static RegisterState write(
      final RegisterState state, final int offset, final int width, final long value) {
    RegisterState after = state;
    for (int word = offset & -Integer.BYTES; word < offset + width; word += Integer.BYTES) {
      int mask = 0;
      int bits = 0;
      for (int i = 0; i < Integer.BYTES; i++) {
        final int from = word + i - offset;
        if (from >= 0 && from < width) {
          mask |= 0xFF << (i * Byte.SIZE);
          bits |= (int) ((value >>> (from * Byte.SIZE)) & 0xFF) << (i * Byte.SIZE);
        }
      }
      after = writeWord(after, word, mask, bits);
    }
    return after;
  }

  private static RegisterState writeWord(
      final RegisterState state, final int offset, final int mask, final int bits) {
    return switch (offset) {
      case INTMS_OFFSET -> state.withInterruptMask(state.interruptMask() | bits);
      case INTMC_OFFSET -> state.withInterruptMask(state.interruptMask() & ~bits);
      case CC_OFFSET -> state.withCc(((state.cc() & ~mask) | bits) & CC_KNOWN);
      case AQA_OFFSET,
          ASQ_OFFSET,
          ASQ_OFFSET + Integer.BYTES,
          ACQ_OFFSET,
          ACQ_OFFSET + Integer.BYTES ->
          // Base specification 2.0, 3.1.3.8 to 3.1.3.10: to be set before the controller is
          // enabled.
          (state.cc() & CC_EN) != 0 ? state : writeAdminQueues(state, offset, mask, bits);
      default -> state;
    };
  }

  private static RegisterState writeAdminQueues(
      final RegisterState state, final int offset, final int mask, final int bits) {
    return switch (offset) {
      case AQA_OFFSET ->
          state.withAdminQueues(
              ((state.aqa() & ~mask) | bits) & AQA_KNOWN, state.asq(), state.acq());
      case ASQ_OFFSET, ASQ_OFFSET + Integer.BYTES ->
          state.withAdminQueues(
              state.aqa(), merge(state.asq(), offset != ASQ_OFFSET, mask, bits), state.acq());
      default ->
          state.withAdminQueues(
              state.aqa(), state.asq(), merge(state.acq(), offset != ACQ_OFFSET, mask, bits));
    };
  }

  private static long merge(
      final long address, final boolean isHighHalf, final int mask, final int bits) {
    final int shift = isHighHalf ? Integer.SIZE : 0;
    return ((address & ~((mask & 0xFFFF_FFFFL) << shift)) | ((bits & 0xFFFF_FFFFL) << shift))
        & ADMIN_QUEUE_ADDRESS_MASK;
  }
}
