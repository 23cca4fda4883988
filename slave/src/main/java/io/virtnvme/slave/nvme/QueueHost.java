package io.virtnvme.slave.nvme;

/**
 * The reactors, as a controller's control thread sees them: they run its queues and make every
 * store to shared memory. Every call returns at once; callbacks run later on the control thread.
 * What concerns the controller image and the admin queue is done by one reactor in the order of the
 * calls.
 *
 * <p>A controller decides nothing twice: what it asks for is in the image before it has an effect
 * that the driver could see. So a successor, which has only the image, may ask for it again, and
 * every call here must be harmless when what it asks for is done already.
 */
public interface QueueHost {
  /**
   * No queues: what a process has of a seat that it does not own. Starting does nothing, and
   * everything else is done at once.
   */
  QueueHost NONE = new NoQueues();

  /**
   * Stores the image beside the one that counts, and makes it the one that counts by one store of
   * the commit word; then calls back.
   */
  void storeImage(byte[] image, Runnable whenCommitted);

  /**
   * Whether the guest memory from an address on can be reached now; answered on the spot. A queue
   * must not be made where it cannot; it may still go away later.
   */
  boolean isReachable(long guestAddress, long lengthBytes, boolean forWriting);

  /**
   * Starts a completion queue that the committed image has: resumed from its journal when that was
   * written for the same {@link CompletionQueue#creation}; else anew, with its doorbell set to 0
   * before the journal is made valid.
   *
   * @param whenStarted also when it could not be started, after {@link NvmeController#fail}
   */
  void startCompletionQueue(CompletionQueue queue, Runnable whenStarted);

  /**
   * Starts a submission queue that the committed image has, as {@link #startCompletionQueue} does;
   * its completion queue was started before. Its commands are fetched from now on. What is inflight
   * in the admin queue's journal is handed to {@link NvmeController#execute}, in fetch order,
   * before {@code whenStarted}.
   *
   * @param whenStarted also when it could not be started, after {@link NvmeController#fail}
   */
  void startSubmissionQueue(SubmissionQueue queue, Runnable whenStarted);

  /**
   * Stops fetching from an I/O submission queue, lets the commands in flight end and their
   * completions be published, then calls back. A queue that does not run calls back too.
   */
  void stopSubmissionQueue(int queueId, Runnable whenStopped);

  /** Stops an I/O completion queue that no submission queue uses any more, then calls back. */
  void stopCompletionQueue(int queueId, Runnable whenStopped);

  /**
   * Stops every queue for a controller reset: fetches nothing more, lets what is in flight at block
   * devices end, and calls back when no reactor touches a queue or guest memory for this controller
   * any more. Completions that find no room are dropped, and so are admin commands that were handed
   * out: no callback of theirs comes any more.
   */
  void stopAll(Runnable whenStopped);

  /**
   * Completes an Asynchronous Event Request that was left outstanding: commits the image, then
   * publishes the completion as for any command in the admin queue's journal. There is one call at
   * a time. A fetch number that is not inflight any more calls back too.
   *
   * @param image says that this request is being completed, and with what
   * @param fetchNumber of the request
   * @param result dword 0 of the completion; its status is success
   * @param whenJournalled runs when a crash can undo it no more, as for {@link
   *     AdminRequest#complete}
   */
  void completeEvent(byte[] image, long fetchNumber, int result, Runnable whenJournalled);

  /**
   * The driver wrote a doorbell with a message, not by mapped memory.
   *
   * @param offset from the first doorbell, a multiple of 4
   * @param value as written, unchecked
   * @param whenDone when it is in the doorbell page and the queue's reactor has been told
   */
  void ringDoorbell(int offset, int value, Runnable whenDone);

  /**
   * The shadow doorbell and event index buffers that all I/O queues use from now on (Doorbell
   * Buffer Config); both 0 for none. New queues have them from their start: {@link
   * ControllerState#shadowDoorbellAddress}.
   *
   * @param shadowAddress guest address of a page
   * @param eventIndexAddress guest address of a page
   */
  void shadowDoorbells(long shadowAddress, long eventIndexAddress, Runnable whenDone);

  /**
   * Changes the cache mode of all namespaces (Volatile Write Cache). Without cache a write is on
   * the medium before its completion. New queues have it from their start.
   */
  void writeCache(boolean on, Runnable whenDone);

  /** Brings everything written so far to the medium, on all namespaces, for a shutdown. */
  void flush(Runnable whenDone);
}
