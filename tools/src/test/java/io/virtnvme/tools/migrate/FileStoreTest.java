package io.virtnvme.tools.migrate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file that takes a disk, and what is no such file. */
class FileStoreTest {
  private static final int LENGTH = 200_000;

  @TempDir private Path folder;

  private Path sparse() throws IOException {
    final Path file = folder.resolve("disk");
    try (RandomAccessFile made = new RandomAccessFile(file.toFile(), "rw")) {
      made.setLength(LENGTH);
    }
    return file;
  }

  @Test
  void shouldKeepWhatIsWrittenAndLeaveHolesAlone() throws IOException {
    final Path file = sparse();
    final byte[] wanted = new byte[LENGTH];
    try (FileStore store = FileStore.open(file)) {
      assertEquals(LENGTH, store.lengthBytes());
      store.zero(0, LENGTH);
      store.flush();
      new SplittableRandom(1).nextBytes(wanted);
      store.write(0, wanted, 0, LENGTH);
      Arrays.fill(wanted, 1000, 150_000, (byte) 0);
      store.zero(1000, 149_000);
      final byte[] read = new byte[LENGTH];
      store.read(0, read, LENGTH);
      assertArrayEquals(wanted, read);
    }
    assertArrayEquals(wanted, Files.readAllBytes(file));
  }

  @Test
  void shouldRefuseAFileInUseAndWhatIsNone() throws IOException {
    final Path file = sparse();
    try (FileStore store = FileStore.open(file)) {
      final IOException inUse = assertThrows(IOException.class, () -> FileStore.open(file));
      assertTrue(inUse.getMessage().contains("in use"), inUse.getMessage());
      assertEquals(LENGTH, store.lengthBytes());
    }
    FileStore.open(file).close();
    final Path none = folder.resolve("none");
    assertTrue(
        assertThrows(IOException.class, () -> FileStore.open(none))
            .getMessage()
            .contains("truncate"));
    assertThrows(IOException.class, () -> FileStore.open(folder));
    assertThrows(IOException.class, () -> FileStore.open(Path.of("/dev/null")));
  }
}
