package io.virtnvme.ipc.nvme.device;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.VfioDevice;

/**
 * BAR0 of a device behind VFIO, mapped into this process. One thread at a time.
 *
 * <p>When the device is taken out the kernel unmaps it, and an access would be a SIGBUS; the JVM
 * makes an {@link InternalError} of that, which is answered here as a bus does: all ones.
 */
public final class MappedRegisters implements DeviceRegisters, AutoCloseable {
  /** No controller has more: 64 Ki queue pairs at the widest stride would be 16 GiB. */
  private static final long LENGTH_MAX = 16L << 30;

  private final Mapping mapping;

  private MappedRegisters(final Mapping mapping) {
    this.mapping = mapping;
  }

  /**
   * Maps all of BAR0.
   *
   * @param lengthBytesMin what it must have at least
   * @throws IllegalStateException when it is shorter, or cannot be mapped
   */
  public static MappedRegisters map(final VfioDevice device, final int lengthBytesMin) {
    final VfioDevice.Region bar = device.region(VfioDevice.BAR0);
    if (!bar.isMappable() || bar.lengthBytes() < lengthBytesMin || bar.lengthBytes() > LENGTH_MAX) {
      throw new IllegalStateException(
          "BAR0 is no controller's: bytes="
              + bar.lengthBytes()
              + " needed="
              + lengthBytesMin
              + " mappable="
              + bar.isMappable());
    }
    return new MappedRegisters(Mapping.map(device.fd(), bar.offsetBytes(), bar.lengthBytes()));
  }

  public long lengthBytes() {
    return mapping.lengthBytes();
  }

  private long address(final int offset, final int widthBytes) {
    if (offset < 0 || offset + (long) widthBytes > mapping.lengthBytes()) {
      throw new IllegalArgumentException(
          "register outside of BAR0: offset=" + offset + " bytes=" + mapping.lengthBytes());
    }
    return mapping.address() + offset;
  }

  @Override
  public int getInt(final int offset) {
    try {
      return Mem.getIntAcquire(address(offset, Integer.BYTES));
    } catch (final InternalError e) {
      return -1;
    }
  }

  @Override
  public long getLong(final int offset) {
    try {
      return Mem.getLongAcquire(address(offset, Long.BYTES));
    } catch (final InternalError e) {
      return -1;
    }
  }

  @Override
  public void putInt(final int offset, final int value) {
    try {
      Mem.putIntRelease(address(offset, Integer.BYTES), value);
    } catch (final InternalError e) {
      // Gone: whoever stored finds out by its next read.
    }
  }

  @Override
  public void putLong(final int offset, final long value) {
    try {
      Mem.putLongRelease(address(offset, Long.BYTES), value);
    } catch (final InternalError e) {
      // As above.
    }
  }

  @Override
  public void close() {
    mapping.close();
  }
}
