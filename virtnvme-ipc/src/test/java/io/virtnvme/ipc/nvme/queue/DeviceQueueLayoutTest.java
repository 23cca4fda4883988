package io.virtnvme.ipc.nvme.queue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DeviceQueueLayoutTest {
  private static final DeviceQueueGeometry GEOMETRY =
      new DeviceQueueGeometry(
          256, 128, 3, 1, 0x10_0000, 2048, 1 << 20, 512, 128 * 1024, 3 /* cache, zeroes */);

  @TempDir private Path folder;

  @Test
  void shouldKeepTheLayoutThatSuccessorsOfOtherBuildsKnow() {
    assertEquals(
        """
        NVMe device queue pair segment, version 1.1
            64   4  entry_count
            68   4  slot_count
            72   4  queue_id
            76   4  namespace_id
            80   8  iova
            88   8  first_block
            96   8  block_count
           104   4  block_bytes
           108   4  transfer_max
           112   4  features
           128   8  creation
           136   8  gate
           144   4  retries
           148   4  injecting
           192   8  joined
           200   8  submitted
           208   8  rung
           216   8  reaped
           224   8  released
           256   8  gate_seen
           264   4  fault
           272   8  counter completions
           280   8  counter media_errors
           288   8  counter retries
           296   8  counter other_errors
           304   8  counter unknown_completions
           312   8  counter adopted
           320   8  counter bounced
           328   8  counter inconsistencies
          1024 256  injections
          4096      end
        injected error
             0   8  until
             8   8  used
            16   4  rule
            32      end
        slot of a device queue pair
             0   8  place
             8   8  session
            16   4  owner_queue
            20   4  owner_slot
            24   8  disk_offset
            32   8  disk_length
            40   4  operation
            44   4  bounced
            64      end
        """,
        DeviceQueueSegment.describe());
    assertEquals(4096 + 128 * 64, DeviceQueueSegment.sqOffset(128));
    assertEquals(12288 + 16384, DeviceQueueSegment.cqOffset(256, 128));
    assertEquals(28672 + 4096, DeviceQueueSegment.slotPagesOffset(256, 128));
    assertEquals(32768 + 128 * 20480, DeviceQueueSegment.length(256, 128));
    assertEquals(32768 + 5 * 20480, DeviceQueueSegment.listOffset(GEOMETRY, 5));
    assertEquals(4096 + 5 * 64, DeviceQueueSegment.slotOffset(5));
    assertEquals(4, DeviceQueueFault.values().length);
    assertEquals(3, DeviceQueueFault.DAMAGED_JOURNAL.code());
  }

  @Test
  void shouldOpenWhatWasCreated() {
    try (DeviceQueueSegment made = DeviceQueueSegment.create(directory(), "Nvme0n1", 1, GEOMETRY);
        DeviceQueueSegment opened = DeviceQueueSegment.open(directory(), "Nvme0n1", 1)) {
      assertEquals(GEOMETRY, opened.geometry());
      assertEquals(0x10_0000 + 12288, opened.sqIova());
      assertEquals(0x10_0000 + 28672, opened.cqIova());
      assertEquals(0, opened.inFlightCount());
      assertEquals(0, opened.counter(DeviceQueueSegment.Counter.INCONSISTENCIES));
      assertEquals(0, made.fault());
    }
  }

  @Test
  void shouldRefuseASegmentWhoseNumbersDoNotFit() {
    try (DeviceQueueSegment made = DeviceQueueSegment.create(directory(), "Nvme0n1", 0, GEOMETRY)) {
      Mem.putInt(made.address() + DeviceQueueSegment.SLOT_COUNT_OFFSET, 127);
      final BadSegmentException length =
          assertThrows(
              BadSegmentException.class,
              () -> DeviceQueueSegment.open(directory(), "Nvme0n1", 0).close());
      assertTrue(length.getMessage().contains("slotCount=127"), length.getMessage());
      Mem.putInt(made.address() + DeviceQueueSegment.SLOT_COUNT_OFFSET, 256);
      assertThrows(
          BadSegmentException.class,
          () -> DeviceQueueSegment.open(directory(), "Nvme0n1", 0).close());
    }
    assertThrows(
        BadSegmentException.class,
        () -> DeviceQueueSegment.open(directory(), "Nvme0n2", 0).close());
  }

  @Test
  void shouldKnowWhenTheSlaveHasSeenTheGate() {
    try (DeviceQueueSegment made = DeviceQueueSegment.create(directory(), "Nvme0n1", 0, GEOMETRY)) {
      assertTrue(made.isShutAndSeen());
      Mem.putInt(made.address() + DeviceQueueSegment.FAULT_OFFSET, 1);
      made.openGate(true);
      assertEquals(1, made.creation());
      assertEquals(0, made.fault());
      assertFalse(made.isShutAndSeen());
      made.shutGate();
      made.shutGate();
      assertFalse(made.isShutAndSeen());
      Mem.putLong(
          made.address() + DeviceQueueSegment.GATE_SEEN_OFFSET,
          Mem.getLong(made.address() + DeviceQueueSegment.GATE_OFFSET));
      assertTrue(made.isShutAndSeen());
      made.openGate(false);
      assertEquals(1, made.creation());
    }
  }

  @Test
  void shouldAllowWhatTheLimitsSayOnly() {
    assertNull(GEOMETRY.problem());
    assertNull(geometry(2, 1, 1, 0, 512, 4096).problem());
    assertNull(geometry(4096, 4095, 65535, 4096, 4096, 1 << 20).problem());
    assertNotNull(geometry(1, 1, 1, 0, 512, 4096).problem());
    assertNotNull(geometry(4097, 1, 1, 0, 512, 4096).problem());
    assertNotNull(geometry(16, 16, 1, 0, 512, 4096).problem());
    assertNotNull(geometry(16, 0, 1, 0, 512, 4096).problem());
    assertNotNull(geometry(16, 8, 0, 0, 512, 4096).problem());
    assertNotNull(geometry(16, 8, 65536, 0, 512, 4096).problem());
    assertNotNull(geometry(16, 8, 1, 512, 512, 4096).problem());
    assertNotNull(geometry(16, 8, 1, 0, 520, 4096).problem());
    assertNotNull(geometry(16, 8, 1, 0, 8192, 4096).problem());
    assertNotNull(geometry(16, 8, 1, 0, 512, 0).problem());
    assertNotNull(geometry(16, 8, 1, 0, 512, 4097).problem());
  }

  private static DeviceQueueGeometry geometry(
      final int entryCount,
      final int slotCount,
      final int queueId,
      final long iova,
      final int blockBytes,
      final int transferBytesMax) {
    return new DeviceQueueGeometry(
        entryCount, slotCount, queueId, 1, iova, 0, 8, blockBytes, transferBytesMax, 0);
  }

  private SegmentDirectory directory() {
    return new SegmentDirectory(folder, 7, new BootId(1, 2));
  }
}
