package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/**
 * Sends and receives bytes together with file descriptors (SCM_RIGHTS). Owns the native headers;
 * the caller owns the data memory and every received descriptor. One instance belongs to one
 * thread.
 */
public final class FdMessage implements AutoCloseable {
  /** The kernel's limit per message. */
  public static final int FD_COUNT_MAX = 253;

  public static final int PEEK = 0x2;
  public static final int DONT_WAIT = 0x40;

  private static final int MSG_CTRUNC = 0x8;
  private static final int MSG_TRUNC = 0x20;
  private static final int MSG_NOSIGNAL = 0x4000;
  private static final int MSG_CMSG_CLOEXEC = 0x40000000;
  private static final int SOL_SOCKET = 1;
  private static final int SCM_RIGHTS = 1;

  // struct msghdr, 64-bit: name, namelen, iov, iovlen, control, controllen, flags.
  private static final int HEADER_IOV_OFFSET = 16;
  private static final int HEADER_IOV_COUNT_OFFSET = 24;
  private static final int HEADER_CONTROL_OFFSET = 32;
  private static final int HEADER_CONTROL_LENGTH_OFFSET = 40;
  private static final int HEADER_FLAGS_OFFSET = 48;
  private static final int HEADER_LENGTH = 56;

  // struct cmsghdr, 64-bit: len, level, type, data.
  private static final int CONTROL_LEVEL_OFFSET = 8;
  private static final int CONTROL_TYPE_OFFSET = 12;
  private static final int CONTROL_DATA_OFFSET = 16;
  private static final int CONTROL_LENGTH =
      CONTROL_DATA_OFFSET + (FD_COUNT_MAX + 1) * Integer.BYTES;

  // struct mmsghdr: a msghdr, then the count of bytes that the kernel fills in.
  private static final int WITNESS_COUNT_OFFSET = HEADER_LENGTH;

  /** Length in bytes of one witness, see {@link #sendWitnessed}. */
  public static final int WITNESS_LENGTH = HEADER_LENGTH + Long.BYTES;

  private final long header = Mem.allocate(HEADER_LENGTH + 16 + CONTROL_LENGTH);
  private final long iov = header + HEADER_LENGTH;
  private final long control = iov + 16;
  private final int[] fds = new int[FD_COUNT_MAX];
  private int fdCount;
  private int flags;

  public FdMessage() {
    Mem.putLong(header + HEADER_IOV_OFFSET, iov);
    Mem.putLong(header + HEADER_IOV_COUNT_OFFSET, 1);
  }

  /** Bytes sent, or a negative error number; never raises SIGPIPE. */
  public long send(
      final int socketFd,
      final long dataAddress,
      final int lengthBytes,
      final int[] sentFds,
      final int sentFdCount) {
    prepare(dataAddress, lengthBytes, sentFds, sentFdCount);
    return Sys.orErrno(Libc.sendmsg(socketFd, header, MSG_NOSIGNAL));
  }

  private void prepare(
      final long dataAddress, final int lengthBytes, final int[] sentFds, final int sentFdCount) {
    Mem.putLong(iov, dataAddress);
    Mem.putLong(iov + Long.BYTES, lengthBytes);
    if (sentFdCount == 0) {
      Mem.putLong(header + HEADER_CONTROL_OFFSET, 0);
      Mem.putLong(header + HEADER_CONTROL_LENGTH_OFFSET, 0);
    } else {
      if (sentFdCount > FD_COUNT_MAX) {
        throw new IllegalArgumentException(
            "too many descriptors: count=" + sentFdCount + " max=" + FD_COUNT_MAX);
      }
      final int used = CONTROL_DATA_OFFSET + sentFdCount * Integer.BYTES;
      Mem.putLong(control, used);
      Mem.putInt(control + CONTROL_LEVEL_OFFSET, SOL_SOCKET);
      Mem.putInt(control + CONTROL_TYPE_OFFSET, SCM_RIGHTS);
      for (int i = 0; i < sentFdCount; i++) {
        Mem.putInt(control + CONTROL_DATA_OFFSET + (long) i * Integer.BYTES, sentFds[i]);
      }
      Mem.putLong(header + HEADER_CONTROL_OFFSET, control);
      Mem.putLong(header + HEADER_CONTROL_LENGTH_OFFSET, (used + 7) & ~7);
    }
  }

  /**
   * Sends like {@link #send}, and lets the kernel itself write the count of sent bytes to shared
   * memory, within the same system call: whoever finds {@link #witnessedBytes} above 0 there knows
   * that the message left, however soon the sender was killed. The other words of the witness mean
   * nothing to anybody but the kernel.
   *
   * @param witnessAddress of {@link #WITNESS_LENGTH} bytes, aligned to 8, after {@link #clear}
   */
  public long sendWitnessed(
      final int socketFd,
      final long witnessAddress,
      final long dataAddress,
      final int lengthBytes,
      final int[] sentFds,
      final int sentFdCount) {
    prepare(dataAddress, lengthBytes, sentFds, sentFdCount);
    Mem.copy(header, witnessAddress, HEADER_LENGTH);
    final int count = Sys.orErrno(Libc.sendmmsg(socketFd, witnessAddress, 1, MSG_NOSIGNAL));
    return count < 0 ? count : witnessedBytes(witnessAddress);
  }

  /**
   * Takes bytes out of a stream socket, in pieces of given lengths by one system call, and lets the
   * kernel write each piece's length to shared memory within it, as {@link #sendWitnessed} does.
   * Descriptors that come along are dropped. Never blocks.
   *
   * @param witnessAddress one witness per piece, one behind the other, after {@link #clear}
   * @param sinkAddress room for the longest piece
   * @return bytes taken in all, or a negative error number
   */
  public static long takeWitnessed(
      final int socketFd,
      final long witnessAddress,
      final long sinkAddress,
      final int[] pieceLengths,
      final int pieceCount) {
    final long iovs = Mem.allocate(16L * pieceCount);
    try {
      for (int i = 0; i < pieceCount; i++) {
        final long message = witnessAddress + (long) i * WITNESS_LENGTH;
        Mem.putLong(iovs + 16L * i, sinkAddress);
        Mem.putLong(iovs + 16L * i + Long.BYTES, pieceLengths[i]);
        Mem.putLong(message, 0);
        Mem.putLong(message + Long.BYTES, 0);
        Mem.putLong(message + HEADER_IOV_OFFSET, iovs + 16L * i);
        Mem.putLong(message + HEADER_IOV_COUNT_OFFSET, 1);
        Mem.putLong(message + HEADER_CONTROL_OFFSET, 0);
        Mem.putLong(message + HEADER_CONTROL_LENGTH_OFFSET, 0);
        Mem.putLong(message + HEADER_FLAGS_OFFSET, 0);
      }
      final int count =
          Sys.orErrno(Libc.recvmmsg(socketFd, witnessAddress, pieceCount, DONT_WAIT, 0));
      long taken = 0;
      for (int i = 0; i < count; i++) {
        taken += witnessedBytes(witnessAddress + (long) i * WITNESS_LENGTH);
      }
      return count < 0 ? count : taken;
    } finally {
      Mem.free(iovs);
    }
  }

  /** Makes a witness say that nothing was sent or taken. */
  public static void clear(final long witnessAddress) {
    Mem.putLongRelease(witnessAddress + WITNESS_COUNT_OFFSET, 0);
  }

  /** Bytes that the kernel sent or took on behalf of this witness since {@link #clear}. */
  public static int witnessedBytes(final long witnessAddress) {
    return Mem.getIntAcquire(witnessAddress + WITNESS_COUNT_OFFSET);
  }

  /**
   * Receives into {@code dataAddress}; afterwards {@link #fdCount} and {@link #fd} tell the
   * descriptors that came along, which the caller now owns. Bytes received, 0 at end of file, or a
   * negative error number.
   */
  public long receive(
      final int socketFd, final long dataAddress, final int capacityBytes, final int receiveFlags) {
    Mem.putLong(iov, dataAddress);
    Mem.putLong(iov + Long.BYTES, capacityBytes);
    Mem.putLong(header + HEADER_CONTROL_OFFSET, control);
    Mem.putLong(header + HEADER_CONTROL_LENGTH_OFFSET, CONTROL_LENGTH);
    Mem.putInt(header + HEADER_FLAGS_OFFSET, 0);
    fdCount = 0;
    flags = 0;
    final long result =
        Sys.orErrno(Libc.recvmsg(socketFd, header, receiveFlags | MSG_CMSG_CLOEXEC));
    if (result >= 0) {
      flags = Mem.getInt(header + HEADER_FLAGS_OFFSET);
      collectFds(Mem.getLong(header + HEADER_CONTROL_LENGTH_OFFSET));
    }
    return result;
  }

  /** Receives (or peeks) bytes only; descriptors that came along are dropped by the kernel. */
  public long receiveBytes(
      final int socketFd, final long dataAddress, final int capacityBytes, final int receiveFlags) {
    Mem.putLong(iov, dataAddress);
    Mem.putLong(iov + Long.BYTES, capacityBytes);
    Mem.putLong(header + HEADER_CONTROL_OFFSET, 0);
    Mem.putLong(header + HEADER_CONTROL_LENGTH_OFFSET, 0);
    Mem.putInt(header + HEADER_FLAGS_OFFSET, 0);
    fdCount = 0;
    flags = 0;
    final long result = Sys.orErrno(Libc.recvmsg(socketFd, header, receiveFlags));
    if (result >= 0) {
      flags = Mem.getInt(header + HEADER_FLAGS_OFFSET);
    }
    return result;
  }

  private void collectFds(final long controlLength) {
    long offset = 0;
    while (offset + CONTROL_DATA_OFFSET <= controlLength) {
      final long length = Mem.getLong(control + offset);
      if (length < CONTROL_DATA_OFFSET) {
        return;
      }
      if (Mem.getInt(control + offset + CONTROL_LEVEL_OFFSET) == SOL_SOCKET
          && Mem.getInt(control + offset + CONTROL_TYPE_OFFSET) == SCM_RIGHTS) {
        final int count = (int) ((length - CONTROL_DATA_OFFSET) / Integer.BYTES);
        for (int i = 0; i < count && fdCount < FD_COUNT_MAX; i++) {
          fds[fdCount++] =
              Mem.getInt(control + offset + CONTROL_DATA_OFFSET + (long) i * Integer.BYTES);
        }
      }
      offset += (length + 7) & ~7L;
    }
  }

  public int fdCount() {
    return fdCount;
  }

  public int fd(final int index) {
    return fds[index];
  }

  /** True when the message or its descriptors did not fit and the rest is lost. */
  public boolean truncated() {
    return (flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  }

  /** The received descriptors; the caller owns them from now on. */
  public int[] takeFds() {
    final int[] taken = new int[fdCount];
    System.arraycopy(fds, 0, taken, 0, fdCount);
    fdCount = 0;
    return taken;
  }

  public void closeFds() {
    for (int i = 0; i < fdCount; i++) {
      Fds.close(fds[i]);
    }
    fdCount = 0;
  }

  @Override
  public void close() {
    Mem.free(header);
  }
}
