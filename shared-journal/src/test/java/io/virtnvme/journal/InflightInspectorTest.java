package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class InflightInspectorTest {
  @Test
  void shouldShowSplitRegion() {
    final long length = SplitInflight.regionLength(4);
    try (TestMemory memory = new TestMemory((int) length)) {
      final SplitInflight journal = new SplitInflight(memory.address(), 4);
      journal.initialise(0, 65535);
      journal.onFetch(3);
      journal.onFetch(1);
      assertEquals(
          """
          split inflight region
            features               0
            version                1
            desc_num               4
            last_batch_head        0
            used_idx               65535
            inflight requests      2
              counter 1  entry 3
              counter 2  entry 1\
          """,
          String.join("\n", InflightInspector.split(memory.address(), length).lines()));
    }
  }

  @Test
  void shouldShowPackedRegionAndStoreNothing() {
    final long length = PackedInflight.regionLength(4);
    try (TestMemory memory = new TestMemory((int) length)) {
      final PackedInflight journal = new PackedInflight(memory.address(), 4);
      journal.initialise(0, 2, true);
      journal.fetchBegin();
      journal.fetchDescriptor(0x1000, 16, 9, 1);
      journal.fetchDescriptor(0x2000, 16, 9, 0);
      journal.fetchCommit();
      assertEquals(
          """
          packed inflight region
            features               0
            version                1
            desc_num               4
            free_head              2
            old_free_head          2
            used_idx               2
            old_used_idx           2
            used_wrap_counter      1
            old_used_wrap_counter  1
            inflight requests      1
              counter 1  entry 0  descriptors 2  id 9\
          """,
          String.join("\n", InflightInspector.packed(memory.address(), length).lines()));
      assertEquals(
          List.of(),
          memory.photographed(() -> InflightInspector.packed(memory.address(), length).lines()));
    }
  }

  @Test
  void shouldNameWhatIsWrongWithSplitRegion() {
    final long length = SplitInflight.regionLength(4);
    try (TestMemory memory = new TestMemory((int) length)) {
      assertEquals(
          List.of("mapping too short: length=15, the header alone has 16"),
          InflightInspector.split(memory.address(), 15).problems());
      assertEquals(
          List.of("never initialised: version=0"),
          InflightInspector.split(memory.address(), length).problems());
      Mem.putShort(memory.address() + 8, (short) 7);
      assertEquals(
          List.of("unknown version: version=7, known is 1"),
          InflightInspector.split(memory.address(), length).problems());
      Mem.putShort(memory.address() + 8, (short) 1);
      Mem.putShort(memory.address() + 10, (short) 8);
      assertEquals(
          List.of("desc_num does not fit the mapping: desc_num=8, room for 7 entries"),
          InflightInspector.split(memory.address(), length).problems());
      Mem.putShort(memory.address() + 10, (short) 4);
      Mem.putShort(memory.address() + 12, (short) 4);
      Mem.putByte(memory.address() + 16, (byte) 9);
      Mem.putByte(memory.address() + 32, (byte) 1);
      Mem.putByte(memory.address() + 48, (byte) 1);
      assertEquals(
          List.of(
              "last_batch_head outside the region: 4",
              "entry 0 has inflight=9, known are 0 and 1",
              "two requests have one counter: entries 1 and 2"),
          InflightInspector.split(memory.address(), length).problems());
    }
  }

  @Test
  void shouldNameWhatIsWrongWithPackedRegion() {
    final long length = PackedInflight.regionLength(4);
    try (TestMemory memory = new TestMemory((int) length)) {
      final PackedInflight journal = new PackedInflight(memory.address(), 4);
      journal.initialise(0, 2, true);
      journal.fetchBegin();
      journal.fetchDescriptor(0x1000, 16, 9, 1);
      journal.fetchCommit();
      Mem.putShort(memory.address() + 18, (short) 4);
      Mem.putByte(memory.address() + 20, (byte) 2);
      Mem.putShort(memory.address() + 32 + 4, (short) 3);
      final List<String> problems = InflightInspector.packed(memory.address(), length).problems();
      assertEquals(
          List.of(
              "old_used_idx out of range: 4, at most 3",
              "used_wrap_counter out of range: 2, at most 1",
              "entry 0 is inflight but its chain is broken: num=1 last=3 reached=0"),
          problems);
    }
  }

  @Property
  void shouldEndWhateverTheRegionHolds(@ForAll final long seed) {
    try (TestMemory memory = new TestMemory(1024)) {
      final byte[] garbage = new byte[1024];
      final Random random = new Random(seed);
      random.nextBytes(garbage);
      garbage[8] = 1;
      garbage[9] = 0;
      garbage[10] = (byte) random.nextInt(40);
      garbage[11] = 0;
      for (int offset = 16; offset < garbage.length; offset += 16) {
        garbage[offset] = (byte) random.nextInt(2);
      }
      memory.set(garbage);
      assertTrue(InflightInspector.split(memory.address(), 1024).lines().size() > 5);
      assertTrue(InflightInspector.packed(memory.address(), 1024).lines().size() > 5);
    }
  }
}
