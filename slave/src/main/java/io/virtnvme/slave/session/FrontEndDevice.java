package io.virtnvme.slave.session;

import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.slave.ring.RingSetup;
import java.util.List;

/**
 * A session as the control thread serves it, whatever its front-end speaks: takes messages one at a
 * time, answers each once. Everything that a successor needs is in its record and its descriptors.
 * Control thread only.
 */
public interface FrontEndDevice {
  /**
   * Brings the session to the state of a record: maps memory and journals, starts nothing.
   *
   * @param newVersion the record's version
   * @param newRecord the record; empty for a session whose front-end has said nothing yet
   * @param slots slot of each descriptor
   * @param newFds the descriptors; the session's from now on, also when this throws
   * @throws SessionException if the record is damaged, of another build, or does not fit its
   *     descriptors; the session stays as it was
   */
  void load(long newVersion, byte[] newRecord, int[] slots, int[] newFds);

  /** Version of the record that the session is in the state of. */
  long version();

  /** The record as it is now. */
  byte[] record();

  /** The slots that hold a descriptor, ascending. */
  int[] heldSlots();

  /** The descriptors in {@link #heldSlots}; they stay the session's. */
  int[] heldFds();

  /** Whether nobody went beyond the record that this session was loaded from. */
  boolean mayStart();

  /** Set-ups of all rings that are to run, for a reactor that starts them by itself. */
  List<? extends RingSetup> runnableQueues();

  /**
   * The front-end's memory as it is mapped now, as far as {@link MappedArea#populatable} has it.
   */
  List<MemoryRange> guestMemory();

  /** The front-end's memory as it is mapped now, for devices that may reach it directly. */
  default List<MappedArea> guestAreas() {
    return List.of();
  }

  /** Whether {@link #runnableQueues} would give now what it gave last, for the same record. */
  default boolean isPreparationCurrent() {
    return true;
  }

  /**
   * Starts every ring that is to run and was not started by this session; from now on the session
   * serves. To call it again is harmless.
   */
  void startRings();

  /**
   * Handles a message. Its answer comes within this call or later; until then there must be no
   * other message.
   *
   * @param sequence its number in the session: one that comes again is the same message, which a
   *     master that died did not see answered
   * @param message header and payload, as received
   * @param messageFds its descriptors; the session's from now on
   * @param sink gets exactly one answer
   */
  void onMessage(long sequence, byte[] message, int[] messageFds, AnswerSink sink);

  /** A block device that the session uses has a new length. */
  void onResize(long bdevId, long blockCount);

  /**
   * The controller's namespaces are others now.
   *
   * @param whenDone called when no request runs on one that is gone
   */
  void onNamespaces(SessionDescription now, Runnable whenDone);

  /**
   * A reactor stopped trusting the session's rings: guest memory was cut short under them, or a
   * journal is damaged.
   *
   * @return whether the session goes on without them; else it is to be ended
   */
  default boolean goesOnWithoutRings(final String reason) {
    return false;
  }

  /**
   * Ends the session: rings come to a stop, memory is unmapped, descriptors are closed. A message
   * that is being handled is answered first.
   *
   * @param listener called once, when nothing is left
   */
  void close(Runnable listener);
}
