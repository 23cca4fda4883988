package io.virtnvme.slave.bdev;

/**
 * A block device as one reactor thread drives it. Data-path calls: no allocation, no exception, no
 * blocking.
 *
 * <p>The caller has checked offset and length against {@link #lengthBytes} and the block length,
 * and translated every address.
 */
public interface BlockChannel {
  int OP_READ = 0;
  int OP_WRITE = 1;
  int OP_FLUSH = 2;
  int OP_WRITE_ZEROES = 3;
  int OP_UNMAP = 4;

  /** For {@link #OP_WRITE}: on stable storage before it completes. */
  int FLAG_DURABLE = 1;

  /** For {@link #OP_WRITE_ZEROES}: the range may be deallocated. */
  int FLAG_UNMAP = 2;

  /**
   * The request was in flight in the journal of a dead predecessor: where the device itself has
   * outlived that, it may hold the request still, which is then waited for instead of being
   * submitted again.
   */
  int FLAG_RECOVERED = 4;

  /** The request is done, without error. */
  int DONE = 0;

  /** The request runs; its end is reported with its tag by {@link ReactorIo#poll}. */
  int PENDING = 1;

  /** No room now: submit it again after completions were polled. */
  int RETRY = -11;

  /**
   * Starts a request.
   *
   * @param iovecs address of an array of {@code struct iovec} with host addresses; it must stay
   *     unchanged until the end
   * @param lengthBytes sum of the iovecs for reads and writes, the range's length for write zeroes
   *     and unmap
   * @return {@link #DONE}, {@link #PENDING}, {@link #RETRY}, or another negative error number
   */
  int submit(
      int operation,
      long iovecs,
      int iovecCount,
      long offsetBytes,
      long lengthBytes,
      int flags,
      long tag);

  /** Current length; another thread may change it, and only the checked value counts. */
  long lengthBytes();

  int blockBytes();

  /**
   * Tells whose requests have a ring slot in the upper half of their tags, in terms that a
   * successor knows too; the lower half is the slot of that queue's journal. Before the first
   * request of the ring.
   *
   * @param sessionId not 0
   */
  default void bind(final int ringSlot, final long sessionId, final int queueIndex) {}
}
