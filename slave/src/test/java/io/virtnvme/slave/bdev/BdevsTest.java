package io.virtnvme.slave.bdev;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BdevsTest {
  private static final int FILE_BYTES = 1 << 20;

  @TempDir private Path folder;

  private BdevException refused(final BdevDescription description) {
    return assertThrows(
        BdevException.class, () -> Bdevs.open(description, BdevHarness.segments(folder)));
  }

  private static BdevDescription withBlockBytes(final Path path, final int blockBytes) {
    return new BdevDescription(
        "d0", BdevDescription.Kind.URING, blockBytes, 0, path.toString(), false, "");
  }

  @Test
  void shouldTakeTheFilesLengthWhenNoneIsGiven() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("f"), FILE_BYTES);
    try (Bdev bdev = Bdevs.open(BdevHarness.file(path), BdevHarness.segments(folder))) {
      assertEquals(FILE_BYTES / BdevHarness.BLOCK_BYTES, bdev.description().blockCount());
      assertTrue(bdev.needsFence());
    }
  }

  @Test
  void shouldSayThatAFileIsMissing() {
    final BdevException e = refused(BdevHarness.file(folder.resolve("none")));
    assertEquals(Errno.ENOENT, e.errno());
    assertTrue(e.getMessage().contains("does not exist: create it first"), e.getMessage());
  }

  @Test
  void shouldRefuseALengthThatIsNoMultipleOfTheBlockLength() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("f"), FILE_BYTES + 512);
    final BdevException e = refused(withBlockBytes(path, 4096));
    assertEquals(Errno.EINVAL, e.errno());
    assertTrue(e.getMessage().contains("length=1049088 block size=4096"), e.getMessage());
  }

  @Test
  void shouldRefuseAnEmptyFile() throws IOException {
    final BdevException e =
        refused(BdevHarness.file(BdevHarness.sparseFile(folder.resolve("f"), 0)));
    assertTrue(e.getMessage().contains("length=0"), e.getMessage());
  }

  @Test
  void shouldRefuseAFileShorterThanTheDisk() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("f"), FILE_BYTES);
    final BdevException e = refused(BdevHarness.file(path).withBlockCount(1 << 20));
    assertTrue(e.getMessage().contains("is shorter than the disk"), e.getMessage());
  }

  @Test
  void shouldRefuseWhatIsNeitherFileNorBlockDevice() {
    final BdevException folderRefused = refused(BdevHarness.file(folder));
    assertTrue(folderRefused.getMessage().contains("neither a file nor a block device"));
    final BdevException deviceRefused = refused(BdevHarness.file(Path.of("/dev/zero")));
    assertTrue(
        deviceRefused.getMessage().contains("neither a file nor a block device"),
        deviceRefused.getMessage());
  }

  @Test
  void shouldRefuseAnOddBlockLength() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("f"), FILE_BYTES);
    assertTrue(refused(withBlockBytes(path, 520)).getMessage().contains("512 or 4096: 520"));
  }

  @Test
  void shouldSayWhoHoldsTheLock() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("f"), FILE_BYTES);
    final SegmentDirectory segments = BdevHarness.segments(folder);
    try (Bdev second = Bdevs.open(BdevHarness.file(path), segments)) {
      try (Bdev first = Bdevs.open(BdevHarness.file(path), segments)) {
        assertTrue(first.tryFence());
        assertTrue(first.tryFence());
        assertFalse(second.tryFence());
        assertTrue(
            second.fenceHolder().startsWith("process " + ProcessHandle.current().pid()),
            second.fenceHolder());
      }
      assertTrue(second.tryFence());
    }
  }

  @Test
  void shouldOpenAReadOnlyFileOnlyAsAReadOnlyDisk() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("f"), FILE_BYTES);
    final BdevDescription description = BdevHarness.file(path);
    final BdevDescription readOnly =
        new BdevDescription("d0", description.kind(), 512, 0, description.path(), true, "");
    assertTrue(path.toFile().setReadOnly());
    try (BdevHarness harness = new BdevHarness(UringBdev.open(readOnly))) {
      assertEquals(-Errno.EROFS, harness.write(0, new byte[512]));
      assertEquals(0, harness.run(BlockChannel.OP_FLUSH, 0, 0, 0, 0, 0));
      assertEquals(512, harness.read(0, 512).length);
      assertTrue(harness.bdev().tryFence());
    }
  }

  @Test
  void shouldSayWhatIsWrongWithASegment() {
    final BdevException e = refused(BdevHarness.mem("none", 8));
    assertTrue(e.getMessage().contains("bdev-none"), e.getMessage());
    final SegmentDirectory segments = BdevHarness.segments(folder);
    MemDiskSegment.create(segments, "m0", 4096).close();
    final BdevException tooShort = refused(BdevHarness.mem("m0", 9));
    assertTrue(tooShort.getMessage().contains("segment=4096 disk=4608"), tooShort.getMessage());
  }

  @Test
  void shouldFindIoUringInThisKernel() {
    assertNull(UringReactorIo.probe());
  }

  @Test
  void shouldCompleteEverythingOnANullDisk() {
    final BdevDescription description =
        new BdevDescription("n0", BdevDescription.Kind.NULL, 4096, 100, "", false, "");
    try (BdevHarness harness =
        new BdevHarness(Bdevs.open(description, BdevHarness.segments(folder)))) {
      assertEquals(0, harness.write(4096, new byte[4096]));
      assertEquals(-Errno.EINVAL, harness.write(4096 * 100L, new byte[4096]));
      harness.bdev().resize(101);
      assertEquals(0, harness.write(4096 * 100L, new byte[4096]));
      assertEquals(-1, harness.io().fd());
      assertFalse(harness.bdev().needsFence());
    }
  }

  @Test
  void shouldReleaseTheDescriptorOfARefusedFile() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("f"), FILE_BYTES + 1);
    final int before = nextDescriptor();
    refused(BdevHarness.file(path));
    assertEquals(before, nextDescriptor());
  }

  private static int nextDescriptor() {
    final int fd = Fds.open("/dev/null", Fds.O_RDONLY, 0);
    Fds.close(fd);
    return fd;
  }

  @Test
  void shouldNotTouchTheFileByOpening() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("f"), FILE_BYTES);
    final var modified = Files.getLastModifiedTime(path);
    Bdevs.open(BdevHarness.file(path), BdevHarness.segments(folder)).close();
    assertEquals(modified, Files.getLastModifiedTime(path));
  }
}
