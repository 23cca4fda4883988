package io.virtnvme.ipc.segment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class BootIdTest {
  @Test
  void shouldBeTheKernelsId() throws IOException {
    assertEquals(
        Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip(),
        BootId.current().toString());
    assertEquals(BootId.current(), BootId.current());
  }

  @Test
  void shouldDifferInEitherHalf() {
    final BootId id = new BootId(1, 2);

    assertEquals(id, new BootId(1, 2));
    assertEquals(id.hashCode(), new BootId(1, 2).hashCode());
    assertNotEquals(id, new BootId(1, 3));
    assertNotEquals(id, new BootId(3, 2));
    assertNotEquals(id, "1-2");
    assertNotEquals(id, null);
  }
}
