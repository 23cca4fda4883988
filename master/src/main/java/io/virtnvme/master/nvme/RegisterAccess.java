package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.device.DeviceRegisters;
import io.virtnvme.ipc.sys.Errno;
import java.util.function.LongSupplier;

/**
 * Registers of a controller, with what can be wrong with them found out at each read, and waits
 * that end. One thread at a time.
 */
final class RegisterAccess {
  private static final int ALL_ONES = -1;
  private static final long NS_PER_MS = 1_000_000;

  private final DeviceRegisters registers;
  private final LongSupplier nanoClock;
  private final Runnable pause;

  /**
   * An access.
   *
   * @param pause called between two looks at a register; shorter than a millisecond
   */
  RegisterAccess(
      final DeviceRegisters registers, final LongSupplier nanoClock, final Runnable pause) {
    this.registers = registers;
    this.nanoClock = nanoClock;
    this.pause = pause;
  }

  DeviceRegisters raw() {
    return registers;
  }

  long nanoTime() {
    return nanoClock.getAsLong();
  }

  void pause() {
    pause.run();
  }

  /** CAP. */
  long capabilities() {
    final long capabilities = registers.getLong(ControllerRegisters.CAP_OFFSET);
    if (capabilities == ALL_ONES) {
      throw gone();
    }
    return capabilities;
  }

  /** VS. */
  int version() {
    return registers.getInt(ControllerRegisters.VS_OFFSET);
  }

  /** CRTO. */
  int readyTimeouts() {
    return registers.getInt(ControllerRegisters.CRTO_OFFSET);
  }

  int configuration() {
    final int configuration = registers.getInt(ControllerRegisters.CC_OFFSET);
    if (configuration == ALL_ONES) {
      throw gone();
    }
    return configuration;
  }

  void configuration(final int value) {
    registers.putInt(ControllerRegisters.CC_OFFSET, value);
  }

  /** CSTS, which is not all ones. */
  int status() {
    final int status = registers.getInt(ControllerRegisters.CSTS_OFFSET);
    if (status == ALL_ONES) {
      throw gone();
    }
    return status;
  }

  /**
   * CSTS of a controller that should work.
   *
   * @throws NvmeDeviceException when it is gone or reports a fatal error
   */
  int healthyStatus() {
    final int status = status();
    if ((status & ControllerRegisters.CSTS_CFS) != 0) {
      throw new NvmeDeviceException(
          Errno.EIO, "the controller reports a fatal error: CSTS=0x" + Integer.toHexString(status));
    }
    return status;
  }

  /** Whether CSTS.RDY has the wanted value before the time is up. A fatal error is no obstacle. */
  boolean awaitReady(final boolean ready, final long timeoutNs) {
    final long startNs = nanoTime();
    while (((status() & ControllerRegisters.CSTS_RDY) != 0) != ready) {
      if (nanoTime() - startNs > timeoutNs) {
        return false;
      }
      pause();
    }
    return true;
  }

  /** Whether there is anything behind the registers. */
  boolean answers() {
    return registers.getInt(ControllerRegisters.CSTS_OFFSET) != ALL_ONES;
  }

  /** The failure of a wait, with what the register says now. */
  NvmeDeviceException late(final Trouble trouble, final String what, final long timeoutNs) {
    final int status = registers.getInt(ControllerRegisters.CSTS_OFFSET);
    return status == ALL_ONES
        ? gone()
        : new NvmeDeviceException(
            Errno.ETIMEDOUT,
            trouble,
            what
                + " after "
                + timeoutNs / NS_PER_MS
                + " ms: CSTS=0x"
                + Integer.toHexString(status));
  }

  /** The failure of a device that is not there. */
  static NvmeDeviceException gone() {
    return new NvmeDeviceException(
        Errno.ENODEV,
        Trouble.LINK,
        "its registers read as all ones: the device was taken out, or its link is down");
  }
}
