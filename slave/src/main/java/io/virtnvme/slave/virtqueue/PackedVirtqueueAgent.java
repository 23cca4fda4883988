package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.EventSuppression;
import io.virtnvme.ipc.virtio.PackedDescriptor;
import io.virtnvme.journal.PackedInflight;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateGate;
import io.virtnvme.slave.blk.BlkTask;

/**
 * A packed virtqueue (virtio 1.2, 2.8). A slot is the first journal entry of a request: the journal
 * keeps a copy of every descriptor, and requests are read from there, when they are new as well as
 * after a takeover.
 */
final class PackedVirtqueueAgent extends VirtqueueAgent {
  /** Entries of an indirect table that are read; more than a task takes. */
  private static final int TABLE_MAX = 1024;

  private static final int INDEX_MASK = 0x7FFF;
  private static final int WRAP_SHIFT = 15;

  private final PackedInflight journal;
  private final int[] batchSlots = new int[BATCH_MAX];
  private long ring;
  private long driverEvent;
  private long deviceEvent;
  private int nextAvail;
  private boolean availWrap;
  private int publishedEntries;

  PackedVirtqueueAgent(
      final QueueSetup setup, final BlockChannel channel, final RateGate gate, final int ringSlot) {
    super(setup, channel, gate, ringSlot, setup.queueSize());
    this.journal = new PackedInflight(setup.inflightAddress(), setup.queueSize());
    onMoved(setup);
  }

  @Override
  void onMoved(final QueueSetup moved) {
    ring = moved.descriptorAddress();
    driverEvent = moved.availAddress();
    deviceEvent = moved.usedAddress();
  }

  @Override
  int openJournal(final int[] slotsOut) {
    final String complaint = journal.validate();
    if (complaint != null) {
      broken.becauseOfJournal(complaint);
      return 0;
    }
    if (!journal.isNew()) {
      return recoverJournal(slotsOut);
    }
    final int base = setup().base();
    final int availHalf = base & 0xFFFF;
    // A front-end that knows only the lower half leaves the upper one zero; a drained ring has
    // equal halves.
    final int usedHalf = base >>> Short.SIZE == 0 ? availHalf : base >>> Short.SIZE;
    final int availIndex = availHalf & INDEX_MASK;
    final int usedIndex = usedHalf & INDEX_MASK;
    if (availIndex >= queueSize || usedIndex >= queueSize) {
      broken.because(RingFault.BASE, Math.max(availIndex, usedIndex), queueSize);
      return 0;
    }
    journal.initialise(0, usedIndex, usedHalf >>> WRAP_SHIFT != 0);
    nextAvail = availIndex;
    availWrap = availHalf >>> WRAP_SHIFT != 0;
    return 0;
  }

  @Override
  int recoverJournal(final int[] slotsOut) {
    final int count = journal.recover(ring, slotsOut);
    nextAvail = journal.availIndex();
    availWrap = journal.availWrapCounter();
    publishedEntries = 0;
    return count;
  }

  @Override
  public int base() {
    return half(nextAvail, availWrap)
        | half(journal.usedIndex(), journal.usedWrapCounter()) << Short.SIZE;
  }

  private static int half(final int index, final boolean wrapCounter) {
    return index | (wrapCounter ? 1 << WRAP_SHIFT : 0);
  }

  private long descriptor(final int index) {
    return ring + (long) index * PackedDescriptor.DESCRIPTOR_LENGTH;
  }

  @Override
  int fetch(final int limit) {
    int fetched = 0;
    boolean room = true;
    while (fetched < limit && room) {
      // Flags, id and length in one load, before anything else of the request (2.8.6).
      final long word = Mem.getLongAcquire(descriptor(nextAvail) + PackedDescriptor.WORD_OFFSET);
      if (!PackedDescriptor.isAvailable(PackedDescriptor.flags(word), availWrap)) {
        break;
      }
      final int slot = take(word);
      if (slot < 0) {
        break;
      }
      fetched++;
      room = run(tasks.task(slot));
      if (tasks.doneCount() >= BATCH_MAX) {
        publishBatch();
      }
    }
    return fetched;
  }

  /** Copies a request's descriptors into the journal; its slot, or -1 if it breaks the ring. */
  private int take(final long firstWord) {
    journal.fetchBegin();
    long word = firstWord;
    int index = nextAvail;
    boolean wrap = availWrap;
    boolean more = true;
    while (more) {
      final long descriptor = descriptor(index);
      final int flags = PackedDescriptor.flags(word);
      final long address = Mem.getLong(descriptor + PackedDescriptor.ADDRESS_OFFSET);
      if (!journal.fetchDescriptor(
          address, (int) PackedDescriptor.length(word), PackedDescriptor.id(word), flags)) {
        counters.onGuestFault();
        broken.because(RingFault.RING_OVERRUN, index, queueSize);
        return -1;
      }
      index++;
      if (index == queueSize) {
        index = 0;
        wrap = !wrap;
      }
      more = (flags & PackedDescriptor.FLAG_NEXT) != 0;
      if (more) {
        word = Mem.getLong(descriptor(index) + PackedDescriptor.WORD_OFFSET);
      }
    }
    final int slot = journal.fetchCommit();
    nextAvail = index;
    availWrap = wrap;
    if (tasks.task(slot).state() != BlkTask.State.FREE) {
      counters.onGuestFault();
      broken.because(RingFault.HEAD_TWICE, slot, inFlightCount());
      return -1;
    }
    return slot;
  }

  @Override
  boolean readChain(final BlkTask task) {
    int entry = task.slot();
    final int count = journal.descriptorCount(entry);
    for (int i = 0; i < count; i++) {
      final long address = journal.descriptorAddress(entry);
      final long length = journal.descriptorLength(entry) & 0xFFFF_FFFFL;
      final int flags = journal.descriptorFlags(entry);
      if ((flags & PackedDescriptor.FLAG_INDIRECT) != 0) {
        // 2.8.19: a table stands alone, and only if negotiated.
        if (!indirectOffered || count > 1) {
          chain.fault(ChainReader.FAULT_INDIRECT);
        }
        if (!readTable(address, length)) {
          return false;
        }
      } else {
        chain.add(address, length, (flags & PackedDescriptor.FLAG_WRITE) != 0);
      }
      entry = journal.nextEntry(entry);
    }
    return true;
  }

  private boolean readTable(final long tableGuestAddress, final long tableBytes) {
    if (tableBytes == 0 || tableBytes % PackedDescriptor.DESCRIPTOR_LENGTH != 0) {
      broken.because(RingFault.TABLE_LENGTH, tableBytes, PackedDescriptor.DESCRIPTOR_LENGTH);
      return false;
    }
    final long entryCount = tableBytes / PackedDescriptor.DESCRIPTOR_LENGTH;
    final long table = chain.memory().translate(tableGuestAddress, tableBytes);
    // Of a table that is too long only the last entry counts: the status byte is there.
    long index = entryCount > TABLE_MAX ? entryCount - 1 : 0;
    for (; index < entryCount; index++) {
      final long offset = index * PackedDescriptor.DESCRIPTOR_LENGTH;
      final long descriptor =
          table != 0
              ? table + offset
              : chain
                  .memory()
                  .translate(tableGuestAddress + offset, PackedDescriptor.DESCRIPTOR_LENGTH);
      if (descriptor == 0) {
        broken.because(RingFault.TABLE_ADDRESS, tableGuestAddress, index);
        return false;
      }
      final long address = Mem.getLong(descriptor + PackedDescriptor.ADDRESS_OFFSET);
      final long word = Mem.getLong(descriptor + PackedDescriptor.WORD_OFFSET);
      // 2.8.7: of the flags in a table only "write" means something.
      chain.add(
          address,
          PackedDescriptor.length(word),
          (PackedDescriptor.flags(word) & PackedDescriptor.FLAG_WRITE) != 0);
    }
    if (entryCount > TABLE_MAX) {
      chain.fault(ChainReader.FAULT_TOO_MANY);
    }
    return true;
  }

  @Override
  void publish(final int count) {
    journal.batchBegin();
    for (int i = 0; i < count; i++) {
      final int entry = tasks.doneAt(i);
      publishedEntries += journal.descriptorCount(entry);
      batchSlots[i] = journal.batchAdd(entry);
    }
    journal.batchCommitHeads();
    // The driver reads in ring order, so the first slot, stored last, publishes the batch. A death
    // before it is rolled back, one
    // behind it committed, both by the descriptor there.
    for (int i = count - 1; i >= 0; i--) {
      final int entry = tasks.doneAt(i);
      final int slot = batchSlots[i];
      final boolean wrap = slot >>> PackedInflight.SLOT_WRAP_SHIFT != 0;
      final int index = slot & INDEX_MASK;
      final int usedBytes = tasks.task(entry).usedBytes();
      final long address = descriptor(index) + PackedDescriptor.WORD_OFFSET;
      if (logging) {
        log.markHost(address, Long.BYTES);
      }
      Mem.putLongRelease(
          address,
          PackedDescriptor.word(
              usedBytes,
              journal.bufferId(entry),
              PackedDescriptor.usedFlags(wrap) | PackedDescriptor.FLAG_WRITE));
    }
    journal.batchEnd();
  }

  @Override
  boolean takeCallDue() {
    final int entries = publishedEntries;
    if (entries == 0) {
      return false;
    }
    publishedEntries = 0;
    // The flags must be visible before the driver's wish is read.
    Mem.fullFence();
    return EventSuppression.isDue(
        Mem.getInt(driverEvent),
        eventIndex,
        queueSize,
        journal.usedIndex(),
        journal.usedWrapCounter(),
        entries);
  }

  @Override
  void allowKicks() {
    putDeviceEvent(eventIndex ? EventSuppression.FLAGS_DESC : EventSuppression.FLAGS_ENABLE);
    Mem.fullFence();
  }

  @Override
  void forbidKicks() {
    putDeviceEvent(EventSuppression.FLAGS_DISABLE);
  }

  private void putDeviceEvent(final int flags) {
    Mem.putIntRelease(deviceEvent, EventSuppression.word(nextAvail, availWrap, flags));
    if (logging) {
      log.markHost(deviceEvent, EventSuppression.LENGTH);
    }
  }

  @Override
  boolean requestsWait() {
    final long word = Mem.getLongAcquire(descriptor(nextAvail) + PackedDescriptor.WORD_OFFSET);
    return PackedDescriptor.isAvailable(PackedDescriptor.flags(word), availWrap);
  }
}
