package io.virtnvme.ipc.nvme.queue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The table of errors that are made up, from both sides. */
class InjectedErrorsTest {
  private static final int STATUS = 0x281;

  @TempDir private Path folder;

  private DeviceQueueSegment segment() {
    return DeviceQueueSegment.create(
        new SegmentDirectory(folder, 7, BootId.current()),
        "Nvme0n1",
        0,
        new DeviceQueueGeometry(256, 128, 1, 1, 0x10000, 0, 1000, 512, 1 << 20, 0));
  }

  @Test
  void shouldChangeNothingWhenThereIsNoRoom() {
    try (DeviceQueueSegment segment = segment()) {
      final long address = segment.address();
      for (int opcode = 0; opcode < InjectedErrors.ENTRY_COUNT; opcode++) {
        assertTrue(InjectedErrors.fits(address, opcode));
        assertTrue(InjectedErrors.add(address, opcode, true, STATUS, 2));
      }
      final List<InjectedErrors.Entry> before = InjectedErrors.entries(address);
      assertFalse(InjectedErrors.fits(address, 9));
      assertFalse(InjectedErrors.add(address, 9, true, STATUS, 1));
      assertEquals(before, InjectedErrors.entries(address));
      assertTrue(InjectedErrors.fits(address, 3), "in the place of what is there");
      assertTrue(InjectedErrors.add(address, 3, false, STATUS, 5));
      assertEquals(InjectedErrors.ENTRY_COUNT, InjectedErrors.entries(address).size());
    }
  }

  @Test
  void shouldLookForNothingMoreWhenAllAreUsedUp() {
    try (DeviceQueueSegment segment = segment()) {
      final long address = segment.address();
      InjectedErrors.add(address, 1, true, STATUS, 2);
      assertEquals(STATUS, InjectedErrors.take(address, 1, true));
      InjectedErrors.settle(address);
      assertTrue(InjectedErrors.mayBe(address));
      assertEquals(STATUS, InjectedErrors.take(address, 1, true));
      assertTrue(InjectedErrors.mayBe(address), "the flag is the master's");
      InjectedErrors.settle(address);
      assertFalse(InjectedErrors.mayBe(address));
    }
  }
}
