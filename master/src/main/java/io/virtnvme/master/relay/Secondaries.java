package io.virtnvme.master.relay;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairMessage;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;

/** The one thing that the master itself says to a secondary: no. Conductor thread. */
public final class Secondaries {
  private static final int[] NO_FDS = {};

  private Secondaries() {}

  /** Says why, without waiting for the wish, and hangs up. */
  public static void refuse(final int fd, final int errno, final String reason) {
    final byte[] message = QpairMessage.refused(errno, reason);
    final long buffer = Mem.allocate(message.length);
    try (FdMessage socket = new FdMessage()) {
      Mem.copyIn(message, 0, buffer, message.length);
      // It fits the buffer of a new socket; a client that is gone already does not read it.
      socket.send(fd, buffer, message.length, NO_FDS, 0);
    } finally {
      Mem.free(buffer);
      Fds.close(fd);
    }
  }
}
