package io.virtnvme.slave.nvme;

/**
 * An admin command that the reactor has fetched and journalled, handed to {@link
 * NvmeController#execute}: in fetch order, and after a takeover all that are inflight again. All
 * calls on the control thread. Data goes first: it is in guest memory before the image says that
 * the command was executed, so that a successor which finds that has only the completion to
 * publish.
 */
public interface AdminRequest {
  /** Hears how a transfer ended. */
  interface Transferred {
    /**
     * Called once.
     *
     * @param status {@link io.virtnvme.ipc.nvme.Status#SUCCESS}, or what was wrong with the data
     *     pointer or the memory that it names
     */
    void onTransferred(int status);
  }

  /** Grows by one with each command fetched from the admin queue since it was started. */
  long fetchNumber();

  /**
   * The 64 bytes of the submission queue entry, from the journal: the guest cannot change them any
   * more.
   */
  byte[] entry();

  /**
   * Writes data to where the command's data pointer says (PRP or SGL), then calls back. At most
   * once for a request, before {@link #complete}.
   */
  void transfer(byte[] data, Transferred whenTransferred);

  /**
   * Answers a request: commits the image if there is one, then publishes the completion. A request
   * that {@link AdminOutcome#isOutstanding} stays inflight in the journal and gets its completion
   * by {@link QueueHost#completeEvent}.
   *
   * @param image to be committed before, or null when the committed one says it already
   * @param whenJournalled runs when a crash can undo it no more: the completion is published, or
   *     noted in the journal to be published (for an outstanding request: the image is committed).
   *     The controller answers no other request before.
   */
  void complete(byte[] image, AdminOutcome outcome, Runnable whenJournalled);
}
