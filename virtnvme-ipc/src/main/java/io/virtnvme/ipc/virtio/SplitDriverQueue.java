package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.Mem;

/** The driver's side of a split virtqueue (virtio 1.2, 2.7). One thread. */
public final class SplitDriverQueue extends RingDriver {
  private static final int INDEX_MASK = 0xFFFF;

  private final int[] nextFree;
  private final int[] tokenOfHead;
  private final int[] lastOfHead;
  private final int startIndex;
  private int freeHead;
  private int freeDescriptors;
  private int availIndex;
  private int publishedIndex;
  private int usedIndex;
  private int lookedAtIndex;

  /**
   * Makes an empty ring; clears the memory range.
   *
   * @param address host address of the range, aligned to 64; {@link #length} bytes
   * @param guestAddress where the back-end knows it, aligned to 64
   * @param queueSize a power of two, 1..32768
   * @param features negotiated bits: event index and indirect descriptors count here
   * @param segmentMax data segments per request
   */
  public SplitDriverQueue(
      final long address,
      final long guestAddress,
      final int queueSize,
      final long features,
      final int segmentMax) {
    this(address, guestAddress, queueSize, features, segmentMax, 0);
  }

  /**
   * The same, as if the ring had been in use before.
   *
   * @param startIndex avail and used index to begin at, 0..65535
   */
  public SplitDriverQueue(
      final long address,
      final long guestAddress,
      final int queueSize,
      final long features,
      final int segmentMax,
      final int startIndex) {
    super(
        address,
        guestAddress,
        queueSize,
        features,
        segmentMax,
        AvailRing.length(queueSize),
        UsedRing.length(queueSize));
    if (Integer.bitCount(queueSize) != 1) {
      throw new IllegalArgumentException("queue size not a power of two: " + queueSize);
    }
    this.nextFree = new int[queueSize];
    this.tokenOfHead = new int[queueSize];
    this.lastOfHead = new int[queueSize];
    for (int i = 0; i < queueSize; i++) {
      nextFree[i] = i + 1;
      tokenOfHead[i] = NONE;
    }
    this.freeDescriptors = queueSize;
    this.startIndex = startIndex;
    this.availIndex = startIndex;
    this.publishedIndex = startIndex;
    this.usedIndex = startIndex;
    Mem.putShort(driverArea + AvailRing.INDEX_OFFSET, (short) startIndex);
    Mem.putShort(deviceArea + UsedRing.INDEX_OFFSET, (short) startIndex);
  }

  /** Bytes of memory that a queue needs. */
  public static long length(final int queueSize, final int segmentMax) {
    return length(queueSize, segmentMax, AvailRing.length(queueSize), UsedRing.length(queueSize));
  }

  @Override
  public int initialBase() {
    return startIndex;
  }

  @Override
  boolean place(final int token) {
    final int needed = indirect ? 1 : segmentCount;
    if (needed > freeDescriptors) {
      return false;
    }
    final int head = freeHead;
    int last = head;
    if (indirect) {
      final long table = tableAddress(token);
      for (int i = 0; i < segmentCount; i++) {
        writeDescriptor(table + (long) i * SplitDescriptor.DESCRIPTOR_LENGTH, i, i + 1);
      }
      final long descriptor = descriptor(head);
      Mem.putLong(descriptor + SplitDescriptor.ADDRESS_OFFSET, guestAddressOf(table));
      Mem.putLong(
          descriptor + SplitDescriptor.WORD_OFFSET,
          SplitDescriptor.word(
              segmentCount * SplitDescriptor.DESCRIPTOR_LENGTH, SplitDescriptor.FLAG_INDIRECT, 0));
    } else {
      int index = head;
      for (int i = 0; i < segmentCount; i++) {
        writeDescriptor(descriptor(index), i, nextFree[index]);
        last = index;
        index = nextFree[index];
      }
    }
    freeHead = nextFree[last];
    freeDescriptors -= needed;
    tokenOfHead[head] = token;
    lastOfHead[head] = last;
    Mem.putShort(
        driverArea
            + AvailRing.RING_OFFSET
            + (long) (availIndex & queueSize - 1) * AvailRing.ENTRY_LENGTH,
        (short) head);
    availIndex = availIndex + 1 & INDEX_MASK;
    return true;
  }

  private void writeDescriptor(final long address, final int segment, final int next) {
    final boolean more = segment < segmentCount - 1;
    Mem.putLong(address + SplitDescriptor.ADDRESS_OFFSET, segmentAddresses[segment]);
    Mem.putLong(
        address + SplitDescriptor.WORD_OFFSET,
        SplitDescriptor.word(
            segmentLengths[segment],
            (segmentWrites[segment] ? SplitDescriptor.FLAG_WRITE : 0)
                | (more ? SplitDescriptor.FLAG_NEXT : 0),
            more ? next : 0));
  }

  private long descriptor(final int index) {
    return descriptors + (long) index * SplitDescriptor.DESCRIPTOR_LENGTH;
  }

  @Override
  public boolean publish() {
    if (publishedIndex == availIndex) {
      return false;
    }
    final int before = publishedIndex;
    publishedIndex = availIndex;
    Mem.putShortRelease(driverArea + AvailRing.INDEX_OFFSET, (short) availIndex);
    // The index must be visible before the device's wish is read.
    Mem.fullFence();
    if (eventIndex) {
      final int event = Mem.getUnsignedShort(deviceArea + UsedRing.availEventOffset(queueSize));
      return EventIndex.isDue(event, availIndex, before);
    }
    return (Mem.getUnsignedShort(deviceArea + UsedRing.FLAGS_OFFSET) & UsedRing.FLAG_NO_NOTIFY)
        == 0;
  }

  @Override
  public boolean hasAdvanced() {
    final int index = Mem.getUnsignedShortAcquire(deviceArea + UsedRing.INDEX_OFFSET);
    final boolean advanced = index != lookedAtIndex;
    lookedAtIndex = index;
    return advanced;
  }

  @Override
  public boolean isDeviceIdle() {
    return Mem.getUnsignedShortAcquire(deviceArea + UsedRing.INDEX_OFFSET)
        == (publishedIndex & INDEX_MASK);
  }

  @Override
  public int poll() {
    while (Mem.getUnsignedShortAcquire(deviceArea + UsedRing.INDEX_OFFSET) != usedIndex) {
      final long element =
          Mem.getLong(
              deviceArea
                  + UsedRing.RING_OFFSET
                  + (long) (usedIndex & queueSize - 1) * UsedRing.ELEMENT_LENGTH);
      usedIndex = usedIndex + 1 & INDEX_MASK;
      final int head = (int) element;
      final int token = head >= 0 && head < queueSize ? tokenOfHead[head] : NONE;
      if (finish(token, (int) (element >>> Integer.SIZE))) {
        release(head);
        return token;
      }
    }
    return NONE;
  }

  private void release(final int head) {
    int count = 1;
    int index = head;
    final int last = lastOfHead[head];
    while (index != last) {
      index = nextFree[index];
      count++;
    }
    nextFree[last] = freeHead;
    freeHead = head;
    freeDescriptors += count;
    tokenOfHead[head] = NONE;
  }

  @Override
  public boolean enableCalls() {
    if (eventIndex) {
      Mem.putShort(driverArea + AvailRing.usedEventOffset(queueSize), (short) usedIndex);
    } else {
      Mem.putShort(driverArea + AvailRing.FLAGS_OFFSET, (short) 0);
    }
    Mem.fullFence();
    return Mem.getUnsignedShortAcquire(deviceArea + UsedRing.INDEX_OFFSET) != usedIndex;
  }

  @Override
  public void disableCalls() {
    if (eventIndex) {
      // An event just passed is not passed again for 65535 completions.
      Mem.putShort(driverArea + AvailRing.usedEventOffset(queueSize), (short) (usedIndex - 1));
    } else {
      Mem.putShort(driverArea + AvailRing.FLAGS_OFFSET, (short) AvailRing.FLAG_NO_INTERRUPT);
    }
  }
}
