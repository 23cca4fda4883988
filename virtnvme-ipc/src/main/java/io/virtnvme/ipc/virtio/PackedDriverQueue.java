package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.Mem;

/** The driver's side of a packed virtqueue (virtio 1.2, 2.8). One thread. */
public final class PackedDriverQueue extends RingDriver {
  private static final int WRAP_BIT = 1 << 15;

  private final int[] descriptorCounts;
  private int availIndex;
  private boolean availWrap = true;
  private int usedIndex;
  private boolean usedWrap = true;
  private int lookedAtPosition = -1;
  private int freeDescriptors;
  private int addedCount;
  private long firstWordAddress;
  private long firstWord;

  /**
   * Makes an empty ring; clears the memory range.
   *
   * @param address host address of the range, aligned to 64; {@link #length} bytes
   * @param guestAddress where the back-end knows it, aligned to 64
   * @param queueSize 1..32768
   * @param features negotiated bits: event index and indirect descriptors count here
   * @param segmentMax data segments per request
   */
  public PackedDriverQueue(
      final long address,
      final long guestAddress,
      final int queueSize,
      final long features,
      final int segmentMax) {
    super(
        address,
        guestAddress,
        queueSize,
        features,
        segmentMax,
        EventSuppression.LENGTH,
        EventSuppression.LENGTH);
    this.descriptorCounts = new int[queueSize];
    this.freeDescriptors = queueSize;
  }

  /** Bytes of memory that a queue needs. */
  public static long length(final int queueSize, final int segmentMax) {
    return length(queueSize, segmentMax, EventSuppression.LENGTH, EventSuppression.LENGTH);
  }

  @Override
  public int initialBase() {
    return WRAP_BIT | (WRAP_BIT << Short.SIZE);
  }

  @Override
  boolean place(final int token) {
    final int needed = indirect ? 1 : segmentCount;
    if (needed > freeDescriptors) {
      return false;
    }
    if (indirect) {
      final long table = tableAddress(token);
      for (int i = 0; i < segmentCount; i++) {
        final long address = table + (long) i * PackedDescriptor.DESCRIPTOR_LENGTH;
        Mem.putLong(address + PackedDescriptor.ADDRESS_OFFSET, segmentAddresses[i]);
        Mem.putLong(
            address + PackedDescriptor.WORD_OFFSET,
            PackedDescriptor.word(
                segmentLengths[i], 0, segmentWrites[i] ? PackedDescriptor.FLAG_WRITE : 0));
      }
      writeDescriptor(
          guestAddressOf(table),
          segmentCount * PackedDescriptor.DESCRIPTOR_LENGTH,
          token,
          PackedDescriptor.FLAG_INDIRECT);
    } else {
      for (int i = 0; i < segmentCount; i++) {
        writeDescriptor(
            segmentAddresses[i],
            segmentLengths[i],
            token,
            (segmentWrites[i] ? PackedDescriptor.FLAG_WRITE : 0)
                | (i < segmentCount - 1 ? PackedDescriptor.FLAG_NEXT : 0));
      }
    }
    descriptorCounts[token] = needed;
    freeDescriptors -= needed;
    return true;
  }

  /**
   * The first one since the last publish keeps its old flags until then: the device stops there.
   */
  private void writeDescriptor(
      final long guestAddress, final int lengthBytes, final int id, final int flags) {
    final long address = descriptor(availIndex);
    final long word =
        PackedDescriptor.word(lengthBytes, id, flags | PackedDescriptor.availFlags(availWrap));
    Mem.putLong(address + PackedDescriptor.ADDRESS_OFFSET, guestAddress);
    if (addedCount == 0) {
      firstWordAddress = address + PackedDescriptor.WORD_OFFSET;
      firstWord = word;
    } else {
      Mem.putLongRelease(address + PackedDescriptor.WORD_OFFSET, word);
    }
    addedCount++;
    availIndex++;
    if (availIndex == queueSize) {
      availIndex = 0;
      availWrap = !availWrap;
    }
  }

  private long descriptor(final int index) {
    return descriptors + (long) index * PackedDescriptor.DESCRIPTOR_LENGTH;
  }

  @Override
  public boolean publish() {
    if (addedCount == 0) {
      return false;
    }
    Mem.putLongRelease(firstWordAddress, firstWord);
    final int count = addedCount;
    addedCount = 0;
    // The flags must be visible before the device's wish is read.
    Mem.fullFence();
    return EventSuppression.isDue(
        Mem.getInt(deviceArea), eventIndex, queueSize, availIndex, availWrap, count);
  }

  @Override
  public boolean hasAdvanced() {
    final long word = Mem.getLongAcquire(descriptor(usedIndex) + PackedDescriptor.WORD_OFFSET);
    if (freeDescriptors == queueSize
        || !PackedDescriptor.isUsed(PackedDescriptor.flags(word), usedWrap)) {
      return false;
    }
    final int position = usedWrap ? usedIndex + queueSize : usedIndex;
    final boolean advanced = position != lookedAtPosition;
    lookedAtPosition = position;
    return advanced;
  }

  @Override
  public boolean isDeviceIdle() {
    return inFlightCount() == 0;
  }

  @Override
  public int poll() {
    while (true) {
      final long word = Mem.getLongAcquire(descriptor(usedIndex) + PackedDescriptor.WORD_OFFSET);
      final boolean untouched = freeDescriptors == queueSize;
      if (untouched || !PackedDescriptor.isUsed(PackedDescriptor.flags(word), usedWrap)) {
        return NONE;
      }
      final int token = PackedDescriptor.id(word);
      final boolean known = finish(token, (int) PackedDescriptor.length(word));
      final int count = known ? descriptorCounts[token] : 1;
      usedIndex += count;
      if (usedIndex >= queueSize) {
        usedIndex -= queueSize;
        usedWrap = !usedWrap;
      }
      if (known) {
        freeDescriptors += count;
        return token;
      }
    }
  }

  @Override
  public boolean enableCalls() {
    final int flags = eventIndex ? EventSuppression.FLAGS_DESC : EventSuppression.FLAGS_ENABLE;
    Mem.putInt(driverArea, EventSuppression.word(usedIndex, usedWrap, flags));
    Mem.fullFence();
    final long word = Mem.getLongAcquire(descriptor(usedIndex) + PackedDescriptor.WORD_OFFSET);
    return inFlightCount > 0 && PackedDescriptor.isUsed(PackedDescriptor.flags(word), usedWrap);
  }

  @Override
  public void disableCalls() {
    Mem.putInt(driverArea, EventSuppression.word(0, false, EventSuppression.FLAGS_DISABLE));
  }
}
