package io.virtnvme.slave.virtqueue;

import io.virtnvme.slave.bdev.BlockChannel;

/**
 * One running ring: takes requests from the guest, notes them in the inflight journal, gives them
 * to the block device, completes them. Made on the control thread; from {@link #start} on
 * everything runs on the reactor thread that owns the queue. Data-path calls do not allocate,
 * block, log, or throw.
 *
 * <p>A guest that breaks the rules gets an error for that request; if its ring cannot be trusted
 * any more, the ring is <i>broken</i>: nothing more is fetched, what runs is completed.
 */
public abstract class VirtqueueAgent {
  /** Requests published with one store of the used index, at most. */
  public static final int BATCH_MAX = 32;

  VirtqueueAgent() {}

  /**
   * Makes the agent of a ring; stores nothing in ring or journal yet.
   *
   * @param setup the ring
   * @param channel the disk, as this reactor drives it
   * @param ringSlot upper half of the tags given to the channel; the lower half comes back with
   *     {@link #onIoEnd}
   */
  public static VirtqueueAgent create(
      final QueueSetup setup, final BlockChannel channel, final int ringSlot) {
    throw new UnsupportedOperationException(
        "setup=" + setup + " channel=" + channel + " ringSlot=" + ringSlot);
  }

  /**
   * Initialises a new journal, or recovers an old one and runs what is inflight in it; signals one
   * call, since the last one of a predecessor may be lost. A journal that cannot be used breaks the
   * ring.
   *
   * @return how many requests were submitted again
   */
  public abstract int start();

  /**
   * Submits what had to wait for room, then fetches and submits new requests; publishes whole
   * batches of completions.
   *
   * @param limit how many to fetch at most; 0 fetches none (a stopping ring)
   * @return how many requests were moved
   */
  public abstract int poll(int limit);

  /**
   * Takes the end of a request that the channel had accepted.
   *
   * @param head lower half of its tag
   * @param result 0 or a negative error number
   */
  public abstract void onIoEnd(int head, int result);

  /**
   * Publishes the completions gathered so far and signals the guest if it asked for that. Writes
   * the counters out.
   *
   * @return how many requests were published
   */
  public abstract int flush();

  /**
   * Lets the guest kick from now on.
   *
   * @return true if requests arrived meanwhile: go on polling, no kick may come for them
   */
  public abstract boolean armKicks();

  /** Asks the guest not to kick: the ring is polled. */
  public abstract void disarmKicks();

  /** Counts a kick that was received. */
  public abstract void onKick();

  /**
   * Requests fetched and not published yet; without those of a broken ring that cannot be answered
   * at all.
   */
  public abstract int inFlightCount();

  /**
   * Takes over a new memory map, dirty log and feature bits (only VHOST_F_LOG_ALL may change while
   * a ring runs). New requests use them at once; see {@link #usesPreviousMemory} for running ones.
   */
  public abstract void update(GuestMemory memory, DirtyLog log, long features);

  /** Whether a running request still uses a memory map from before the last {@link #update}. */
  public abstract boolean usesPreviousMemory();

  /** Takes over a new call descriptor; -1 for none. */
  public abstract void updateCall(int fd);

  /**
   * Sets the cache mode: false makes every write durable before it completes. Starts as negotiated
   * (VIRTIO_BLK_F_FLUSH).
   */
  public abstract void writeback(boolean on);

  /**
   * The time that requests fetched or completed from now on are stamped with; once per duty cycle.
   */
  public abstract void nowNs(long timeNs);

  /** The ring's base as VHOST_USER_GET_VRING_BASE answers it; valid when nothing is in flight. */
  public abstract int base();

  /**
   * Brings the agent back to a sound state after one of its methods was left by an Error in the
   * middle (a page fault elsewhere in the process makes the JVM throw an InternalError at any
   * point). Decides by the journal, as a successor would, but keeps what the channel still holds.
   *
   * @return how many requests were submitted again
   */
  public abstract int recoverInPlace();

  /** Whether the ring is broken: see {@link #brokenReason}. */
  public abstract boolean isBroken();

  /** Why the ring is broken, with the values, or null. Allocates: not for the data path. */
  public abstract String brokenReason();

  /** The set-up as updated last. */
  public abstract QueueSetup setup();

  /** Frees private memory; the last call. */
  public abstract void free();
}
