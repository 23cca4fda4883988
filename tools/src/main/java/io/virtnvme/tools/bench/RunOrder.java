package io.virtnvme.tools.bench;

import io.virtnvme.tools.pair.FrontEnd;
import java.util.List;

/**
 * One run, as the client process is told on one line of JSON.
 *
 * @param frontEnd what the disk is seen as
 * @param socket its socket; null for the do-nothing peer inside the client
 * @param blkioLibrary file of libblkio, which then drives the disk; null for our own client
 * @param ratePerSecond requests that become due in a second, 1..{@link #RATE_MAX}; 0 = each follows
 *     the completion of another one
 * @param warmUpMs time before it counts
 * @param runMs time that counts
 * @param packed packed rings
 * @param indirect indirect descriptors, if the back-end has them
 * @param inflight negotiate an inflight region, if the back-end has it
 * @param rangeBytes part of the disk that is used, from its start; less if the disk is shorter
 * @param clientCore core of the polling thread, -1 for anywhere
 * @param peerCore core of the back-end, for the ping-pong and the do-nothing peer; -1 if unknown
 * @param watchPids processes whose time counts as the back-end's; empty for the one that listens
 */
record RunOrder(
    FrontEnd frontEnd,
    String socket,
    String blkioLibrary,
    Work work,
    int queueDepth,
    int ratePerSecond,
    int warmUpMs,
    int runMs,
    boolean packed,
    boolean indirect,
    boolean inflight,
    long rangeBytes,
    int clientCore,
    int peerCore,
    List<Integer> watchPids) {
  /** One in 10 ns, more than a client can send. */
  static final int RATE_MAX = 100_000_000;
}
