package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.ipc.memory.Mem;
import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;

/** The layouts are a contract with every front-end and back-end: a change needs a new version. */
class LayoutTest {
  @Test
  void shouldDescribeSplitRegionAsSpecified() {
    assertEquals(
        """
        split inflight region, version 1, header
             0   8  features
             8   2  version
            10   2  desc_num
            12   2  last_batch_head
            14   2  used_idx
            16      end
        entry, desc_num times
             0   1  inflight
             1   5  padding
             6   2  next
             8   8  counter
            16      end
        """,
        SplitInflightDescriptor.describe());
  }

  @Test
  void shouldDescribePackedRegionAsSpecified() {
    assertEquals(
        """
        packed inflight region, version 1, header
             0   8  features
             8   2  version
            10   2  desc_num
            12   2  free_head
            14   2  old_free_head
            16   2  used_idx
            18   2  old_used_idx
            20   1  used_wrap_counter
            21   1  old_used_wrap_counter
            22   7  padding
            32      end
        entry, desc_num times
             0   1  inflight
             1   1  padding
             2   2  next
             4   2  last
             6   2  num
             8   8  counter
            16   2  id
            18   2  flags
            20   4  len
            24   8  addr
            32      end
        """,
        PackedInflightDescriptor.describe());
  }

  @Test
  void shouldAlignQueueRegionsToLines() {
    assertEquals(64, SplitInflight.regionLength(1));
    assertEquals(64, SplitInflight.regionLength(3));
    assertEquals(128, SplitInflight.regionLength(4));
    assertEquals(2112, SplitInflight.regionLength(128));
    assertEquals(524352, SplitInflight.regionLength(32768));
    assertEquals(64, PackedInflight.regionLength(1));
    assertEquals(128, PackedInflight.regionLength(2));
    assertEquals(4160, PackedInflight.regionLength(128));
    assertEquals(1048640, PackedInflight.regionLength(32768));
  }

  @Test
  void shouldStoreSplitFieldsWhereTheSpecificationHasThem() {
    try (TestMemory memory = new TestMemory((int) SplitInflight.regionLength(8))) {
      Mem.fill(memory.address(), memory.lengthBytes(), (byte) 0x5A);
      final SplitInflight journal = new SplitInflight(memory.address(), 8);
      journal.initialise(0, 0xFFFE);
      journal.onFetch(5);
      journal.onFetch(2);
      journal.onFetch(7);
      journal.batchBegin();
      journal.batchAdd(7);
      journal.batchAdd(5);
      journal.batchCommitHeads();
      journal.batchEnd(0x10000);

      final ByteBuffer region = memory.copy();
      assertEquals(0, region.getLong(0));
      assertEquals(1, region.getShort(8));
      assertEquals(8, region.getShort(10));
      assertEquals(5, region.getShort(12));
      assertEquals(0, region.getShort(14));
      assertEquals(0, region.get(16 + 5 * 16));
      assertEquals(7, region.getShort(16 + 5 * 16 + 6));
      assertEquals(1, region.getLong(16 + 5 * 16 + 8));
      assertEquals(1L, region.getLong(16 + 2 * 16));
      assertEquals(2, region.getLong(16 + 2 * 16 + 8));
      assertEquals(3, region.getLong(16 + 7 * 16 + 8));
    }
  }

  @Test
  void shouldStorePackedFieldsWhereTheSpecificationHasThem() {
    try (TestMemory memory = new TestMemory((int) PackedInflight.regionLength(4))) {
      Mem.fill(memory.address(), memory.lengthBytes(), (byte) 0x5A);
      final PackedInflight journal = new PackedInflight(memory.address(), 4);
      journal.initialise(0, 3, true);
      journal.fetchBegin();
      journal.fetchDescriptor(0x1122334455667788L, 0x99AABBCC, 0xDDEE, 0x0081);
      journal.fetchDescriptor(0x1000, 512, 0xF1F2, 0x0082);
      assertEquals(0, journal.fetchCommit());
      journal.fetchBegin();
      journal.fetchDescriptor(0x2000, 1, 9, 0x8004);
      assertEquals(2, journal.fetchCommit());

      final ByteBuffer region = memory.copy();
      assertEquals(1, region.getShort(8));
      assertEquals(4, region.getShort(10));
      assertEquals(3, region.getShort(12));
      assertEquals(3, region.getShort(14));
      assertEquals(0x0003_0003, region.getInt(16));
      assertEquals(0x0101, region.getShort(20));
      assertEquals(0, region.getShort(22));
      assertEquals(1, region.get(32));
      assertEquals(1, region.getShort(32 + 2));
      assertEquals(1, region.getShort(32 + 4));
      assertEquals(2, region.getShort(32 + 6));
      assertEquals(1, region.getLong(32 + 8));
      assertEquals((short) 0xDDEE, region.getShort(32 + 16));
      assertEquals(0x0081, region.getShort(32 + 18));
      assertEquals(0x99AABBCC, region.getInt(32 + 20));
      assertEquals(0x1122334455667788L, region.getLong(32 + 24));
      assertEquals(0, region.get(64));
      assertEquals(2, region.getLong(96 + 8));
      assertEquals(2, region.getShort(96 + 4));
      assertEquals(4, region.getShort(128 + 2));

      journal.batchBegin();
      assertEquals(3 | 0x8000, journal.batchAdd(0));
      assertEquals(1, journal.batchAdd(2));
      journal.batchCommitHeads();
      final ByteBuffer open = memory.copy();
      assertEquals(2, open.getShort(12));
      assertEquals(3, open.getShort(14));
      assertEquals(2, open.getShort(16));
      assertEquals(3, open.getShort(18));
      assertEquals(0, open.get(20));
      assertEquals(1, open.get(21));
      assertEquals(0, open.getShort(96 + 2));
      assertEquals(3, open.getShort(64 + 2));

      journal.batchEnd();
      final ByteBuffer ended = memory.copy();
      assertEquals(2, ended.getShort(14));
      assertEquals(2, ended.getShort(18));
      assertEquals(0, ended.getShort(20));
      assertEquals(0, ended.get(32));
      assertEquals(0, ended.get(96));
    }
  }
}
