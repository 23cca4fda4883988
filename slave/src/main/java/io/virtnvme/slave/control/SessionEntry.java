package io.virtnvme.slave.control;

import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.slave.session.FrontEndDevice;

/**
 * A session that this process serves or has prepared, with what a new master must be told of it.
 * Control thread only.
 */
final class SessionEntry {
  final long id;

  /** Its namespaces may change. */
  SessionDescription description;

  final SessionSegment segment;
  final FrontEndDevice session;

  /**
   * Duplicate of the front-end's socket: keeps the guest's connection alive while there is no
   * master.
   */
  final int frontEndFd;

  /** True once this process starts rings for it. */
  boolean serving;

  boolean closing;

  /** A message is being handled: its rings come to a stop. */
  boolean busy;

  /**
   * What a new master asked meanwhile: the same message again, since it was not answered. Null for
   * none.
   */
  Relayed waiting;

  /** A message of the front-end, with the connection over which a master relayed it. */
  static final class Relayed {
    final int connectionNumber;
    final long sequence;
    final byte[] bytes;
    final int[] fds;

    Relayed(final int connectionNumber, final long sequence, final byte[] bytes, final int[] fds) {
      this.connectionNumber = connectionNumber;
      this.sequence = sequence;
      this.bytes = bytes;
      this.fds = fds;
    }

    void closeFds() {
      for (final int fd : fds) {
        Fds.close(fd);
      }
    }
  }

  SessionEntry(
      final long id,
      final SessionDescription description,
      final SessionSegment segment,
      final FrontEndDevice session,
      final int frontEndFd) {
    this.id = id;
    this.description = description;
    this.segment = segment;
    this.session = session;
    this.frontEndFd = frontEndFd;
  }
}
