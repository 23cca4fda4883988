package io.virtnvme.ipc.segment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Pages;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SegmentTest {
  @TempDir Path path;

  private SegmentDirectory directory() {
    return new SegmentDirectory(path, 0x1234, BootId.current());
  }

  @Test
  void shouldPinTheLayoutOfEverySegment() {
    assertEquals(64, SegmentHeader.HEADER_LENGTH);
    assertEquals(8, SegmentHeader.KIND_OFFSET);
    assertEquals(12, SegmentHeader.MAJOR_VERSION_OFFSET);
    assertEquals(14, SegmentHeader.MINOR_VERSION_OFFSET);
    assertEquals(16, SegmentHeader.LENGTH_OFFSET);
    assertEquals(24, SegmentHeader.BOOT_ID_HIGH_OFFSET);
    assertEquals(40, SegmentHeader.INSTANCE_ID_OFFSET);
    assertEquals(48, SegmentHeader.GENERATION_OFFSET);
    assertEquals(56, SegmentHeader.CREATED_MS_OFFSET);
    assertEquals(64, SeatSegment.REACTOR_COUNT_OFFSET);
    assertEquals(68, SeatSegment.OWNER_PID_OFFSET);
    assertEquals(72, SeatSegment.EPOCH_OFFSET);
    assertEquals(128, SeatSegment.TAKEOVERS_OFFSET);
    assertEquals(64, SeatSegment.TAKEOVER_LENGTH);
    assertEquals(256, SeatSegment.REACTORS_OFFSET);
    assertEquals(64, SeatSegment.HEARTBEAT_NS_OFFSET);
    assertEquals(96, SeatSegment.QUEUE_FAULTS_OFFSET);
    assertEquals(64, SessionSegment.APPLYING_OFFSET);
    assertEquals(128, SessionSegment.SETTLED_SEQUENCE_OFFSET);
    assertEquals(136, SessionSegment.PENDING_SEQUENCE_OFFSET);
    assertEquals(192, SessionSegment.REPLY_WITNESS_OFFSET);
    assertEquals(256, SessionSegment.TAKEN_WITNESSES_OFFSET);
    assertEquals(512, SessionSegment.QUEUES_OFFSET);
    assertEquals(8704, SessionSegment.DISKS_OFFSET);
    assertEquals(96, SessionSegment.DISK_LENGTH);
    assertEquals(37, SessionSegment.DISK_COUNT_MAX);
    assertEquals(12288, SessionSegment.LENGTH, "as of 1.0");
    assertTrue(
        SessionSegment.QueueCounter.values().length * Long.BYTES <= SessionSegment.QUEUE_LENGTH);
  }

  @Test
  void shouldGiveEachDiskABlockOfCountersAsLongAsThereIsRoom() {
    try (SessionSegment segment = SessionSegment.create(directory(), 9)) {
      assertFalse(segment.claimDisk(0), "no disk");
      assertEquals(0, segment.diskCounters(0));
      for (int round = 0; round < 2; round++) {
        for (long id = 1; id <= SessionSegment.DISK_COUNT_MAX; id++) {
          assertTrue(segment.claimDisk(-id));
        }
      }
      assertFalse(segment.claimDisk(5));
      assertEquals(0, segment.diskCounters(5));
      final long begin = segment.queueCounters(0) - SessionSegment.QUEUES_OFFSET;
      for (long id = 1; id <= SessionSegment.DISK_COUNT_MAX; id++) {
        final long offset = segment.diskCounters(-id) - begin;
        assertEquals(8704 + (id - 1) * 96 + 8, offset);
        assertTrue(offset + 80 <= SessionSegment.LENGTH);
        Mem.putLong(
            segment.diskCounters(-id) + SessionSegment.QueueCounter.ERRORS.offsetBytes(), id);
      }
      assertEquals(37 * 38 / 2, segment.diskSum(SessionSegment.QueueCounter.ERRORS));
      assertEquals(0, segment.diskSum(SessionSegment.QueueCounter.READ_OPS));
      assertEquals(0, segment.diskSum(SessionSegment.QueueCounter.CALLS));
      assertEquals(0, segment.sum(SessionSegment.QueueCounter.ERRORS));
    }
  }

  @Test
  void shouldReopenWhatWasCreated() {
    try (SeatSegment created = SeatSegment.create(directory(), 3, 2)) {
      created.takeOwnership(77);
    }
    try (SeatSegment opened = SeatSegment.open(directory(), 3)) {
      assertEquals(2, opened.reactorCount());
      assertEquals(77, opened.ownerPid());
      assertEquals(1, opened.epoch());
    }
  }

  @Test
  void shouldKeepHowASeatWasTakenTheLastTwoTimes() {
    try (SeatSegment segment = SeatSegment.create(directory(), 3, 1)) {
      assertNull(segment.takeover(1));
      for (int i = 1; i <= 3; i++) {
        segment.takeOwnership(i);
        segment.putTakeover(takeover(i, false));
        segment.putTakeover(takeover(i, true));
      }
      assertNull(segment.takeover(1));
      assertEquals(takeover(2, true), segment.takeover(2));
      assertEquals(takeover(3, true), segment.takeover(3));
    }
  }

  private static TakeoverReport takeover(final int pid, final boolean measured) {
    return new TakeoverReport(measured, pid, pid % 2 == 0, pid % 3 == 0, -1, 2, 3, 4, 5, 6, pid);
  }

  @Test
  void shouldRefuseASegmentOfAnotherBoot() {
    SeatSegment.create(new SegmentDirectory(path, 0x1234, new BootId(1, 2)), 0, 1).close();
    final BadSegmentException refused =
        assertThrows(BadSegmentException.class, () -> SeatSegment.open(directory(), 0));
    assertTrue(refused.getMessage().contains("before the host was booted"), refused.getMessage());
  }

  @Test
  void shouldRefuseASegmentOfAnotherInstance() {
    SeatSegment.create(new SegmentDirectory(path, 0x9999, BootId.current()), 0, 1).close();
    assertThrows(BadSegmentException.class, () -> SeatSegment.open(directory(), 0));
  }

  @Test
  void shouldRefuseASegmentThatWasCutShortOrBelongsToAnotherKind() throws IOException {
    SeatSegment.create(directory(), 0, 1).close();
    final byte[] whole = Files.readAllBytes(path.resolve("seat-0"));
    for (int length = 0; length < whole.length; length += 512) {
      Files.write(path.resolve("seat-1"), java.util.Arrays.copyOf(whole, length));
      assertThrows(BadSegmentException.class, () -> SeatSegment.open(directory(), 1));
    }
    Files.write(path.resolve("session-5"), whole);
    assertThrows(BadSegmentException.class, () -> SessionSegment.open(directory(), 5));
  }

  @Test
  void shouldRefuseEveryFlippedByteOfTheHeaderThatMatters() throws IOException {
    SeatSegment.create(directory(), 0, 1).close();
    final byte[] whole = Files.readAllBytes(path.resolve("seat-0"));
    for (int i = 0; i < SegmentHeader.GENERATION_OFFSET; i++) {
      if (i == SegmentHeader.MINOR_VERSION_OFFSET || i == SegmentHeader.MINOR_VERSION_OFFSET + 1) {
        continue;
      }
      final byte[] damaged = whole.clone();
      damaged[i] ^= 0x40;
      Files.write(path.resolve("seat-1"), damaged);
      assertThrows(BadSegmentException.class, () -> SeatSegment.open(directory(), 1), "byte " + i);
    }
  }

  @Test
  void shouldGrowAMemDiskAndOpenOneWhoseGrowthWasCutShort() throws IOException {
    MemDiskSegment.create(directory(), "d", 8192).close();
    MemDiskSegment.grow(directory(), "d", 16384);
    try (MemDiskSegment grown = MemDiskSegment.open(directory(), "d")) {
      assertEquals(16384, grown.dataBytes());
    }
    final int fd =
        io.virtnvme.ipc.sys.Fds.open(
            path.resolve("bdev-d").toString(), io.virtnvme.ipc.sys.Fds.O_RDWR, 0);
    io.virtnvme.ipc.sys.Fds.truncate(fd, MemDiskSegment.DATA_OFFSET + 32768);
    io.virtnvme.ipc.sys.Fds.close(fd);
    MemDiskSegment.open(directory(), "d").close();
  }

  /** The machine need not have a free huge page for each; one says that the way to them works. */
  @Test
  void shouldPutAMemDiskOnHugePages() throws IOException {
    final SegmentDirectory onTmpfs =
        new SegmentDirectory(
            Files.createTempDirectory(Path.of("/dev/shm"), "vn-"), 1, BootId.current());
    try {
      MemDiskSegment.create(onTmpfs, "d", 6 << 20).close();
      MemDiskSegment.grow(onTmpfs, "d", (12 << 20) + 4096);
      try (MemDiskSegment disk = MemDiskSegment.open(onTmpfs, "d")) {
        assertEquals(0, disk.dataAddress() % Pages.HUGE_PAGE_BYTES);
        for (long offset = 0; offset < disk.dataBytes(); offset += Pages.PAGE_BYTES) {
          assertEquals(0, Mem.getLong(disk.dataAddress() + offset));
          Mem.putLong(disk.dataAddress() + offset, offset);
        }
        final long kilobytes = hugeKilobytes(onTmpfs.memDisk("d"));
        assumeTrue(
            kilobytes > 0 || Pages.collapse(disk.dataAddress(), Pages.HUGE_PAGE_BYTES),
            "no huge page on this machine");
        assertTrue(kilobytes >= 2048, () -> "kilobytes=" + kilobytes);
      }
    } finally {
      Files.delete(onTmpfs.memDisk("d"));
      Files.delete(onTmpfs.path());
    }
  }

  /** Of the mapping of a file: what is huge in the page table (proc_pid_smaps(5)). */
  private static long hugeKilobytes(final Path file) throws IOException {
    boolean ours = false;
    for (final String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        ours = line.endsWith(file.toString());
      } else if (ours && line.startsWith("ShmemPmdMapped:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    return 0;
  }

  @Test
  void shouldLeaveNothingBehindWhenThereIsNoRoom() throws IOException {
    final long moreThanTheMachineHas = 1L << 46;
    assertThrows(
        IllegalStateException.class,
        () -> MemDiskSegment.create(directory(), "huge", moreThanTheMachineHas));
    try (java.util.stream.Stream<Path> left = Files.list(path)) {
      assertEquals(0, left.count());
    }
  }
}
