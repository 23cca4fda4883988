package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;
import java.nio.charset.StandardCharsets;

/**
 * Unix-domain sockets by file descriptor. All are close-on-exec; listening and accepted ones are
 * non-blocking. Any thread.
 */
public final class UnixSocket {
  /** Longest path that fits a {@code sockaddr_un}, without its final zero. */
  public static final int PATH_BYTES_MAX = 107;

  private static final int AF_UNIX = 1;
  private static final int SOCK_STREAM = 1;
  private static final int SOCK_DGRAM = 2;
  private static final int SOCK_SEQPACKET = 5;
  private static final int SOCK_CLOEXEC = 0x80000;
  private static final int SOCK_NONBLOCK = 0x800;
  private static final int SOL_SOCKET = 1;
  private static final int SO_SNDBUF = 7;
  private static final int SO_PEERCRED = 17;
  private static final int SO_PEEK_OFF = 42;
  private static final long SIOCOUTQ = 0x5411;
  private static final long SIOCINQ = 0x541B;
  private static final int SHUT_RDWR = 2;
  private static final int ADDRESS_BYTES = 110;

  private UnixSocket() {}

  /**
   * Binds and listens; throws EADDRINUSE when the path exists (the caller decides whether it is
   * stale).
   */
  public static int listenStream(final String path, final int backlog) {
    return listen(path, SOCK_STREAM, backlog);
  }

  public static int listenSeqPacket(final String path, final int backlog) {
    return listen(path, SOCK_SEQPACKET, backlog);
  }

  /** A connected, blocking stream socket. */
  public static int connectStream(final String path) {
    return connect(path, SOCK_STREAM);
  }

  /** A connected, blocking socket that keeps message boundaries. */
  public static int connectSeqPacket(final String path) {
    return connect(path, SOCK_SEQPACKET);
  }

  /**
   * A connected, non-blocking datagram socket.
   *
   * @param name a path, or an abstract name with {@code @} for its leading zero
   */
  public static int connectDatagram(final String name) {
    final int fd =
        Sys.check(Libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
    return bindOrConnect(fd, name, false);
  }

  /** A datagram socket with a name, as {@link #connectDatagram} takes it; blocking. */
  public static int bindDatagram(final String name) {
    final int fd = Sys.check(Libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    return bindOrConnect(fd, name, true);
  }

  private static int bindOrConnect(final int fd, final String name, final boolean bind) {
    final long address = address(name);
    int length = ADDRESS_BYTES;
    if (name.startsWith("@")) {
      // An abstract name has no end of its own: the length of the address is part of it.
      Mem.putByte(address + Short.BYTES, (byte) 0);
      length = Short.BYTES + name.getBytes(StandardCharsets.UTF_8).length;
    }
    try {
      Sys.check(
          bind ? Libc.bind(fd, address, length) : Libc.connect(fd, address, length),
          (bind ? "bind to " : "connect to ") + name);
      return fd;
    } catch (final SysException e) {
      Fds.close(fd);
      throw e;
    } finally {
      Mem.free(address);
    }
  }

  /** Two connected stream sockets, blocking. */
  public static int[] streamPair() {
    final long fds = Mem.allocate(Long.BYTES);
    try {
      Sys.check(Libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), "socketpair");
      return new int[] {Mem.getInt(fds), Mem.getInt(fds + Integer.BYTES)};
    } finally {
      Mem.free(fds);
    }
  }

  /** A non-blocking accepted connection, or a negative error number (EAGAIN when nobody waits). */
  public static int accept(final int listenFd) {
    return Sys.orErrno(Libc.accept4(listenFd, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }

  /**
   * Ends both directions; the peer sees end of file even while other processes hold duplicates of
   * the descriptor.
   */
  public static void shutdown(final int fd) {
    Libc.shutdown(fd, SHUT_RDWR);
  }

  /** Process id of the peer at the time it connected. */
  public static int peerPid(final int fd) {
    return peerCredential(fd, 0);
  }

  /** Effective user id of the peer at the time it connected. */
  public static int peerUid(final int fd) {
    return peerCredential(fd, Integer.BYTES);
  }

  private static int peerCredential(final int fd, final int offset) {
    final long value = Mem.allocate(24);
    try {
      Mem.putInt(value + 16, 12);
      Sys.check(Libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, value + 16), "SO_PEERCRED");
      return Mem.getInt(value + offset);
    } finally {
      Mem.free(value);
    }
  }

  /**
   * Lets successive {@code MSG_PEEK} receives move on from {@code offsetBytes} into what is queued,
   * so that a message which arrived in several pieces can be read whole while it stays in the
   * socket.
   */
  public static void peekFrom(final int fd, final int offsetBytes) {
    final long value = Mem.allocate(Integer.BYTES);
    try {
      Mem.putInt(value, offsetBytes);
      Sys.check(Libc.setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, value, Integer.BYTES), "SO_PEEK_OFF");
    } finally {
      Mem.free(value);
    }
  }

  /** True when something that we sent still waits unread in the peer's queue. */
  public static boolean hasUnreadOutput(final int fd) {
    final long value = Mem.allocate(Integer.BYTES);
    try {
      Sys.check(Libc.ioctl(fd, SIOCOUTQ, value), "SIOCOUTQ");
      return Mem.getInt(value) > 0;
    } finally {
      Mem.free(value);
    }
  }

  /** Bytes of a stream socket that wait to be received. */
  public static int unreadInputBytes(final int fd) {
    final long value = Mem.allocate(Integer.BYTES);
    try {
      Sys.check(Libc.ioctl(fd, SIOCINQ, value), "SIOCINQ");
      return Mem.getInt(value);
    } finally {
      Mem.free(value);
    }
  }

  public static void sendBuffer(final int fd, final int lengthBytes) {
    final long value = Mem.allocate(Integer.BYTES);
    try {
      Mem.putInt(value, lengthBytes);
      Sys.check(Libc.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, Integer.BYTES), "SO_SNDBUF");
    } finally {
      Mem.free(value);
    }
  }

  private static int listen(final String path, final int type, final int backlog) {
    final int fd =
        Sys.check(Libc.socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
    final long address = address(path);
    try {
      Sys.check(Libc.bind(fd, address, ADDRESS_BYTES), "bind to " + path);
      Sys.check(Libc.listen(fd, backlog), "listen on " + path);
      return fd;
    } catch (final SysException e) {
      Fds.close(fd);
      throw e;
    } finally {
      Mem.free(address);
    }
  }

  private static int connect(final String path, final int type) {
    final int fd = Sys.check(Libc.socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket");
    final long address = address(path);
    try {
      Sys.check(Libc.connect(fd, address, ADDRESS_BYTES), "connect to " + path);
      return fd;
    } catch (final SysException e) {
      Fds.close(fd);
      throw e;
    } finally {
      Mem.free(address);
    }
  }

  private static long address(final String path) {
    final byte[] bytes = path.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > PATH_BYTES_MAX) {
      throw new IllegalArgumentException(
          "socket path too long: "
              + bytes.length
              + " bytes, at most "
              + PATH_BYTES_MAX
              + ": "
              + path);
    }
    final long address = Mem.allocate(ADDRESS_BYTES);
    Mem.putShort(address, (short) AF_UNIX);
    Mem.copyIn(bytes, 0, address + Short.BYTES, bytes.length);
    return address;
  }
}
