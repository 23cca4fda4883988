package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;
import java.nio.charset.StandardCharsets;

/**
 * The datagram socket by which a service tells its manager how it is, as {@code sd_notify(3)}
 * describes it. Says nothing, and fails never, when there is no manager. Any thread, one at a time.
 */
public final class NotifySocket {
  private final String name;

  /**
   * A socket that need not exist.
   *
   * @param name value of NOTIFY_SOCKET: an absolute path, or {@code @} and an abstract name; null,
   *     empty or anything else = none
   */
  public NotifySocket(final String name) {
    final boolean known = name != null && (name.startsWith("/") || name.startsWith("@"));
    final boolean fits =
        known && name.getBytes(StandardCharsets.UTF_8).length <= UnixSocket.PATH_BYTES_MAX;
    this.name = fits && name.length() > 1 ? name : null;
  }

  /** Whether there is somebody to tell. */
  public boolean isThere() {
    return name != null;
  }

  /**
   * Sends one message.
   *
   * @param text assignments, one a line
   * @param fds descriptors to keep; they stay ours, too
   * @return whether it left
   */
  public boolean send(final String text, final int... fds) {
    if (name == null) {
      return false;
    }
    final byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    final long address = Mem.allocate(bytes.length);
    try (FdMessage message = new FdMessage()) {
      final int fd = UnixSocket.connectDatagram(name);
      try {
        Mem.copyIn(bytes, 0, address, bytes.length);
        return message.send(fd, address, bytes.length, fds, fds.length) == bytes.length;
      } finally {
        Fds.close(fd);
      }
    } catch (final SysException e) {
      // A manager that went away must not take the service along.
      return false;
    } finally {
      Mem.free(address);
    }
  }
}
