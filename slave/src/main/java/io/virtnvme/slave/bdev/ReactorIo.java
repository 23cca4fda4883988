package io.virtnvme.slave.bdev;

/**
 * The kernel I/O of one reactor thread, shared by all its devices so that requests of many disks go down in one system call.
 * Created, used and closed on that thread. Data-path calls do not allocate.
 */
public interface ReactorIo extends AutoCloseable {
  /** Hears of finished requests. */
  interface Listener {
    /**
     * A request ended.
     *
     * @param tag as given to {@link BlockChannel#submit}
     * @param result 0, or a negative error number
     */
    void onIoEnd(long tag, int result);
  }

  /** Sends what was submitted since the last call, then reports at most {@code limit} ends. Returns how many. */
  int poll(Listener listener, int limit);

  /** Requests that did not end yet. */
  int inFlightCount();

  /** Descriptor for epoll, readable when ends wait; -1 when there is none. */
  int fd();

  @Override
  void close();
}
