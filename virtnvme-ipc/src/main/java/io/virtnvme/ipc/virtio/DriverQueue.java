package io.virtnvme.ipc.virtio;

/**
 * The driver's side of one virtio-blk ring, as a guest would play it: for load clients, warm-up and
 * tests. One thread; nothing allocates after the constructor.
 *
 * <p>It works on a range of memory that the back-end sees under guest addresses: descriptors,
 * rings, indirect tables, headers and status bytes lie there. Data buffers are the caller's, named
 * by guest address.
 *
 * <pre>
 *  submit    token = begin(type, sector); data(...) for each segment; add(); ... publish() -&gt; kick if it says so
 *  reap      token = poll() until it is NONE; status(token); reclaim(token)
 * </pre>
 */
public interface DriverQueue {
  /** Answer of {@link #begin} without room, and of {@link #poll} without a finished request. */
  int NONE = -1;

  /** Entries of the ring. */
  int queueSize();

  /** Guest address of the descriptor table (split) or descriptor ring (packed). */
  long descriptorGuestAddress();

  /** Guest address of the avail ring (split) or the driver's event suppression (packed). */
  long driverAreaGuestAddress();

  /** Guest address of the used ring (split) or the device's event suppression (packed). */
  long deviceAreaGuestAddress();

  /** The base to give with VHOST_USER_SET_VRING_BASE for this ring as it was constructed. */
  int initialBase();

  /**
   * Begins a request; the one begun before it and not added is dropped.
   *
   * @param type a {@link BlkRequest} type; unknown ones are passed on
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
   * @param deviceWrites true for data the device brings (IN, GET_ID)
   */
  void data(long guestAddress, int lengthBytes, boolean deviceWrites);

  /**
   * Puts the request in the ring, to be seen by the device with the next {@link #publish}.
   *
   * @return false if the ring has no room for its descriptors now: reap, then add again
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
   * Whether the device has finished something since this was asked last; takes nothing. A packed
   * ring is looked at where {@link #poll} goes on: what lies behind an untaken request shows later.
   */
  boolean hasAdvanced();

  /**
   * Whether the device has finished everything that was published. A packed ring shows that only
   * once all of it was taken.
   */
  boolean isDeviceIdle();

  /**
   * Status byte of a request: a {@link BlkRequest} status, or {@link BlkRequest#STATUS_NONE} before
   * the device wrote it.
   */
  int status(int token);

  /** Bytes that the device says it wrote, of a finished request. */
  int usedLength(int token);

  /** Frees the token of a finished request. */
  void reclaim(int token);

  /** Requests published or added, and not taken by {@link #poll} yet. */
  int inFlightCount();

  /**
   * Asks the device to signal the next completion.
   *
   * @return true if one is there already: poll again, no signal may come for it
   */
  boolean enableCalls();

  /** Asks the device not to signal; it still may. */
  void disableCalls();

  /**
   * Finished requests that no token explains: a used entry out of range or not in flight. Stays 0
   * with a sound device; a request completed twice shows here.
   */
  long faultCount();
}
