package io.virtnvme.chaos.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.chaos.guest.CommandResult;
import io.virtnvme.chaos.guest.RequiresGuest;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The driver alone on QEMU's NVMe device behind an emulated IOMMU. */
@RequiresGuest
final class BareDeviceTest {
  private static final Duration LIMIT = Duration.ofSeconds(60);

  @Test
  void shouldWriteAndReadAndGiveTheDeviceBack(@TempDir final Path temp) throws Exception {
    try (DeviceGuest guest = DeviceGuest.boot(temp)) {
      final CommandResult result =
          guest.run(guest.java() + BareDeviceMain.class.getName() + " " + guest.address(), LIMIT);
      assertEquals(0, result.exitStatus(), result::output);
      assertTrue(result.output().contains("wrote and read 0x5a"), result::output);
      assertTrue(result.output().contains("wrote and read 0x33"), result::output);
      assertTrue(result.output().contains("serial=" + DeviceGuest.SERIAL), result::output);
      assertTrue(result.output().contains("detached null"), result::output);
      assertEquals("nvme", guest.driver());
      guest.awaitDisk();
      assertEquals(
          "3333",
          guest
              .run(
                  "dd if=/dev/nvme0n1 bs=512 skip=7 count=1 2>/dev/null | od -An -tx1 -N2"
                      + " | tr -d ' \\n'",
                  LIMIT)
              .orThrow());
    }
  }
}
