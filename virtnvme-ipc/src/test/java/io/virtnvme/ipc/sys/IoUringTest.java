package io.virtnvme.ipc.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IoUringTest {
  @TempDir Path directory;

  @Test
  void shouldWriteAndReadAFileAndKeepUserData() {
    final int fd = Fds.open(directory.resolve("file").toString(), Fds.O_RDWR | Fds.O_CREAT, 0600);
    final long buffer = Mem.allocate(8192);
    try (IoUring ring = new IoUring(8, 16)) {
      Mem.fill(buffer, 4096, (byte) 0x5A);
      ring.prepare(IoUring.OP_WRITE, fd, 4096, buffer, 4096, 0, 0, 77);
      assertEquals(1, ring.submitAndReap(1));
      assertNotEquals(0, ring.peek());
      assertEquals(77, IoUring.userData(ring.peek()));
      assertEquals(4096, IoUring.result(ring.peek()));
      ring.advance();
      ring.prepare(IoUring.OP_READ, fd, 4096, buffer + 4096, 4096, 0, 0, 78);
      ring.submitAndReap(1);
      assertEquals(4096, IoUring.result(ring.peek()));
      assertEquals((byte) 0x5A, Mem.getByte(buffer + 8191));
      ring.advance();
      assertEquals(0, ring.peek());
    } finally {
      Mem.free(buffer);
      Fds.close(fd);
    }
  }

  @Test
  void shouldReportAFailedRequestByItsErrorNumber() {
    try (IoUring ring = new IoUring(8, 16)) {
      ring.prepare(IoUring.OP_FSYNC, 999_999, 0, 0, 0, IoUring.FSYNC_DATASYNC, 0, 5);
      ring.submitAndReap(1);
      assertEquals(-Errno.EBADF, IoUring.result(ring.peek()));
      ring.advance();
    }
  }

  @Test
  void shouldGoRoundItsRingsManyTimes() {
    try (IoUring ring = new IoUring(4, 8)) {
      long expected = 0;
      for (long i = 0; i < 1000; i++) {
        assertTrue(ring.room() > 0);
        ring.prepare(IoUring.OP_NOP, -1, 0, 0, 0, 0, 0, i);
        ring.submitAndReap(1);
        for (long cqe = ring.peek(); cqe != 0; cqe = ring.peek()) {
          assertEquals(expected++, IoUring.userData(cqe));
          ring.advance();
        }
      }
      assertEquals(1000, expected);
    }
  }
}
