package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A packed virtqueue with its region in one memory: region, descriptor ring. */
final class PackedQueue implements CrashCut.Queue {
  private static final int NEXT_FLAG = 1;
  private static final int WRITE_FLAG = 2;
  private static final int AVAIL_FLAG = 1 << 7;
  private static final int USED_FLAG = 1 << 15;
  private static final int CHAIN_MAX = 3;

  private final int queueSize;
  private final int startIndex;
  private final int startWrap;
  private int baseIndex;
  private int baseWrap;

  PackedQueue(final int queueSize, final int startIndex, final int startWrap) {
    this.queueSize = queueSize;
    this.startIndex = startIndex;
    this.startWrap = startWrap;
    this.baseIndex = startIndex;
    this.baseWrap = startWrap;
  }

  private int ringOffset() {
    return (int) PackedInflight.regionLength(queueSize);
  }

  private long descriptor(final TestMemory memory, final int index) {
    return memory.address() + ringOffset() + 16L * index;
  }

  private static int availFlags(final int wrap) {
    return wrap != 0 ? AVAIL_FLAG : USED_FLAG;
  }

  private static int usedFlags(final int wrap) {
    return wrap != 0 ? AVAIL_FLAG | USED_FLAG : 0;
  }

  private static int ringFlags(final int flags) {
    return flags & (AVAIL_FLAG | USED_FLAG);
  }

  @Override
  public int lengthBytes() {
    return ringOffset() + 16 * queueSize;
  }

  @Override
  public Driver newDriver(final TestMemory memory) {
    for (int index = 0; index < queueSize; index++) {
      final int lapWrap = index < startIndex ? startWrap : 1 - startWrap;
      Mem.putShort(descriptor(memory, index) + 14, (short) usedFlags(lapWrap));
    }
    return new PackedDriver(memory);
  }

  @Override
  public Device newDevice(final TestMemory memory) {
    return new PackedDevice(memory);
  }

  @Override
  public void renewRegion(final TestMemory memory, final Device stopped) {
    baseIndex = ((PackedDevice) stopped).availIndex;
    baseWrap = ((PackedDevice) stopped).availWrap;
    Mem.fill(memory.address(), PackedInflight.regionLength(queueSize), (byte) 0);
  }

  private final class PackedDriver extends Driver {
    private final TestMemory memory;
    private final int[] positions = new int[queueSize];
    private final int[] lengths = new int[queueSize];
    private int availIndex = startIndex;
    private int availWrap = startWrap;
    private int usedIndex = startIndex;
    private int usedWrap = startWrap;
    private int freeSlots = queueSize;
    private int serial;

    PackedDriver(final TestMemory memory) {
      this.memory = memory;
      Arrays.fill(positions, -1);
    }

    PackedDriver(final PackedDriver other, final TestMemory memory) {
      super(other);
      this.memory = memory;
      this.availIndex = other.availIndex;
      this.availWrap = other.availWrap;
      this.usedIndex = other.usedIndex;
      this.usedWrap = other.usedWrap;
      this.freeSlots = other.freeSlots;
      this.serial = other.serial;
      System.arraycopy(other.positions, 0, positions, 0, queueSize);
      System.arraycopy(other.lengths, 0, lengths, 0, queueSize);
    }

    @Override
    Driver on(final TestMemory other) {
      return new PackedDriver(this, other);
    }

    @Override
    boolean post(final int choice) {
      if (freeSlots == 0) {
        return false;
      }
      int id = choice % queueSize;
      while (positions[id] >= 0) {
        id = (id + 1) % queueSize;
      }
      lengths[id] = Math.min(1 + choice / queueSize % CHAIN_MAX, freeSlots);
      final StringBuilder signature = new StringBuilder("id " + id);
      for (int i = 0; i < lengths[id]; i++) {
        serial++;
        final int flags = (i < lengths[id] - 1 ? NEXT_FLAG : 0) | (serial % 2 * WRITE_FLAG);
        final long descriptor = descriptor(memory, availIndex);
        Mem.putLong(descriptor, serial * 4096L);
        Mem.putInt(descriptor + 8, serial);
        Mem.putShort(descriptor + 12, (short) id);
        Mem.putShort(descriptor + 14, (short) (flags | availFlags(availWrap)));
        signature.append(signatureOf(serial * 4096L, serial, flags));
        if (++availIndex == queueSize) {
          availIndex = 0;
          availWrap ^= 1;
        }
      }
      freeSlots -= lengths[id];
      positions[id] = onPosted(signature.toString());
      return true;
    }

    @Override
    void pollUsed() {
      while (true) {
        final long descriptor = descriptor(memory, usedIndex);
        if (ringFlags(Mem.getShort(descriptor + 14)) != usedFlags(usedWrap)) {
          return;
        }
        final int id = Mem.getUnsignedShort(descriptor + 12);
        assertTrue(id < queueSize && positions[id] >= 0, () -> "id " + id + " is not inflight");
        onCompleted(positions[id]);
        positions[id] = -1;
        freeSlots += lengths[id];
        usedIndex += lengths[id];
        if (usedIndex >= queueSize) {
          usedIndex -= queueSize;
          usedWrap ^= 1;
        }
      }
    }
  }

  private static String signatureOf(final long address, final int length, final int flags) {
    return " [" + address + " " + length + " " + (flags & (NEXT_FLAG | WRITE_FLAG)) + "]";
  }

  private final class PackedDevice implements Device {
    private final TestMemory memory;
    private final PackedInflight journal;
    private final List<Integer> inflight = new ArrayList<>();
    private int availIndex;
    private int availWrap;

    PackedDevice(final TestMemory memory) {
      this.memory = memory;
      this.journal = new PackedInflight(memory.address(), queueSize);
    }

    @Override
    public List<String> start() {
      final List<String> recovered = new ArrayList<>();
      if (journal.isNew()) {
        journal.initialise(0, baseIndex, baseWrap != 0);
      } else {
        assertNull(journal.validate());
        final List<Integer> bySpecification =
            LiteralRecovery.packed(memory.copy(), queueSize, ringOffset());
        final int[] entries = new int[queueSize];
        final int count = journal.recover(descriptor(memory, 0), entries);
        assertEquals(0, journal.inconsistencyCount());
        assertEquals(count, journal.inflightCount());
        for (int i = 0; i < count; i++) {
          inflight.add(entries[i]);
          assertTrue(journal.isInflight(entries[i]));
          recovered.add(signatureOf(entries[i]));
        }
        if (bySpecification != null) {
          assertEquals(bySpecification, inflight);
        }
      }
      availIndex = journal.availIndex();
      availWrap = journal.availWrapCounter() ? 1 : 0;
      return recovered;
    }

    private String signatureOf(final int firstEntry) {
      final StringBuilder signature = new StringBuilder("id " + journal.bufferId(firstEntry));
      int entry = firstEntry;
      for (int i = 0; i < journal.descriptorCount(firstEntry); i++) {
        signature.append(
            PackedQueue.signatureOf(
                journal.descriptorAddress(entry),
                journal.descriptorLength(entry),
                journal.descriptorFlags(entry)));
        entry = journal.nextEntry(entry);
      }
      return signature.toString();
    }

    @Override
    public boolean fetch() {
      if (ringFlags(Mem.getShort(descriptor(memory, availIndex) + 14)) != availFlags(availWrap)) {
        return false;
      }
      journal.fetchBegin();
      int flags;
      do {
        final long descriptor = descriptor(memory, availIndex);
        flags = Mem.getUnsignedShort(descriptor + 14);
        assertTrue(
            journal.fetchDescriptor(
                Mem.getLong(descriptor),
                Mem.getInt(descriptor + 8),
                Mem.getUnsignedShort(descriptor + 12),
                flags),
            "no free entry");
        if (++availIndex == queueSize) {
          availIndex = 0;
          availWrap ^= 1;
        }
      } while ((flags & NEXT_FLAG) != 0);
      inflight.add(journal.fetchCommit());
      assertEquals(availIndex, journal.availIndex());
      return true;
    }

    @Override
    public void complete(final int count, final int choice) {
      final int[] slots = new int[count];
      final int[] ids = new int[count];
      journal.batchBegin();
      for (int i = 0; i < count; i++) {
        final int entry = inflight.remove(choice % inflight.size());
        ids[i] = journal.bufferId(entry);
        slots[i] = journal.batchAdd(entry);
      }
      journal.batchCommitHeads();
      for (int i = count - 1; i >= 0; i--) {
        final int wrap = slots[i] >>> PackedInflight.SLOT_WRAP_SHIFT;
        Mem.putLongRelease(
            descriptor(memory, slots[i] & 0x7FFF) + 8,
            ((long) ids[i] << 32) | ((long) usedFlags(wrap) << 48));
      }
      journal.batchEnd();
    }

    @Override
    public int inflightCount() {
      return journal.inflightCount();
    }

    @Override
    public void checkIdle() {
      final InflightInspector.Report report =
          InflightInspector.packed(memory.address(), PackedInflight.regionLength(queueSize));
      assertEquals(List.of(), report.inflight());
      assertEquals(List.of(), report.problems());
    }
  }
}
