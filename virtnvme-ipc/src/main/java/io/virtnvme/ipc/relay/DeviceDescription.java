package io.virtnvme.ipc.relay;

/**
 * An NVMe device of the master as slaves reach it.
 *
 * @param name of its controller, unique in the instance
 * @param address PCI address, for people
 * @param doorbellsOffset where the doorbells begin in the descriptor of the VFIO device: begins a
 *     page
 * @param doorbellsBytes of the doorbells: whole pages
 * @param strideBytes between two doorbells: 4 or more, a power of two
 * @param windowBase first of the I/O addresses at which this slave may map memory: begins a page
 * @param windowBytes how many there are: whole pages, 0 for none
 */
public record DeviceDescription(
    String name,
    String address,
    long doorbellsOffset,
    long doorbellsBytes,
    int strideBytes,
    long windowBase,
    long windowBytes) {
  private static final int PAGE_MASK = 4095;
  private static final int STRIDE_MAX = 1 << 17;

  /** Appends it to a message. */
  public void write(final RelayWriter writer) {
    writer
        .putString(name)
        .putString(address)
        .putLong(doorbellsOffset)
        .putLong(doorbellsBytes)
        .putInt(strideBytes)
        .putLong(windowBase)
        .putLong(windowBytes);
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @throws RelayFormatException when a number is out of range
   */
  public static DeviceDescription read(final RelayReader reader) {
    final DeviceDescription read =
        new DeviceDescription(
            reader.getString(),
            reader.getString(),
            reader.getLong(),
            reader.getLong(),
            reader.getInt(),
            reader.getLong(),
            reader.getLong());
    final long pages =
        read.doorbellsOffset | read.doorbellsBytes | read.windowBase | read.windowBytes;
    if ((pages & PAGE_MASK) != 0
        || read.windowBase < 0
        || read.windowBytes < 0
        || read.windowBytes > Long.MAX_VALUE - read.windowBase
        || read.doorbellsOffset < 0
        || read.doorbellsBytes <= 0
        || Integer.bitCount(read.strideBytes) != 1
        || read.strideBytes < Integer.BYTES
        || read.strideBytes > STRIDE_MAX) {
      throw new RelayFormatException("bad device: " + read);
    }
    return read;
  }
}
