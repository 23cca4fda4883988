package io.virtnvme.slave.ring;

/**
 * A ring as its reactor runs it. All of it belongs to the reactor's thread from {@link #start} on.
 * Calls of the data path do not allocate, block, log, or throw.
 *
 * <p>One final class per front-end: two of them keep the calls of the duty cycle bimorphic, so that
 * the JIT compiler goes on inlining both.
 */
public interface RingAgent {
  /**
   * Opens the journal of the ring, recovers it if it is an old one, and runs what is inflight in
   * it.
   *
   * @param nowNs time stamp of what is run again
   * @return how many requests were submitted again
   * @throws IllegalStateException when the journal must not be trusted
   */
  int start(long nowNs);

  /**
   * Submits what had to wait for room, then takes and submits new requests. Data path.
   *
   * @param nowNs time stamp of what is taken or ends from now on
   * @param limit how many to take at most; 0 takes none (a stopping ring)
   * @return how many requests were moved
   */
  int poll(long nowNs, int limit);

  /**
   * Takes the end of a request that a device had accepted. Data path.
   *
   * @param tag lower half of its tag
   * @param result 0 or a negative error number
   */
  void onIoEnd(int tag, int result);

  /**
   * Publishes the completions gathered so far, and signals the guest if it wants that. Data path.
   *
   * @return how many requests were published
   */
  int flush();

  /** Whether the ring cannot be trusted any more: see {@link #brokenReason}. Data path. */
  boolean isBroken();

  /** Why the ring is broken, with the values, or null. */
  String brokenReason();

  /** Lets the guest announce requests from now on; true if some wait already and may be taken. */
  boolean armKicks();

  /**
   * When to poll again whether or not the guest announces anything, since a rate limit holds back
   * what it announced before; {@link Long#MAX_VALUE} when nothing is held back.
   */
  long pollDueNs();

  /** The ring is polled again. */
  void disarmKicks();

  /** A kick was received. */
  void onKick();

  /** Requests taken and not published yet. */
  int inFlightCount();

  /** Requests whose end will be reported with {@link #onIoEnd}, whatever becomes of the ring. */
  int heldByChannelCount();

  /** Where the ring stands, in the terms of its front-end; valid when nothing is in flight. */
  int base();

  /** Whether guest memory was made shorter than what is mapped. A system call per region. */
  boolean isMemoryCutShort();

  /** Whether a running request still uses a memory map from before the last one. */
  boolean usesPreviousMemory();

  /**
   * Brings the agent back to a sound state after one of its methods was left by an Error in the
   * middle.
   *
   * @return how many requests are submitted again
   */
  int recoverInPlace();

  /** Whether {@link #onChannelIdle} is due after {@link #recoverInPlace}. */
  boolean awaitsIdle();

  /** No device holds anything any more: what seems to be there was lost by the error. */
  void onChannelIdle();

  /** Reads, writes and flushes that ended since the session began, on whatever slave. */
  long completedCount();

  /** Frees private memory; the last call. */
  void free();
}
