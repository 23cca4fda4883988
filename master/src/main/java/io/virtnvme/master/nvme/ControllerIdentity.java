package io.virtnvme.master.nvme;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.sys.Errno;

/**
 * What a controller says that it is, checked.
 *
 * @param serial printable ASCII without blanks around it, as model, firmware and name are
 * @param transferBytesMax of one command; 0 for no limit
 * @param version as register VS has it
 * @param namespaceIdMax highest id of a namespace, unsigned
 * @param commands ONCS: optional I/O commands
 * @param writeCache whether there is a volatile write cache
 * @param shutdownMicros how long it may take to shut down; 0 when it does not say
 */
public record ControllerIdentity(
    int vendorId,
    int subsystemVendorId,
    String serial,
    String model,
    String firmware,
    long transferBytesMax,
    int controllerId,
    int version,
    int namespaceIdMax,
    int commands,
    boolean writeCache,
    long shutdownMicros,
    String subsystemName) {
  /** RTD3E in the data structure (base specification 2.0, figure 276). */
  private static final int SHUTDOWN_MICROS_OFFSET = 88;

  /** Data of 1 GiB in one command: more is as good as no limit. */
  private static final int TRANSFER_SHIFT_MAX = 18;

  private static final int NIBBLE_MASK = 0xF;

  /**
   * Reads the 4096 bytes that Identify answered.
   *
   * @throws NvmeDeviceException EIO for a controller that we cannot drive
   */
  static ControllerIdentity parse(final byte[] data) {
    final int type = data[IdentifyController.CONTROLLER_TYPE_OFFSET] & 0xFF;
    // 0: from before the field was there.
    if (type != 0 && type != IdentifyController.TYPE_IO_CONTROLLER) {
      throw new NvmeDeviceException(Errno.EIO, "it is no I/O controller: CNTRLTYPE=" + type);
    }
    requireEntrySize(
        "SQES", data[IdentifyController.SQ_ENTRY_SIZE_OFFSET], SubmissionEntry.ENTRY_SHIFT);
    requireEntrySize(
        "CQES", data[IdentifyController.CQ_ENTRY_SIZE_OFFSET], CompletionEntry.ENTRY_SHIFT);
    final int transferShift = data[IdentifyController.TRANSFER_MAX_OFFSET] & 0xFF;
    final int namespaceIdMax =
        LittleEndian.getInt(data, IdentifyController.NAMESPACE_ID_MAX_OFFSET);
    if (namespaceIdMax == 0) {
      throw new NvmeDeviceException(Errno.EIO, "it has no namespaces: NN=0");
    }
    return new ControllerIdentity(
        LittleEndian.getUnsignedShort(data, IdentifyController.VENDOR_ID_OFFSET),
        LittleEndian.getUnsignedShort(data, IdentifyController.SUBSYSTEM_VENDOR_ID_OFFSET),
        text(data, IdentifyController.SERIAL_OFFSET, IdentifyController.SERIAL_LENGTH),
        text(data, IdentifyController.MODEL_OFFSET, IdentifyController.MODEL_LENGTH),
        text(data, IdentifyController.FIRMWARE_OFFSET, IdentifyController.FIRMWARE_LENGTH),
        transferShift == 0 || transferShift > TRANSFER_SHIFT_MAX
            ? 0
            : (long) PrpEntry.PAGE_BYTES << transferShift,
        LittleEndian.getUnsignedShort(data, IdentifyController.CONTROLLER_ID_OFFSET),
        LittleEndian.getInt(data, IdentifyController.VERSION_OFFSET),
        namespaceIdMax,
        LittleEndian.getUnsignedShort(data, IdentifyController.NVM_COMMANDS_OFFSET),
        (data[IdentifyController.WRITE_CACHE_OFFSET] & IdentifyController.VWC_PRESENT) != 0,
        Integer.toUnsignedLong(LittleEndian.getInt(data, SHUTDOWN_MICROS_OFFSET)),
        text(
            data,
            IdentifyController.SUBSYSTEM_NQN_OFFSET,
            IdentifyController.SUBSYSTEM_NQN_LENGTH));
  }

  private static void requireEntrySize(final String field, final byte value, final int shift) {
    final int min = value & NIBBLE_MASK;
    final int max = (value >>> 4) & NIBBLE_MASK;
    if (shift < min || shift > max) {
      throw new NvmeDeviceException(
          Errno.EIO,
          "queue entries cannot have "
              + (1 << shift)
              + " bytes: "
              + field
              + "="
              + min
              + ".."
              + max);
    }
  }

  /** What is not printable becomes a question mark: it goes to terminals and logs. */
  private static String text(final byte[] data, final int offset, final int length) {
    final StringBuilder text = new StringBuilder(length);
    for (final char c : new String(data, offset, length, ISO_8859_1).toCharArray()) {
      if (c != 0) {
        text.append(c >= ' ' && c <= '~' ? c : '?');
      }
    }
    return text.toString().strip();
  }
}
