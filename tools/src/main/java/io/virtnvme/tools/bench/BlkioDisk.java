package io.virtnvme.tools.bench;

import io.virtnvme.ipc.disk.DiskFrontEnd;
import io.virtnvme.ipc.disk.DiskQueue;
import io.virtnvme.ipc.memory.Mem;

/**
 * A vhost-user-blk disk driven by libblkio: a client that neither we nor the peers have written.
 * One queue, polled; guest addresses are addresses of this process. One thread.
 *
 * <p>The library waits for ever when its back-end goes away; nothing here ever waits in it.
 */
final class BlkioDisk implements DiskFrontEnd, DiskQueue {
  private static final String DRIVER = "virtio-blk-vhost-user";
  private static final long REGION_ALIGNMENT_BYTES = 2 << 20;
  private static final int SECTOR_BYTES = 512;

  private final String socketPath;
  private final int queueSize;
  private final long lengthBytes;

  /** Handle, value of a property, memory region, completions. */
  private final long memory;

  private final long valueAddress;
  private final long regionAddress;
  private final long completions;
  private final int[] freeTokens;
  private final int[] statuses;
  private int freeCount;
  private int completionCount;
  private int taken;
  private int inFlightCount;
  private long faultCount;
  private long queue;
  private int token = NONE;
  private int type;
  private long sector;
  private long dataAddress;
  private int dataBytes;

  /**
   * Connects.
   *
   * @param memoryBytes for data
   * @throws BenchException when the library or the back-end refuses
   */
  BlkioDisk(final String socketPath, final int queueSize, final long memoryBytes) {
    this.socketPath = socketPath;
    this.queueSize = queueSize;
    lengthBytes = (memoryBytes + REGION_ALIGNMENT_BYTES - 1) & -REGION_ALIGNMENT_BYTES;
    memory =
        Mem.allocate(
            2 * Long.BYTES + Blkio.REGION_BYTES + (long) queueSize * Blkio.COMPLETION_BYTES);
    valueAddress = memory + Long.BYTES;
    regionAddress = valueAddress + Long.BYTES;
    completions = regionAddress + Blkio.REGION_BYTES;
    freeTokens = new int[queueSize];
    statuses = new int[queueSize];
    for (int i = 0; i < queueSize; i++) {
      freeTokens[i] = queueSize - 1 - i;
    }
    freeCount = queueSize;
    Mem.putLong(memory, 0);
    try {
      open();
    } catch (final BenchException e) {
      close();
      throw e;
    }
  }

  private void open() {
    check("blkio_create", Blkio.blkio_create(DRIVER, memory));
    final long handle = Mem.getLong(memory);
    check("path", Blkio.blkio_set_str(handle, "path", socketPath));
    check("blkio_connect", Blkio.blkio_connect(handle));
    check("queue-size", Blkio.blkio_set_int(handle, "queue-size", queueSize));
    check("blkio_start", Blkio.blkio_start(handle));
    check(
        "blkio_alloc_mem_region", Blkio.blkio_alloc_mem_region(handle, regionAddress, lengthBytes));
    check("blkio_map_mem_region", Blkio.blkio_map_mem_region(handle, regionAddress));
    check("capacity", Blkio.blkio_get_uint64(handle, "capacity", valueAddress));
    queue = Blkio.blkio_get_queue(handle, 0);
  }

  private void check(final String what, final int result) {
    if (result < 0) {
      throw new BenchException(
          "libblkio, " + what + " at " + socketPath + ": " + Blkio.blkio_get_error_msg());
    }
  }

  @Override
  public DiskQueue queue(final int index) {
    return this;
  }

  @Override
  public void kick(final int index) {
    // The library does it by itself.
  }

  @Override
  public long capacityBytes() {
    return Mem.getLong(valueAddress);
  }

  @Override
  public long dataGuestAddress() {
    return Mem.getLong(regionAddress + Blkio.REGION_ADDRESS_OFFSET);
  }

  @Override
  public long dataBytes() {
    return lengthBytes;
  }

  @Override
  public long toHost(final long guestAddress) {
    return guestAddress;
  }

  /** The library does not tell: a back-end that is gone shows as one that does not answer. */
  @Override
  public boolean isConnected() {
    return true;
  }

  @Override
  public boolean tryReconnect() {
    throw new IllegalStateException("libblkio cannot connect anew");
  }

  @Override
  public int peerPid() {
    return 0;
  }

  @Override
  public int queueSize() {
    return queueSize;
  }

  @Override
  public int begin(final int newType, final long newSector) {
    if (freeCount == 0) {
      return NONE;
    }
    token = freeTokens[freeCount - 1];
    type = newType;
    sector = newSector;
    return token;
  }

  @Override
  public void data(final long guestAddress, final int newDataBytes, final boolean deviceWrites) {
    dataAddress = guestAddress;
    dataBytes = newDataBytes;
  }

  @Override
  public boolean add() {
    final long startBytes = sector * SECTOR_BYTES;
    switch (type) {
      case READ -> Blkio.blkioq_read(queue, startBytes, dataAddress, dataBytes, token, 0);
      case WRITE -> Blkio.blkioq_write(queue, startBytes, dataAddress, dataBytes, token, 0);
      case FLUSH -> Blkio.blkioq_flush(queue, token, 0);
      default -> throw new IllegalStateException("type=" + type);
    }
    freeCount--;
    inFlightCount++;
    return true;
  }

  @Override
  public boolean publish() {
    doIo();
    return false;
  }

  /** Hands over what was added, and takes what there is room for; does not wait. */
  private void doIo() {
    if (taken == completionCount) {
      taken = 0;
      completionCount = 0;
    }
    final int count =
        Blkio.blkioq_do_io(
            queue,
            completions + (long) completionCount * Blkio.COMPLETION_BYTES,
            0,
            queueSize - completionCount,
            0);
    if (count < 0) {
      throw new BenchException("libblkio, blkioq_do_io: error " + -count);
    }
    completionCount += count;
  }

  @Override
  public int poll() {
    if (taken == completionCount) {
      doIo();
    }
    while (taken < completionCount) {
      final long completion = completions + (long) taken * Blkio.COMPLETION_BYTES;
      taken++;
      final long word = Mem.getLong(completion + Blkio.COMPLETION_WORD_OFFSET);
      if (word >= 0 && word < queueSize && inFlightCount > 0) {
        statuses[(int) word] = -Mem.getInt(completion + Blkio.COMPLETION_RESULT_OFFSET);
        inFlightCount--;
        return (int) word;
      }
      faultCount++;
    }
    return NONE;
  }

  @Override
  public boolean hasAdvanced() {
    if (taken == completionCount) {
      doIo();
    }
    return taken < completionCount;
  }

  @Override
  public boolean isDeviceIdle() {
    return inFlightCount == 0;
  }

  @Override
  public int status(final int finished) {
    return statuses[finished];
  }

  @Override
  public void reclaim(final int finished) {
    freeTokens[freeCount] = finished;
    freeCount++;
  }

  @Override
  public int inFlightCount() {
    return inFlightCount;
  }

  @Override
  public long faultCount() {
    return faultCount;
  }

  @Override
  public void close() {
    if (Mem.getLong(memory) != 0) {
      Blkio.blkio_destroy(memory);
    }
    Mem.free(memory);
  }
}
