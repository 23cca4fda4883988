package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class NvmeJournalInspectorTest {
  private static final int SQ_OFFSET = 64;
  private static final int SQ_LENGTH = 128 + 4 * 128;
  private static final int RING_OFFSET = SQ_OFFSET + SQ_LENGTH;

  private static NvmeSqJournal filled(final TestMemory memory, final NvmeCqJournal cq) {
    final NvmeSqJournal sq = new NvmeSqJournal(memory.address() + SQ_OFFSET, 1, 4);
    cq.initialise(5);
    sq.initialise(6);
    cq.ring(memory.address() + RING_OFFSET);
    cq.attach(sq);
    for (int i = 0; i < 4; i++) {
      final long entry = memory.address() + RING_OFFSET + 64;
      Mem.putInt(entry, ((0x30 + i) << 16) | (1 + i));
      Mem.putInt(entry + 4, 9);
      sq.fetch(entry);
      if (i != 3) {
        sq.fetchCommit();
      }
    }
    return sq;
  }

  @Test
  void shouldShowBothJournalsAndStoreNothing() {
    try (TestMemory memory = new TestMemory(RING_OFFSET + 128)) {
      final NvmeCqJournal cq = new NvmeCqJournal(memory.address(), 2);
      final NvmeSqJournal sq = filled(memory, cq);
      cq.post(sq, 0, 0, 0);
      cq.postCommit();
      cq.post(sq, 2, 0x4281, 0);
      // As if the fourth fetch died behind the store of its bit.
      Mem.putLong(memory.address() + SQ_OFFSET + 64, 0b1110);
      assertEquals(
          List.of(),
          memory.photographed(
              () -> {
                assertEquals(
                    """
                    NVMe submission queue journal
                      version                1
                      queue_size             4
                      creation               6
                      fetched                3
                      SQ head                3
                      inflight commands      3
                        number 1  slot 1  cid 49  opcode 0x02  nsid 9
                        number 2  slot 2  cid 50  opcode 0x03  nsid 9  completes at 1 with status \
                    0x4281
                        number 3  slot 3  cid 51  opcode 0x04  nsid 9  not committed\
                    """,
                    String.join(
                        "\n",
                        NvmeJournalInspector.submission(memory.address() + SQ_OFFSET, SQ_LENGTH)
                            .lines()));
                assertEquals(
                    """
                    NVMe completion queue journal
                      version                1
                      queue_size             2
                      creation               5
                      posted                 1
                      CQ tail                1
                      phase tag              1\
                    """,
                    String.join(
                        "\n", NvmeJournalInspector.completion(memory.address(), 64).lines()));
              }));
    }
  }

  private static List<String> problems(final TestMemory memory, final long length) {
    return NvmeJournalInspector.submission(memory.address() + SQ_OFFSET, length).problems();
  }

  @Test
  void shouldNameWhatIsWrong() {
    try (TestMemory memory = new TestMemory(RING_OFFSET + 128)) {
      assertEquals(
          List.of("mapping too short: length=63, the header alone has 64"), problems(memory, 63));
      assertEquals(List.of("never initialised: version=0"), problems(memory, SQ_LENGTH));
      filled(memory, new NvmeCqJournal(memory.address(), 2));
      final long sq = memory.address() + SQ_OFFSET;
      assertEquals(
          List.of("queue_size does not fit the mapping: queue_size=4 needs 640 bytes, mapped=639"),
          problems(memory, SQ_LENGTH - 1));
      Mem.putLong(sq + 64, (1 << 5) | 0b111);
      Mem.putLong(sq + 128 + 64, 1);
      Mem.putLong(sq + 128 + 2 * 128 + 64, 7);
      assertEquals(
          List.of(
              "slot 2 has a number far beyond fetched: number=7 fetched=3",
              "bit set that belongs to no slot: 5 of 4",
              "two commands have one number: slots 0 and 1"),
          problems(memory, SQ_LENGTH));
      Mem.putInt(sq + 4, 4097);
      assertEquals(List.of("queue_size out of range: 4097, at most 4096"), problems(memory, 1024));
      Mem.putInt(sq, 3);
      assertEquals(List.of("unknown version: version=3, known is 1"), problems(memory, 1024));
      Mem.putInt(memory.address() + 4, -1);
      assertEquals(
          List.of("queue_size out of range: 4294967295, at most 4096"),
          NvmeJournalInspector.completion(memory.address(), 64).problems());
      assertEquals(
          List.of("mapping too short: length=0, the header alone has 64"),
          NvmeJournalInspector.completion(memory.address(), 0).problems());
    }
  }

  @Property
  void shouldEndWhateverTheRegionHolds(@ForAll final long seed) {
    try (TestMemory memory = new TestMemory(2048)) {
      final byte[] garbage = new byte[2048];
      final Random random = new Random(seed);
      random.nextBytes(garbage);
      memory.set(garbage);
      Mem.putInt(memory.address(), 1);
      Mem.putInt(memory.address() + 4, 1 + random.nextInt(20));
      assertTrue(NvmeJournalInspector.submission(memory.address(), 2048).lines().size() > 4);
      assertTrue(NvmeJournalInspector.completion(memory.address(), 2048).lines().size() > 4);
    }
  }
}
