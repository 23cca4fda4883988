package io.virtnvme.ipc.nvme.device;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.VfioDevice;

/**
 * BAR0 of a device behind VFIO, reached through its descriptor. One thread at a time.
 *
 * <p>It is not mapped on purpose. When a device is taken out, an access to mapped registers is a
 * SIGBUS, and the JVM may make an {@link InternalError} of that at any later point of the thread,
 * after the access had some value. The kernel's answer to a read comes at once: what it refuses is
 * all ones, as on the bus.
 */
public final class RegionRegisters implements DeviceRegisters, AutoCloseable {
  /** No controller has more: 64 Ki queue pairs at the widest stride would be 16 GiB. */
  private static final long LENGTH_MAX = 16L << 30;

  private final int fd;
  private final long offsetBytes;
  private final long lengthBytes;
  private final long word = Mem.allocate(Long.BYTES);
  private boolean isClosed;

  /**
   * A part of a file.
   *
   * @param fd stays the caller's
   */
  RegionRegisters(final int fd, final long offsetBytes, final long lengthBytes) {
    this.fd = fd;
    this.offsetBytes = offsetBytes;
    this.lengthBytes = lengthBytes;
  }

  /**
   * All of BAR0.
   *
   * @param device stays the caller's, and open until this is closed
   * @param lengthBytesMin what it must have at least
   * @throws IllegalStateException when it is shorter, or cannot be mapped by those who need that
   */
  public static RegionRegisters of(final VfioDevice device, final int lengthBytesMin) {
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
    return new RegionRegisters(device.fd(), bar.offsetBytes(), bar.lengthBytes());
  }

  public long lengthBytes() {
    return lengthBytes;
  }

  private long position(final int offset, final int widthBytes) {
    if (offset < 0 || offset + (long) widthBytes > lengthBytes) {
      throw new IllegalArgumentException(
          "register outside of BAR0: offset=" + offset + " bytes=" + lengthBytes);
    }
    return offsetBytes + offset;
  }

  @Override
  public int getInt(final int offset) {
    final long read = Fds.pread(fd, word, Integer.BYTES, position(offset, Integer.BYTES));
    return read == Integer.BYTES ? Mem.getInt(word) : -1;
  }

  @Override
  public long getLong(final int offset) {
    final long read = Fds.pread(fd, word, Long.BYTES, position(offset, Long.BYTES));
    return read == Long.BYTES ? Mem.getLong(word) : -1;
  }

  @Override
  public void putInt(final int offset, final int value) {
    Mem.putInt(word, value);
    // A store that is refused is lost, as on the bus: whoever stored finds out by its next read.
    Fds.pwrite(fd, word, Integer.BYTES, position(offset, Integer.BYTES));
  }

  @Override
  public void putLong(final int offset, final long value) {
    Mem.putLong(word, value);
    Fds.pwrite(fd, word, Long.BYTES, position(offset, Long.BYTES));
  }

  @Override
  public void close() {
    if (!isClosed) {
      isClosed = true;
      Mem.free(word);
    }
  }
}
