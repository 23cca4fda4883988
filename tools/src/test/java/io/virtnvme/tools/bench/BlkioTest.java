package io.virtnvme.tools.bench;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlkioTest {
  @TempDir private Path folder;

  @Test
  void shouldSayWhichLibraryCannotBeLoaded() throws Exception {
    final Path nothing = folder.resolve("libblkio.so.1");
    for (int i = 0; i < 2; i++) {
      final BenchException failure =
          assertThrows(BenchException.class, () -> Blkio.load(nothing.toString()));
      assertTrue(failure.getMessage().contains(nothing.toString()), failure.getMessage());
      Files.writeString(nothing, "no library");
    }
  }
}
