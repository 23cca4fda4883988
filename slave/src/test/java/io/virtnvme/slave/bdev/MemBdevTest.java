package io.virtnvme.slave.bdev;

import static io.virtnvme.slave.bdev.BdevHarness.BLOCK_BYTES;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SegmentHeader;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MemBdevTest {
  private static final int BLOCK_COUNT = 16 * 1024;
  private static final int DISK_BYTES = BLOCK_COUNT * BLOCK_BYTES;

  @TempDir private Path folder;
  private SegmentDirectory segments;
  private BdevHarness harness;

  @BeforeEach
  void open() {
    segments = BdevHarness.segments(folder);
    MemDiskSegment.create(segments, "m0", DISK_BYTES).close();
    harness = new BdevHarness(Bdevs.open(BdevHarness.mem("m0", BLOCK_COUNT), segments));
  }

  @AfterEach
  void close() {
    harness.close();
  }

  private static byte[] content(final int lengthBytes, final int value) {
    final byte[] content = new byte[lengthBytes];
    Arrays.fill(content, (byte) value);
    return content;
  }

  @Test
  void shouldShowItsBlocksToTheNextSlave() {
    assertEquals(0, harness.write(BLOCK_BYTES, content(BLOCK_BYTES, 7)));
    try (BdevHarness next =
        new BdevHarness(Bdevs.open(BdevHarness.mem("m0", BLOCK_COUNT), segments))) {
      assertArrayEquals(content(BLOCK_BYTES, 7), next.read(BLOCK_BYTES, BLOCK_BYTES));
      assertArrayEquals(content(BLOCK_BYTES, 0), next.read(0, BLOCK_BYTES));
    }
  }

  @Test
  void shouldRefuseWhatDoesNotFit() {
    final long iovecs = harness.single(0, BLOCK_BYTES);
    final int read = BlockChannel.OP_READ;
    assertEquals(-Errno.EINVAL, harness.run(read, iovecs, 1, DISK_BYTES, BLOCK_BYTES, 0));
    assertEquals(-Errno.EINVAL, harness.run(read, iovecs, 1, -1, BLOCK_BYTES, 0));
    assertEquals(-Errno.EINVAL, harness.run(read, iovecs, 1, 0, 2 * BLOCK_BYTES, 0));
    assertEquals(
        -Errno.EINVAL,
        harness.run(BlockChannel.OP_WRITE, harness.single(0, 4096), 1, 0, BLOCK_BYTES, 0));
    assertEquals(-Errno.EOPNOTSUPP, harness.run(9, iovecs, 1, 0, BLOCK_BYTES, 0));
  }

  @Test
  void shouldRefuseWritesToAReadOnlyDisk() {
    final BdevDescription readOnly =
        new BdevDescription("m0", BdevDescription.Kind.MEM, BLOCK_BYTES, BLOCK_COUNT, "", true, "");
    try (BdevHarness reader = new BdevHarness(Bdevs.open(readOnly, segments))) {
      assertEquals(-Errno.EROFS, reader.write(0, content(BLOCK_BYTES, 1)));
      assertEquals(-Errno.EROFS, reader.run(BlockChannel.OP_UNMAP, 0, 0, 0, BLOCK_BYTES, 0));
      assertArrayEquals(content(BLOCK_BYTES, 0), reader.read(0, BLOCK_BYTES));
    }
  }

  @Test
  void shouldWriteLongRunsOfZeroesInSlices() {
    assertEquals(0, harness.write(0, content(DISK_BYTES / 2, 5)));
    final long zeroed = 4L * ZeroFills.SLICE_BYTES;
    final BlockChannel channel = harness.channel();
    final int zeroes = BlockChannel.OP_WRITE_ZEROES;
    assertEquals(BlockChannel.PENDING, channel.submit(zeroes, 0, 0, 0, zeroed, 0, 1));
    assertEquals(BlockChannel.PENDING, channel.submit(zeroes, 0, 0, zeroed, zeroed / 2, 0, 2));
    assertEquals(2, harness.io().inFlightCount());
    assertTrue(harness.io().armWakeUp());
    final List<Long> ended = new ArrayList<>();
    for (int step = 1; step <= 6; step++) {
      assertTrue(harness.io().armWakeUp());
      harness.io().poll((tag, result) -> ended.add(tag), 32);
    }
    assertEquals(List.of(2L, 1L), ended);
    assertFalse(harness.io().armWakeUp());
    assertArrayEquals(content((int) (zeroed * 3 / 2), 0), harness.read(0, (int) zeroed * 3 / 2));
    assertArrayEquals(content(BLOCK_BYTES, 5), harness.read(zeroed * 3 / 2, BLOCK_BYTES));
  }

  @Test
  void shouldAskForARetryWhenTooManyLongRunsWait() {
    final BlockChannel channel = harness.channel();
    final long length = 2L * ZeroFills.SLICE_BYTES;
    int accepted = 0;
    while (channel.submit(BlockChannel.OP_UNMAP, 0, 0, 0, length, 0, accepted)
        == BlockChannel.PENDING) {
      accepted++;
    }
    final List<Long> ended = new ArrayList<>();
    for (int step = 0; step < 2 * accepted; step++) {
      harness.io().poll((tag, result) -> ended.add(tag), 32);
    }
    assertEquals(accepted, ended.stream().distinct().count());
  }

  @Test
  void shouldGrowUnderAReactorThatKeepsItsChannel() {
    assertEquals(0, harness.write(0, content(BLOCK_BYTES, 3)));
    final MemBdev.Extent before = ((MemBdev) harness.bdev()).extent();
    assertThrows(BdevException.class, () -> harness.bdev().resize(2 * BLOCK_COUNT));
    assertEquals(DISK_BYTES, harness.channel().lengthBytes());

    grow(2L * DISK_BYTES);
    harness.bdev().resize(2 * BLOCK_COUNT);
    assertEquals(2L * DISK_BYTES, harness.channel().lengthBytes());
    assertEquals(2 * BLOCK_COUNT, harness.bdev().description().blockCount());
    assertEquals(0, harness.write(2L * DISK_BYTES - BLOCK_BYTES, content(BLOCK_BYTES, 4)));
    assertArrayEquals(content(BLOCK_BYTES, 3), harness.read(0, BLOCK_BYTES));
    // A reactor in the middle of a copy still uses the old mapping: it shows the same pages.
    assertEquals(3, Mem.getByte(before.address()));

    final BdevException e =
        assertThrows(BdevException.class, () -> harness.bdev().resize(BLOCK_COUNT));
    assertTrue(e.getMessage().contains("only grows"), e.getMessage());
  }

  /** What the master does before it announces a new length. */
  private void grow(final long dataBytes) {
    final long lengthBytes = MemDiskSegment.DATA_OFFSET + dataBytes;
    final int fd = Fds.open(segments.memDisk("m0").toString(), Fds.O_RDWR, 0);
    Fds.allocate(fd, lengthBytes);
    try (Mapping header = Mapping.map(fd, 0, 4096)) {
      Mem.putLongRelease(header.address() + SegmentHeader.LENGTH_OFFSET, lengthBytes);
    }
    Fds.close(fd);
  }
}
