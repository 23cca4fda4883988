package io.virtnvme.slave.bdev;

/**
 * The kernel I/O of one reactor thread, shared by all its devices so that requests of many disks go
 * down in one system call. Created, used and closed on that thread. Data-path calls do not
 * allocate.
 */
public interface ReactorIo extends AutoCloseable {
  /** Hears of finished requests. */
  interface Listener {
    /**
     * A request ended. May submit new ones.
     *
     * @param tag as given to {@link BlockChannel#submit}
     * @param result 0, or a negative error number
     */
    void onIoEnd(long tag, int result);
  }

  /**
   * Sends what was submitted since the last call, then reports at most {@code limit} ends. Returns
   * how many.
   */
  int poll(Listener listener, int limit);

  /** Requests that did not end yet. */
  int inFlightCount();

  /**
   * True when {@link #poll} has something to do that {@link #fd} does not tell: requests not yet
   * sent, or work in slices. A reactor blocks only when this is false.
   */
  default boolean hasWork() {
    return false;
  }

  /**
   * Descriptor for epoll, readable when ends wait; -1 when there is none. It may appear when a
   * channel is made, and stays the same from then on.
   */
  int fd();

  @Override
  void close();
}
