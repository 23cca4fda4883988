package io.virtnvme.tools.migrate;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.LockHolder;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.tools.BlockStore;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * A file or a block device that was there before, through the page cache. Its lock is the one that
 * slaves hold on what they serve, and a block device is opened exclusively: so nothing that they
 * serve is written over, nor what the kernel has mounted. QEMU's locks on images are others.
 */
final class FileStore implements BlockStore {
  private final int lockFd;
  private final FileChannel channel;
  private final long lengthBytes;
  private final byte[] there = new byte[ChunkTable.CHUNK_BYTES];

  private FileStore(final int lockFd, final long lengthBytes, final FileChannel channel) {
    this.lockFd = lockFd;
    this.lengthBytes = lengthBytes;
    this.channel = channel;
  }

  /**
   * Opens and locks it.
   *
   * @throws IOException which says what to do
   */
  static FileStore open(final Path path) throws IOException {
    if (!Files.exists(path)) {
      throw new IOException(
          "there is no " + path + "; make it as long as the disk, with truncate -s");
    }
    final int fd;
    try {
      fd = Fds.open(path.toString(), Fds.O_RDWR | Fds.O_EXCL, 0);
    } catch (final SysException e) {
      throw new IOException(path + ": " + e.getMessage(), e);
    }
    try {
      if (!Fds.isRegularFile(fd) && !Fds.isBlockDevice(fd)) {
        throw new IOException(path + " is neither a file nor a block device");
      }
      if (!Fds.tryLock(fd)) {
        throw new IOException(
            path + " is in use: " + LockHolder.describe(fd) + " holds its lock; use another one");
      }
      // By the descriptor: another file may have the name by now.
      return new FileStore(
          fd,
          Fds.length(fd),
          FileChannel.open(
              Path.of("/proc/self/fd/" + fd), StandardOpenOption.READ, StandardOpenOption.WRITE));
    } catch (final IOException e) {
      Fds.close(fd);
      throw e;
    } catch (final SysException e) {
      Fds.close(fd);
      throw new IOException(path + ": " + e.getMessage(), e);
    }
  }

  @Override
  public long lengthBytes() {
    return lengthBytes;
  }

  @Override
  public int blockBytes() {
    return 1;
  }

  @Override
  public boolean isReadOnly() {
    return false;
  }

  @Override
  public boolean canFlush() {
    return true;
  }

  @Override
  public void write(final long offset, final byte[] bytes, final int from, final int length)
      throws IOException {
    final ByteBuffer left = ByteBuffer.wrap(bytes, from, length);
    long at = offset;
    while (left.hasRemaining()) {
      at += channel.write(left, at);
    }
  }

  /** What reads as zeroes already stays as it is: a hole, perhaps. */
  @Override
  public void zero(final long offset, final long length) throws IOException {
    final byte[] zeroes = new byte[there.length];
    for (long done = 0; done < length; ) {
      final int part = (int) Math.min(there.length, length - done);
      read(offset + done, there, part);
      if (!ChunkTable.isZero(there, 0, part)) {
        write(offset + done, zeroes, 0, part);
      }
      done += part;
    }
  }

  @Override
  public void flush() throws IOException {
    channel.force(true);
  }

  @Override
  public void read(final long offset, final byte[] bytes, final int length) throws IOException {
    final ByteBuffer left = ByteBuffer.wrap(bytes, 0, length);
    long at = offset;
    while (left.hasRemaining()) {
      final int count = channel.read(left, at);
      if (count < 0) {
        throw new EOFException("shorter than it was: offset=" + at);
      }
      at += count;
    }
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close();
    } finally {
      Fds.close(lockFd);
    }
  }
}
