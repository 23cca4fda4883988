package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A split virtqueue with its region in one memory: region, avail ring, used ring. */
final class SplitQueue implements CrashCut.Queue {
  private final int queueSize;
  private final int startIndex;
  private int base;

  SplitQueue(final int queueSize, final int startIndex) {
    this.queueSize = queueSize;
    this.startIndex = startIndex;
    this.base = startIndex;
  }

  private int availOffset() {
    return (int) SplitInflight.regionLength(queueSize);
  }

  private int usedOffset() {
    return (availOffset() + 4 + 2 * queueSize + 63) & -64;
  }

  @Override
  public int lengthBytes() {
    return usedOffset() + 4 + 8 * queueSize;
  }

  @Override
  public Driver newDriver(final TestMemory memory) {
    Mem.putShort(memory.address() + availOffset() + 2, (short) startIndex);
    Mem.putShort(memory.address() + usedOffset() + 2, (short) startIndex);
    return new SplitDriver(memory);
  }

  @Override
  public Device newDevice(final TestMemory memory) {
    return new SplitDevice(memory);
  }

  @Override
  public void renewRegion(final TestMemory memory, final Device stopped) {
    base = ((SplitDevice) stopped).nextAvail;
    Mem.fill(memory.address(), SplitInflight.regionLength(queueSize), (byte) 0);
  }

  private final class SplitDriver extends Driver {
    private final TestMemory memory;
    private final int[] positions = new int[queueSize];
    private int availIndex = startIndex;
    private int usedSeen = startIndex;

    SplitDriver(final TestMemory memory) {
      this.memory = memory;
      Arrays.fill(positions, -1);
    }

    SplitDriver(final SplitDriver other, final TestMemory memory) {
      super(other);
      this.memory = memory;
      this.availIndex = other.availIndex;
      this.usedSeen = other.usedSeen;
      System.arraycopy(other.positions, 0, positions, 0, queueSize);
    }

    @Override
    Driver on(final TestMemory other) {
      return new SplitDriver(this, other);
    }

    @Override
    boolean post(final int choice) {
      for (int i = 0; i < queueSize; i++) {
        final int head = (choice + i) % queueSize;
        if (positions[head] < 0) {
          positions[head] = onPosted("head " + head);
          final long avail = memory.address() + availOffset();
          Mem.putShort(avail + 4 + 2L * (availIndex % queueSize), (short) head);
          availIndex = (availIndex + 1) & 0xFFFF;
          Mem.putShort(avail + 2, (short) availIndex);
          return true;
        }
      }
      return false;
    }

    @Override
    void pollUsed() {
      final long used = memory.address() + usedOffset();
      final int usedIndex = Mem.getUnsignedShort(used + 2);
      assertTrue(((usedIndex - usedSeen) & 0xFFFF) <= queueSize, "used index jumped");
      while (usedSeen != usedIndex) {
        final int head = Mem.getInt(used + 4 + 8L * (usedSeen % queueSize));
        assertTrue(
            head >= 0 && head < queueSize && positions[head] >= 0,
            () -> "id " + head + " is not a head");
        onCompleted(positions[head]);
        positions[head] = -1;
        usedSeen = (usedSeen + 1) & 0xFFFF;
      }
    }
  }

  private final class SplitDevice implements Device {
    private final TestMemory memory;
    private final SplitInflight journal;
    private final List<Integer> inflight = new ArrayList<>();
    private int nextAvail;

    SplitDevice(final TestMemory memory) {
      this.memory = memory;
      this.journal = new SplitInflight(memory.address(), queueSize);
    }

    @Override
    public List<String> start() {
      final int usedIndex = Mem.getUnsignedShort(memory.address() + usedOffset() + 2);
      if (journal.isNew()) {
        journal.initialise(0, usedIndex);
        nextAvail = base;
        return List.of();
      }
      assertNull(journal.validate());
      final List<Integer> bySpecification =
          LiteralRecovery.split(memory.copy(), queueSize, usedIndex);
      final int[] heads = new int[queueSize];
      final int count = journal.recover(usedIndex, heads);
      assertEquals(0, journal.inconsistencyCount());
      assertEquals(count, journal.inflightCount());
      nextAvail = (usedIndex + count) & 0xFFFF;
      final List<String> recovered = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        inflight.add(heads[i]);
        assertTrue(journal.isInflight(heads[i]));
        recovered.add("head " + heads[i]);
      }
      assertEquals(bySpecification, inflight);
      return recovered;
    }

    @Override
    public boolean fetch() {
      final long avail = memory.address() + availOffset();
      if (Mem.getUnsignedShort(avail + 2) == nextAvail) {
        return false;
      }
      final int head = Mem.getUnsignedShort(avail + 4 + 2L * (nextAvail % queueSize));
      assertTrue(!journal.isInflight(head), () -> "fetched twice: " + head);
      journal.onFetch(head);
      nextAvail = (nextAvail + 1) & 0xFFFF;
      inflight.add(head);
      return true;
    }

    @Override
    public void complete(final int count, final int choice) {
      final long used = memory.address() + usedOffset();
      int usedIndex = Mem.getUnsignedShort(used + 2);
      journal.batchBegin();
      for (int i = 0; i < count; i++) {
        final int head = inflight.remove(choice % inflight.size());
        journal.batchAdd(head);
        Mem.putIntRelease(used + 4 + 8L * (usedIndex % queueSize), head);
        usedIndex = (usedIndex + 1) & 0xFFFF;
      }
      journal.batchCommitHeads();
      Mem.putShortRelease(used + 2, (short) usedIndex);
      journal.batchEnd(usedIndex);
    }

    @Override
    public int inflightCount() {
      return journal.inflightCount();
    }

    @Override
    public void checkIdle() {
      final InflightInspector.Report report =
          InflightInspector.split(memory.address(), SplitInflight.regionLength(queueSize));
      assertEquals(List.of(), report.inflight());
      assertEquals(List.of(), report.problems());
    }
  }
}
