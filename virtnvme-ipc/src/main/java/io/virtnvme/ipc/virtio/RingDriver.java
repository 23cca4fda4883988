package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.Mem;

/**
 * What both ring layouts share on the driver's side: request slots with header, status byte and
 * indirect table, and the segments of the request being built. One thread.
 *
 * <pre>
 *  memory range   | descriptors | driver area | device area | slot 0 | slot 1 | ...
 *  slot           | header 16 | status 1, padding | indirect table, 16 per segment |
 * </pre>
 */
public abstract class RingDriver implements DriverQueue {
  /** Header and status. */
  private static final int EXTRA_SEGMENTS = 2;

  private static final int PART_ALIGNMENT = 64;
  private static final int DESCRIPTOR_LENGTH = SplitDescriptor.DESCRIPTOR_LENGTH;
  private static final int STATUS_OFFSET = BlkRequest.HEADER_LENGTH;
  private static final int TABLE_OFFSET = 2 * BlkRequest.HEADER_LENGTH;

  final int queueSize;
  final boolean eventIndex;
  final long descriptors;
  final long driverArea;
  final long deviceArea;
  final long[] segmentAddresses;
  final int[] segmentLengths;
  final boolean[] segmentWrites;
  int segmentCount;
  int currentToken = NONE;
  boolean indirect;
  int inFlightCount;
  long faultCount;

  private final long hostMinusGuest;
  private final long slots;
  private final int slotLength;
  private final int[] freeTokens;
  private final boolean[] inFlight;
  private final int[] usedLengths;
  private int freeCount;

  RingDriver(
      final long address,
      final long guestAddress,
      final int queueSize,
      final long features,
      final int segmentMax,
      final int driverAreaBytes,
      final int deviceAreaBytes) {
    if (address % PART_ALIGNMENT != 0 || guestAddress % PART_ALIGNMENT != 0) {
      throw new IllegalArgumentException(
          "memory not aligned to "
              + PART_ALIGNMENT
              + " bytes: address=0x"
              + Long.toHexString(address)
              + " guestAddress=0x"
              + Long.toHexString(guestAddress));
    }
    this.queueSize = queueSize;
    this.eventIndex = VirtioFeature.has(features, VirtioFeature.RING_EVENT_IDX);
    this.indirect = VirtioFeature.has(features, VirtioFeature.RING_INDIRECT_DESC);
    this.hostMinusGuest = address - guestAddress;
    this.descriptors = address;
    this.driverArea = address + aligned((long) queueSize * DESCRIPTOR_LENGTH);
    this.deviceArea = driverArea + aligned(driverAreaBytes);
    this.slots = deviceArea + aligned(deviceAreaBytes);
    final int segments = segmentMax + EXTRA_SEGMENTS;
    this.slotLength = slotLength(segmentMax);
    this.segmentAddresses = new long[segments];
    this.segmentLengths = new int[segments];
    this.segmentWrites = new boolean[segments];
    this.freeTokens = new int[queueSize];
    this.inFlight = new boolean[queueSize];
    this.usedLengths = new int[queueSize];
    for (int i = 0; i < queueSize; i++) {
      freeTokens[i] = queueSize - 1 - i;
    }
    this.freeCount = queueSize;
    final long lengthBytes = slots + (long) queueSize * slotLength - address;
    Mem.fill(address, lengthBytes, (byte) 0);
  }

  static long length(
      final int queueSize,
      final int segmentMax,
      final int driverAreaBytes,
      final int deviceAreaBytes) {
    return aligned((long) queueSize * DESCRIPTOR_LENGTH)
        + aligned(driverAreaBytes)
        + aligned(deviceAreaBytes)
        + (long) queueSize * slotLength(segmentMax);
  }

  private static int slotLength(final int segmentMax) {
    return (int) aligned(TABLE_OFFSET + (long) (segmentMax + EXTRA_SEGMENTS) * DESCRIPTOR_LENGTH);
  }

  private static long aligned(final long lengthBytes) {
    return (lengthBytes + PART_ALIGNMENT - 1) & -PART_ALIGNMENT;
  }

  @Override
  public final int queueSize() {
    return queueSize;
  }

  @Override
  public final long descriptorGuestAddress() {
    return descriptors - hostMinusGuest;
  }

  @Override
  public final long driverAreaGuestAddress() {
    return driverArea - hostMinusGuest;
  }

  @Override
  public final long deviceAreaGuestAddress() {
    return deviceArea - hostMinusGuest;
  }

  /**
   * Whether requests go into indirect tables from now on; the feature must be negotiated for true.
   */
  public final void useIndirect(final boolean on) {
    indirect = on;
  }

  @Override
  public final int begin(final int type, final long sector) {
    final int token = beginBare();
    if (token != NONE) {
      final long header = slot(token);
      Mem.putInt(header + BlkRequest.TYPE_OFFSET, type);
      Mem.putInt(header + BlkRequest.RESERVED_OFFSET, 0);
      Mem.putLong(header + BlkRequest.SECTOR_OFFSET, sector);
      data(header - hostMinusGuest, BlkRequest.HEADER_LENGTH, false);
    }
    return token;
  }

  /**
   * Begins a request without header: the caller frames header and status itself, see {@link
   * #headerGuestAddress}, and ends with {@link #addBare}.
   *
   * @return its token, or {@link #NONE}
   */
  public final int beginBare() {
    if (freeCount == 0) {
      return NONE;
    }
    currentToken = freeTokens[freeCount - 1];
    segmentCount = 0;
    Mem.putByte(slot(currentToken) + STATUS_OFFSET, (byte) BlkRequest.STATUS_NONE);
    return currentToken;
  }

  /** Where the slot's 16 header bytes lie; for {@link #beginBare}. */
  public final long headerGuestAddress(final int token) {
    return slot(token) - hostMinusGuest;
  }

  /** Where the slot's status byte lies; for {@link #beginBare}. */
  public final long statusGuestAddress(final int token) {
    return slot(token) + STATUS_OFFSET - hostMinusGuest;
  }

  @Override
  public final void data(
      final long guestAddress, final int lengthBytes, final boolean deviceWrites) {
    final int index = segmentCount++;
    segmentAddresses[index] = guestAddress;
    segmentLengths[index] = lengthBytes;
    segmentWrites[index] = deviceWrites;
  }

  @Override
  public final boolean add() {
    data(statusGuestAddress(currentToken), BlkRequest.STATUS_LENGTH, true);
    if (addBare()) {
      return true;
    }
    segmentCount--;
    return false;
  }

  /**
   * Puts the request in the ring as it is, without a status segment; false if there is no room for
   * it.
   */
  public final boolean addBare() {
    if (!place(currentToken)) {
      return false;
    }
    freeCount--;
    inFlight[currentToken] = true;
    inFlightCount++;
    currentToken = NONE;
    return true;
  }

  /** Writes the descriptors of the request's segments; false without room. */
  abstract boolean place(int token);

  /** Host address of a token's indirect table. */
  final long tableAddress(final int token) {
    return slot(token) + TABLE_OFFSET;
  }

  final long guestAddressOf(final long hostAddress) {
    return hostAddress - hostMinusGuest;
  }

  /** Takes a completion; false, and a fault counted, if the token is not in flight. */
  final boolean finish(final int token, final int usedLength) {
    if (token < 0 || token >= queueSize || !inFlight[token]) {
      faultCount++;
      return false;
    }
    inFlight[token] = false;
    inFlightCount--;
    usedLengths[token] = usedLength;
    return true;
  }

  @Override
  public final int status(final int token) {
    return Mem.getByte(slot(token) + STATUS_OFFSET) & 0xFF;
  }

  @Override
  public final int usedLength(final int token) {
    return usedLengths[token];
  }

  @Override
  public final void reclaim(final int token) {
    freeTokens[freeCount++] = token;
  }

  @Override
  public final int inFlightCount() {
    return inFlightCount;
  }

  @Override
  public final long faultCount() {
    return faultCount;
  }

  private long slot(final int token) {
    return slots + (long) token * slotLength;
  }
}
