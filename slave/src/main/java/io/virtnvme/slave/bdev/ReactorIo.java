package io.virtnvme.slave.bdev;

/**
 * The kernel I/O of one reactor thread, shared by all its devices so that requests of many disks go
 * down in one system call. Used and closed on that thread; made, and given its first channels, on
 * any thread before that one runs. Data-path calls do not allocate.
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

  /** Says which of its seat's reactors this one is, from 0; before the first channel is made. */
  default void reactorIndex(final int index) {}

  /**
   * Sends what was submitted since the last call, then reports at most {@code limit} ends. Returns
   * how many.
   */
  int poll(Listener listener, int limit);

  /** Requests that did not end yet. */
  int inFlightCount();

  /**
   * Repairs what an InternalError left half done: the JVM throws one at any point after guest
   * memory was cut short under a copy. Submissions are answered {@link BlockChannel#RETRY} until
   * {@link #poll} has seen the end of everything in the kernel; then {@link #inFlightCount} is 0,
   * and a request whose end was not reported was lost and is to be submitted again.
   */
  default void recover() {}

  /**
   * Before the reactor blocks: lets {@link #fd} become readable from now on. True when something
   * waits already, so that the reactor polls again instead of blocking. The pair of {@link
   * #disarmWakeUp}.
   */
  default boolean armWakeUp() {
    return false;
  }

  /** After the reactor blocked, or did not: {@link #fd} is quiet again, and polling is cheap. */
  default void disarmWakeUp() {}

  /**
   * Descriptor for epoll, readable when ends wait and {@link #armWakeUp} was called; -1 when there
   * is none. It appears when the first channel to a file or disk is made, and stays the same.
   */
  int fd();

  @Override
  void close();
}
