package io.virtnvme.ipc.disk;

/**
 * The driver's side of one queue of a disk, as a guest would play it: for load clients, warm-up and
 * tests. One thread; nothing allocates after the constructor.
 *
 * <p>Data buffers are the caller's, named by guest address.
 *
 * <pre>
 *  submit    token = begin(type, sector); data(...) for each segment; add(); ... publish() -&gt; kick if it says so
 *  reap      token = poll() until it is NONE; status(token); reclaim(token)
 * </pre>
 */
public interface DiskQueue {
  /** Answer of {@link #begin} without room, and of {@link #poll} without a finished request. */
  int NONE = -1;

  /** Type of a read; the number is virtio-blk's. */
  int READ = 0;

  /** Type of a write. */
  int WRITE = 1;

  /** Type of a flush, which has no data. */
  int FLUSH = 4;

  /** Status of a request that was carried out; every other number is an error. */
  int STATUS_OK = 0;

  /** Requests that the queue has room for at most. */
  int queueSize();

  /**
   * Begins a request; the one begun before it and not added is dropped.
   *
   * @param type {@link #READ}, {@link #WRITE} or {@link #FLUSH}; a queue may know more
   * @param sector first sector of 512 bytes
   * @return token of the request, 0..queueSize-1, or {@link #NONE} if no request slot is free
   */
  int begin(int type, long sector);

  /**
   * Adds a data segment to the request. Segments that the device reads must come before those it
   * writes.
   *
   * @param guestAddress where the buffer is
   * @param lengthBytes its length, taken as it is
   * @param deviceWrites true for data the device brings
   */
  void data(long guestAddress, int lengthBytes, boolean deviceWrites);

  /**
   * Puts the request in the queue, to be seen by the device with the next {@link #publish}.
   *
   * @return false if the queue has no room for it now: reap, then add again
   */
  boolean add();

  /**
   * Makes every added request visible to the device.
   *
   * @return true if the device wants to be kicked
   */
  boolean publish();

  /**
   * Takes the next finished request: its token, or {@link #NONE}. The token stays taken until
   * {@link #reclaim}.
   */
  int poll();

  /**
   * Whether the device has finished something since this was asked last; takes nothing. Where the
   * ring has no index for it, only the next completion is looked at: what lies behind an untaken
   * one shows later.
   */
  boolean hasAdvanced();

  /**
   * Whether the device has finished everything that was published; where the ring has no index for
   * it, that shows only once all of it was taken.
   */
  boolean isDeviceIdle();

  /** Status of a finished request. */
  int status(int token);

  /** Frees the token of a finished request. */
  void reclaim(int token);

  /** Requests published or added, and not taken by {@link #poll} yet. */
  int inFlightCount();

  /**
   * Finished requests that no token explains. Stays 0 with a sound device; a request completed
   * twice shows here.
   */
  long faultCount();
}
