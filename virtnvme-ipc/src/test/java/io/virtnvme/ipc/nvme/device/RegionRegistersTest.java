package io.virtnvme.ipc.nvme.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A file takes the place of a device; it is cut as a device is taken out. */
class RegionRegistersTest {
  private static final int LENGTH = 8192;
  private static final int OFFSET = 4096;

  private final int fd = Memfd.create("bar", OFFSET + LENGTH);
  private final RegionRegisters registers = new RegionRegisters(fd, OFFSET, LENGTH);

  @AfterEach
  void tearDown() {
    registers.close();
    Fds.close(fd);
  }

  @Test
  void shouldReadAndStore() {
    assertEquals(LENGTH, registers.lengthBytes());
    registers.putInt(LENGTH - 4, 7);
    registers.putLong(8, 0x1122_3344_5566_7788L);
    assertEquals(7, registers.getInt(LENGTH - 4));
    assertEquals(0x5566_7788, registers.getInt(8));
    assertEquals(0x1122_3344_5566_7788L, registers.getLong(8));
    assertEquals(0, registers.getInt(0));
  }

  @Test
  void shouldRefuseWhatIsOutside() {
    assertThrows(IllegalArgumentException.class, () -> registers.getInt(LENGTH));
    assertThrows(IllegalArgumentException.class, () -> registers.getLong(LENGTH - 4));
    assertThrows(IllegalArgumentException.class, () -> registers.putInt(-4, 0));
    assertThrows(IllegalArgumentException.class, () -> registers.putLong(LENGTH, 0));
  }

  @Test
  void shouldReadAllOnesWhenTheDeviceWasTakenOut() {
    registers.putLong(8, 1);
    Fds.truncate(fd, 0);
    assertEquals(-1, registers.getInt(8));
    assertEquals(-1, registers.getLong(8));
  }

  @Test
  void shouldReadAllOnesWhenTheKernelRefuses() {
    try (RegionRegisters refused = new RegionRegisters(-1, 0, LENGTH)) {
      refused.putInt(0, 1);
      refused.putLong(0, 1);
      assertEquals(-1, refused.getInt(0));
      assertEquals(-1, refused.getLong(0));
    }
  }
}
