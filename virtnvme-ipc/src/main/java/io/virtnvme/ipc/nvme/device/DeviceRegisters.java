package io.virtnvme.ipc.nvme.device;

/**
 * BAR0 of a controller: the registers at the offsets of {@link
 * io.virtnvme.ipc.nvme.ControllerRegisters}, and the doorbells behind them. A device that is gone
 * reads as all ones and takes stores without a word (PCI Express base specification, 2.3.2:
 * completions with unsupported request status).
 */
public interface DeviceRegisters {
  /** A register of 4 bytes; {@code offset} is a multiple of 4. */
  int getInt(int offset);

  /** A register of 8 bytes; {@code offset} is a multiple of 8. */
  long getLong(int offset);

  /** Stores after every earlier store to memory. */
  void putInt(int offset, int value);

  /** Stores after every earlier store to memory. */
  void putLong(int offset, long value);
}
