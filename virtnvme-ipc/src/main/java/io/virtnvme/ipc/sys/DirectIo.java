package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What O_DIRECT asks of the requests to a file or block device. Control plane only, any thread.
 *
 * <p>Source: Linux {@code include/uapi/linux/stat.h} (struct statx).
 */
public final class DirectIo {
  /**
   * Alignments in bytes, powers of two.
   *
   * @param memoryBytes of each buffer's address
   * @param offsetBytes of the offset in the file and of each buffer's length
   */
  public record Alignment(int memoryBytes, int offsetBytes) {}

  private static final long SYS_STATX = System.getProperty("os.arch").equals("aarch64") ? 291 : 332;
  private static final int AT_EMPTY_PATH = 0x1000;
  private static final int STATX_DIOALIGN = 0x2000;
  private static final int STATX_DEV_MAJOR_OFFSET = 136;
  private static final int STATX_DEV_MINOR_OFFSET = 140;
  private static final int STATX_DIO_MEM_ALIGN_OFFSET = 152;
  private static final int STATX_DIO_OFFSET_ALIGN_OFFSET = 156;
  private static final int STATX_LENGTH = 256;

  /** Safe for every device we know; only costs a copy for buffers that are aligned less. */
  private static final int UNKNOWN_MEMORY_BYTES = 4096;

  private static final int UNKNOWN_OFFSET_BYTES = 512;

  private DirectIo() {}

  /**
   * Asks the kernel; before Linux 6.1, which does not tell, the logical block length of the device
   * below. {@code fd} was opened with O_DIRECT.
   */
  public static Alignment alignment(final int fd) {
    final long statx = Mem.allocate(STATX_LENGTH + Long.BYTES);
    try {
      final long emptyPath = statx + STATX_LENGTH;
      Sys.check(
          Libc.syscall(SYS_STATX, fd, emptyPath, AT_EMPTY_PATH, STATX_DIOALIGN, statx, 0),
          "statx of fd " + fd);
      final int memoryBytes = Mem.getInt(statx + STATX_DIO_MEM_ALIGN_OFFSET);
      final int offsetBytes = Mem.getInt(statx + STATX_DIO_OFFSET_ALIGN_OFFSET);
      if ((Mem.getInt(statx) & STATX_DIOALIGN) != 0 && memoryBytes > 0 && offsetBytes > 0) {
        return new Alignment(memoryBytes, offsetBytes);
      }
      if (Fds.isBlockDevice(fd)) {
        final int logicalBytes = Fds.logicalBlockBytes(fd);
        return new Alignment(logicalBytes, logicalBytes);
      }
      return belowFile(
          Integer.toUnsignedString(Mem.getInt(statx + STATX_DEV_MAJOR_OFFSET))
              + ":"
              + Integer.toUnsignedString(Mem.getInt(statx + STATX_DEV_MINOR_OFFSET)));
    } finally {
      Mem.free(statx);
    }
  }

  private static Alignment belowFile(final String deviceNumber) {
    final Path device = Path.of("/sys/dev/block", deviceNumber);
    // A partition has no queue of its own.
    for (final String queue : new String[] {"queue", "../queue"}) {
      try {
        final int logicalBytes =
            Integer.parseInt(
                Files.readString(device.resolve(queue).resolve("logical_block_size")).trim());
        return new Alignment(logicalBytes, logicalBytes);
      } catch (final IOException | NumberFormatException e) {
        // Not there: a file system without a block device, or the other spelling.
      }
    }
    return new Alignment(UNKNOWN_MEMORY_BYTES, UNKNOWN_OFFSET_BYTES);
  }
}
