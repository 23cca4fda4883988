package io.virtnvme.chaos.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.chaos.DeviceDiskMain;
import io.virtnvme.chaos.guest.CommandResult;
import io.virtnvme.chaos.guest.RequiresGuest;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A pair that runs in a guest, with QEMU's NVMe device behind an emulated IOMMU as its disk. */
@RequiresGuest
final class DeviceDiskTest {
  private static final Duration LIMIT = Duration.ofMinutes(4);
  private static final int MEMORY_MIB = 3072;

  @Test
  void shouldLoseNothingWhenSlaveAndMasterAreKilledAndTheControllerIsReset(@TempDir final Path temp)
      throws Exception {
    try (DeviceGuest guest = DeviceGuest.boot(temp, MEMORY_MIB)) {
      guest.mountSharedMemory();
      final CommandResult result =
          guest.run(guest.java() + DeviceDiskMain.class.getName() + " " + guest.address(), LIMIT);
      final String output = result.output();
      System.out.println(output);
      assertEquals(0, result.exitStatus(), output);
      assertTrue(output.contains("attached [\"Nvme0n1\",\"Nvme0n2\"]"), output);
      assertTrue(output.contains("again -17 "), output);
      assertTrue(output.contains("split [\"Nvme0n1p0\",\"Nvme0n1p1\"]"), output);
      assertTrue(output.contains("second namespace sound"), output);
      assertTrue(output.contains("bdev Nvme0n1 is split"), output);
      assertTrue(output.contains("medium request failed: opcode="), output);
      assertTrue(output.contains("made up 5"), output);
      assertTrue(output.contains("in use -16 "), output);
      assertTrue(output.contains("whole again true"), output);
      assertTrue(output.contains("master killed adopted"), output);
      assertTrue(output.contains("no health -16 "), output);
      assertTrue(output.contains("load sound=true"), output);
      assertTrue(output.contains("detached []"), output);
      assertTrue(output.contains("stopped"), output);
      assertEquals("nvme", guest.driver());
      guest.awaitDisk();
    }
  }
}
