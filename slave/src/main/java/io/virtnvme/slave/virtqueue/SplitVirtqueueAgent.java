package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.AvailRing;
import io.virtnvme.ipc.virtio.EventIndex;
import io.virtnvme.ipc.virtio.SplitDescriptor;
import io.virtnvme.ipc.virtio.UsedRing;
import io.virtnvme.journal.SplitInflight;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateGate;
import io.virtnvme.slave.blk.BlkTask;

/**
 * A split virtqueue (virtio 1.2, 2.7). A slot is the head of a descriptor chain.
 *
 * <p>The used index is ours alone, so it is kept here and never read back while running; the avail
 * index is the guest's and is read once per {@link #fetch}.
 */
final class SplitVirtqueueAgent extends VirtqueueAgent {
  /**
   * Descriptors that one request may have; far more than a task takes, so that its status byte is
   * still found.
   */
  private static final int CHAIN_MAX = 1024;

  private static final int INDEX_MASK = 0xFFFF;

  private final SplitInflight journal;
  private final int ringMask;
  private long descriptors;
  private long avail;
  private long used;
  private int nextAvail;
  private int usedIndex;
  private int signalledIndex;

  SplitVirtqueueAgent(
      final QueueSetup setup, final BlockChannel channel, final RateGate gate, final int ringSlot) {
    super(setup, channel, gate, ringSlot, setup.inflightQueueSize());
    if (Integer.bitCount(setup.queueSize()) != 1 || setup.inflightQueueSize() < setup.queueSize()) {
      throw new IllegalArgumentException(
          "split ring needs a power of two, and an inflight region for as many: queueSize="
              + setup.queueSize()
              + " inflightQueueSize="
              + setup.inflightQueueSize());
    }
    this.ringMask = setup.queueSize() - 1;
    this.journal = new SplitInflight(setup.inflightAddress(), setup.inflightQueueSize());
    onMoved(setup);
  }

  @Override
  void onMoved(final QueueSetup moved) {
    descriptors = moved.descriptorAddress();
    avail = moved.availAddress();
    used = moved.usedAddress();
  }

  @Override
  int openJournal(final int[] slotsOut) {
    final String complaint = journal.validate();
    if (complaint != null) {
      broken.becauseOfJournal(complaint);
      return 0;
    }
    usedIndex = Mem.getUnsignedShort(used + UsedRing.INDEX_OFFSET);
    signalledIndex = usedIndex;
    if (journal.isNew()) {
      journal.initialise(0, usedIndex);
      nextAvail = setup().base() & INDEX_MASK;
      return 0;
    }
    return adopt(slotsOut);
  }

  @Override
  int recoverJournal(final int[] slotsOut) {
    usedIndex = Mem.getUnsignedShort(used + UsedRing.INDEX_OFFSET);
    return adopt(slotsOut);
  }

  private int adopt(final int[] slotsOut) {
    final int count = journal.recover(usedIndex, slotsOut);
    // Every head fetched and not yet used is inflight, so the ring's own index and their number say
    // where fetching stopped.
    nextAvail = usedIndex + count & INDEX_MASK;
    return count;
  }

  @Override
  public int base() {
    return nextAvail;
  }

  @Override
  int fetch(final int limit) {
    int next = nextAvail;
    final int pending =
        Mem.getUnsignedShortAcquire(avail + AvailRing.INDEX_OFFSET) - next & INDEX_MASK;
    if (pending == 0) {
      return 0;
    }
    if (pending > queueSize) {
      counters.onGuestFault();
      broken.because(RingFault.AVAIL_INDEX, pending, queueSize);
      return 0;
    }
    final int count = Math.min(pending, limit);
    int fetched = 0;
    boolean room = true;
    while (fetched < count && room) {
      final int head =
          Mem.getUnsignedShort(
              avail + AvailRing.RING_OFFSET + (long) (next & ringMask) * AvailRing.ENTRY_LENGTH);
      if (!isAcceptable(head)) {
        break;
      }
      next = next + 1 & INDEX_MASK;
      nextAvail = next;
      journal.onFetch(head);
      fetched++;
      room = run(tasks.task(head));
      if (tasks.doneCount() >= BATCH_MAX) {
        publishBatch();
      }
    }
    return fetched;
  }

  private boolean isAcceptable(final int head) {
    if (head >= queueSize) {
      counters.onGuestFault();
      broken.because(RingFault.HEAD_RANGE, head, queueSize);
      return false;
    }
    if (tasks.task(head).state() != BlkTask.State.FREE) {
      counters.onGuestFault();
      broken.because(RingFault.HEAD_TWICE, head, inFlightCount());
      return false;
    }
    return true;
  }

  @Override
  boolean readChain(final BlkTask task) {
    final int head = task.slot();
    if (head >= queueSize) {
      // Only a journal that somebody scribbled on says so.
      broken.because(RingFault.HEAD_RANGE, head, queueSize);
      return false;
    }
    int index = head;
    for (int count = 0; count < queueSize && count < CHAIN_MAX; count++) {
      final long descriptor = descriptors + (long) index * SplitDescriptor.DESCRIPTOR_LENGTH;
      final long address = Mem.getLong(descriptor + SplitDescriptor.ADDRESS_OFFSET);
      final long word = Mem.getLong(descriptor + SplitDescriptor.WORD_OFFSET);
      final int flags = SplitDescriptor.flags(word);
      if ((flags & SplitDescriptor.FLAG_INDIRECT) != 0) {
        // 2.7.5.3.1: the feature must be negotiated, and the table ends the chain.
        if (!indirectOffered || (flags & SplitDescriptor.FLAG_NEXT) != 0) {
          chain.fault(ChainReader.FAULT_INDIRECT);
        }
        return readTable(address, SplitDescriptor.length(word));
      }
      chain.add(address, SplitDescriptor.length(word), (flags & SplitDescriptor.FLAG_WRITE) != 0);
      if ((flags & SplitDescriptor.FLAG_NEXT) == 0) {
        return true;
      }
      index = SplitDescriptor.next(word);
      if (index >= queueSize) {
        broken.because(RingFault.CHAIN_RANGE, index, queueSize);
        return false;
      }
    }
    broken.because(RingFault.CHAIN_LOOP, head, Math.min(queueSize, CHAIN_MAX));
    return false;
  }

  private boolean readTable(final long tableGuestAddress, final long tableBytes) {
    if (tableBytes == 0 || tableBytes % SplitDescriptor.DESCRIPTOR_LENGTH != 0) {
      broken.because(RingFault.TABLE_LENGTH, tableBytes, SplitDescriptor.DESCRIPTOR_LENGTH);
      return false;
    }
    final long entryCount = tableBytes / SplitDescriptor.DESCRIPTOR_LENGTH;
    final long table = chain.memory().translate(tableGuestAddress, tableBytes);
    int index = 0;
    for (int count = 0; count < entryCount && count < CHAIN_MAX; count++) {
      final long offset = (long) index * SplitDescriptor.DESCRIPTOR_LENGTH;
      // A table over the border of two regions is rare, and each descriptor is looked up then.
      final long descriptor =
          table != 0
              ? table + offset
              : chain
                  .memory()
                  .translate(tableGuestAddress + offset, SplitDescriptor.DESCRIPTOR_LENGTH);
      if (descriptor == 0) {
        broken.because(RingFault.TABLE_ADDRESS, tableGuestAddress, index);
        return false;
      }
      final long address = Mem.getLong(descriptor + SplitDescriptor.ADDRESS_OFFSET);
      final long word = Mem.getLong(descriptor + SplitDescriptor.WORD_OFFSET);
      final int flags = SplitDescriptor.flags(word);
      if ((flags & SplitDescriptor.FLAG_INDIRECT) != 0) {
        chain.fault(ChainReader.FAULT_INDIRECT);
      } else {
        chain.add(address, SplitDescriptor.length(word), (flags & SplitDescriptor.FLAG_WRITE) != 0);
      }
      if ((flags & SplitDescriptor.FLAG_NEXT) == 0) {
        return true;
      }
      index = SplitDescriptor.next(word);
      if (index >= entryCount) {
        broken.because(RingFault.CHAIN_RANGE, index, entryCount);
        return false;
      }
    }
    broken.because(RingFault.CHAIN_LOOP, 0, Math.min(entryCount, CHAIN_MAX));
    return false;
  }

  @Override
  void publish(final int count) {
    int index = usedIndex;
    journal.batchBegin();
    for (int i = 0; i < count; i++) {
      final int head = tasks.doneAt(i);
      journal.batchAdd(head);
      final long offset =
          UsedRing.RING_OFFSET + (long) (index & ringMask) * UsedRing.ELEMENT_LENGTH;
      Mem.putLong(used + offset, UsedRing.element(head, tasks.task(head).usedBytes()));
      if (logging) {
        markUsed(offset, UsedRing.ELEMENT_LENGTH);
      }
      index = index + 1 & INDEX_MASK;
    }
    journal.batchCommitHeads();
    if (logging) {
      markUsed(UsedRing.INDEX_OFFSET, Short.BYTES);
    }
    // 2.7.8.2: the elements are visible before the index. A death before this store leaves the
    // batch to be submitted again, one
    // behind it to be cleared from the journal.
    Mem.putShortRelease(used + UsedRing.INDEX_OFFSET, (short) index);
    journal.batchEnd(index);
    usedIndex = index;
  }

  private void markUsed(final long offset, final long lengthBytes) {
    final long usedLogAddress = setup().usedLogAddress();
    if (usedLogAddress != -1) {
      log.markGuest(usedLogAddress + offset, lengthBytes);
    }
  }

  @Override
  boolean takeCallDue() {
    final int before = signalledIndex;
    final int now = usedIndex;
    if (before == now) {
      return false;
    }
    signalledIndex = now;
    // The index must be visible before the driver's wish is read (2.7.7).
    Mem.fullFence();
    if (eventIndex) {
      return EventIndex.isDue(
          Mem.getUnsignedShort(avail + AvailRing.usedEventOffset(queueSize)), now, before);
    }
    return (Mem.getUnsignedShort(avail + AvailRing.FLAGS_OFFSET) & AvailRing.FLAG_NO_INTERRUPT)
        == 0;
  }

  @Override
  void allowKicks() {
    if (eventIndex) {
      final int offset = UsedRing.availEventOffset(queueSize);
      Mem.putShortRelease(used + offset, (short) nextAvail);
      markIfLogging(offset);
    } else {
      Mem.putShortRelease(used + UsedRing.FLAGS_OFFSET, (short) 0);
      markIfLogging(UsedRing.FLAGS_OFFSET);
    }
    Mem.fullFence();
  }

  @Override
  void forbidKicks() {
    // With event index, avail_event just stays behind: the driver passes it once in 65536 requests.
    if (!eventIndex) {
      Mem.putShortRelease(used + UsedRing.FLAGS_OFFSET, (short) UsedRing.FLAG_NO_NOTIFY);
      markIfLogging(UsedRing.FLAGS_OFFSET);
    }
  }

  private void markIfLogging(final int offset) {
    if (logging) {
      markUsed(offset, Short.BYTES);
    }
  }

  @Override
  boolean requestsWait() {
    return Mem.getUnsignedShortAcquire(avail + AvailRing.INDEX_OFFSET) != nextAvail;
  }
}
