package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.ipc.memory.Mem;
import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;

/** The layouts are a contract between builds of the slave: a change needs a new version. */
class NvmeJournalLayoutTest {
  @Test
  void shouldDescribeSubmissionQueueJournal() {
    assertEquals(
        """
        NVMe submission queue journal, version 1, header
             0   4  version
             4   4  queue_size
             8   8  creation
            16   8  fetched
            24  40  padding
            64      end
        inflight, one bit per slot, as many lines as needed
             0  64  inflight
            64      end
        slot, queue_size times
             0  64  command
            64   8  number
            72   8  intent
            80   4  result
            84  44  padding
           128      end
        """,
        NvmeSqJournalDescriptor.describe());
  }

  @Test
  void shouldDescribeCompletionQueueJournal() {
    assertEquals(
        """
        NVMe completion queue journal, version 1
             0   4  version
             4   4  queue_size
             8   8  creation
            16   8  posted
            24  40  padding
            64      end
        """,
        NvmeCqJournalDescriptor.describe());
  }

  @Test
  void shouldBeginBitmapAndSlotsOnLines() {
    assertEquals(64, NvmeCqJournal.regionLength());
    assertEquals(128 + 2 * 128, NvmeSqJournal.regionLength(2));
    assertEquals(128 + 512 * 128, NvmeSqJournal.regionLength(512));
    assertEquals(192 + 513 * 128, NvmeSqJournal.regionLength(513));
    assertEquals(192 + 1024 * 128, NvmeSqJournal.regionLength(1024));
    assertEquals(576 + 4096 * 128, NvmeSqJournal.regionLength(4096));
  }

  @Test
  void shouldStoreEachFieldAtItsOffset() {
    final int sqOffset = 64;
    final int sqRing = sqOffset + 128 + 70 * 128;
    final int cqRing = sqRing + 64;
    try (TestMemory memory = new TestMemory(cqRing + 4 * 16)) {
      Mem.fill(memory.address(), memory.lengthBytes(), (byte) 0x5A);
      Mem.fill(memory.address() + cqRing, 4 * 16, (byte) 0);
      final NvmeCqJournal cq = new NvmeCqJournal(memory.address(), 4);
      final NvmeSqJournal sq = new NvmeSqJournal(memory.address() + sqOffset, 0xABCD, 70);
      cq.initialise(0x1122_3344_5566_7788L);
      sq.initialise(0x0102_0304_0506_0708L);
      cq.ring(memory.address() + cqRing);
      cq.attach(sq);
      for (int i = 0; i < 66; i++) {
        Mem.putShort(memory.address() + sqRing + 2, (short) (0x9000 + i));
        sq.fetch(memory.address() + sqRing);
      }
      sq.fetchCommit();

      ByteBuffer region = memory.copy();
      assertEquals(1, region.getInt(0));
      assertEquals(4, region.getInt(4));
      assertEquals(0x1122_3344_5566_7788L, region.getLong(8));
      assertEquals(0, region.getLong(16));
      assertEquals(1, region.getInt(64));
      assertEquals(70, region.getInt(64 + 4));
      assertEquals(0x0102_0304_0506_0708L, region.getLong(64 + 8));
      assertEquals(66, region.getLong(64 + 16));
      assertEquals(-1, region.getLong(128));
      assertEquals(3, region.getLong(128 + 8));
      final int slot = 64 + 128 + 65 * 128;
      assertEquals(0x5A5A, region.getShort(slot));
      assertEquals((short) 0x9041, region.getShort(slot + 2));
      assertEquals(0x5A5A_5A5A_5A5A_5A5AL, region.getLong(slot + 56));
      assertEquals(65, region.getLong(slot + 64));
      assertEquals(0, region.getLong(slot + 72));

      cq.post(sq, 65, 0x4123, 0xCAFE_BABE);
      region = memory.copy();
      assertEquals(0xC123_0000_0000_0000L, region.getLong(slot + 72));
      assertEquals(0xCAFE_BABE, region.getInt(slot + 80));
      assertEquals(0xCAFE_BABEL & 0xFFFF_FFFFL, region.getLong(cqRing) & 0xFFFF_FFFFL);
      assertEquals(0, region.getInt(cqRing + 4));
      assertEquals(66, region.getShort(cqRing + 8));
      assertEquals((short) 0xABCD, region.getShort(cqRing + 10));
      assertEquals((short) 0x9041, region.getShort(cqRing + 12));
      assertEquals((short) 0x8247, region.getShort(cqRing + 14));
      assertEquals(0, region.getLong(16));
      assertEquals(3, region.getLong(128 + 8));

      cq.postCommit();
      region = memory.copy();
      assertEquals(1, region.getLong(16));
      assertEquals(1, region.getLong(128 + 8));
    }
  }
}
