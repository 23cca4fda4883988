package io.virtnvme.slave.bdev;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UringBlockDeviceTest {
  private static final int DISK_BYTES = 8 << 20;

  @TempDir private Path folder;

  @Test
  void shouldServeABlockDevice() throws IOException {
    final Path file = BdevHarness.sparseFile(folder.resolve("disk"), DISK_BYTES);
    try (LoopDevice loop = LoopDevice.over(file)) {
      final UringBdev bdev = UringBdev.open(BdevHarness.file(loop.path()));
      try (BdevHarness harness = new BdevHarness(bdev)) {
        assertEquals(DISK_BYTES, harness.channel().lengthBytes());
        final byte[] content = new byte[1 << 20];
        Arrays.fill(content, (byte) 9);
        assertEquals(0, harness.write(512, content));
        assertEquals(0, harness.run(BlockChannel.OP_FLUSH, 0, 0, 0, 0, 0));
        final int zeroes = BlockChannel.OP_WRITE_ZEROES;
        assertEquals(0, harness.run(zeroes, 0, 0, 512, 4096, BlockChannel.FLAG_DURABLE));
        assertEquals(0, harness.run(zeroes, 0, 0, 8192, 4096, BlockChannel.FLAG_UNMAP));
        assertEquals(0, harness.run(BlockChannel.OP_UNMAP, 0, 0, 16_384, 4096, 0));
        Arrays.fill(content, 0, 4096, (byte) 0);
        Arrays.fill(content, 8192 - 512, 8192 - 512 + 4096, (byte) 0);
        Arrays.fill(content, 16_384 - 512, 16_384 - 512 + 4096, (byte) 0);
        assertArrayEquals(content, harness.read(512, content.length));
        final int count = harness.scatter(1, content.length, 5, 1);
        assertEquals(
            0, harness.run(BlockChannel.OP_READ, harness.iovecs(), count, 512, content.length, 0));
        assertArrayEquals(content, harness.bufferContent(1, content.length));
      }
    }
  }

  @Test
  void shouldTakeOverTheLengthOfAGrownDevice() throws IOException {
    final Path file = BdevHarness.sparseFile(folder.resolve("disk"), DISK_BYTES);
    try (LoopDevice loop = LoopDevice.over(file);
        BdevHarness harness = new BdevHarness(UringBdev.open(BdevHarness.file(loop.path())))) {
      BdevHarness.sparseFile(file, 2L * DISK_BYTES);
      loop.refresh();
      harness.bdev().resize(2L * DISK_BYTES / BdevHarness.BLOCK_BYTES);
      assertEquals(0, harness.write(2L * DISK_BYTES - 512, new byte[512]));
    }
  }
}
