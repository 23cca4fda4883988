package io.virtnvme.slave.nvme;

/** {@link QueueHost#NONE}. */
final class NoQueues implements QueueHost {
  @Override
  public void storeImage(final byte[] image, final Runnable whenCommitted) {
    whenCommitted.run();
  }

  @Override
  public boolean isReachable(
      final long guestAddress, final long lengthBytes, final boolean forWriting) {
    return true;
  }

  @Override
  public void startCompletionQueue(final CompletionQueue queue, final Runnable whenStarted) {
    whenStarted.run();
  }

  @Override
  public void startSubmissionQueue(final SubmissionQueue queue, final Runnable whenStarted) {
    whenStarted.run();
  }

  @Override
  public void stopSubmissionQueue(final int queueId, final Runnable whenStopped) {
    whenStopped.run();
  }

  @Override
  public void stopCompletionQueue(final int queueId, final Runnable whenStopped) {
    whenStopped.run();
  }

  @Override
  public void stopAll(final Runnable whenStopped) {
    whenStopped.run();
  }

  @Override
  public void completeEvent(
      final byte[] image, final long fetchNumber, final int result, final Runnable whenJournalled) {
    whenJournalled.run();
  }

  @Override
  public void ringDoorbell(final int offset, final int value, final Runnable whenDone) {
    whenDone.run();
  }

  @Override
  public void shadowDoorbells(
      final long shadowAddress, final long eventIndexAddress, final Runnable whenDone) {
    whenDone.run();
  }

  @Override
  public void writeCache(final boolean on, final Runnable whenDone) {
    whenDone.run();
  }

  @Override
  public void flush(final Runnable whenDone) {
    whenDone.run();
  }
}
