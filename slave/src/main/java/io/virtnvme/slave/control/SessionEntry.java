package io.virtnvme.slave.control;

import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.slave.session.VhostUserSession;

/**
 * A session that this process serves or has prepared, with what a new master must be told of it.
 * Control thread only.
 */
final class SessionEntry {
  final long id;
  final SessionDescription description;
  final SessionSegment segment;
  final VhostUserSession session;

  /**
   * Duplicate of the front-end's socket: keeps the guest's connection alive while there is no
   * master.
   */
  final int frontEndFd;

  /** True once this process starts rings for it. */
  boolean serving;

  boolean closing;

  long lastSequence;
  long lastHash;
  byte[] lastReply;

  SessionEntry(
      final long id,
      final SessionDescription description,
      final SessionSegment segment,
      final VhostUserSession session,
      final int frontEndFd) {
    this.id = id;
    this.description = description;
    this.segment = segment;
    this.session = session;
    this.frontEndFd = frontEndFd;
  }
}
