package io.virtnvme.master.rpc;

/**
 * One takeover of a seat, with its phases in microseconds, each counted from the end of the one
 * before; -1 for a phase that did not happen.
 *
 * @param number counts takeovers of this instance from 1
 * @param timeMs wall clock of the detection, milliseconds since the epoch
 * @param seat the seat
 * @param cause why the slave was replaced
 * @param deadPid process that owned the seat
 * @param successorPid process that took over
 * @param warm whether a standby took over
 * @param sessions sessions taken over
 * @param queues queues restarted
 * @param resubmitted requests found in flight and submitted again
 * @param detectUs from the death to the successor holding the seat; -1 when the time of death is
 *     unknown
 * @param fenceUs until the kernel I/O of the dead process was known to be over
 * @param mapUs until all memory was mapped
 * @param replayUs until the journals were replayed
 * @param firstCompletionUs until the first request completed
 * @param totalUs the sum of the phases that happened
 * @param evidence folder with what was saved about a process that hung; empty for others
 */
public record RecoveryInfo(
    long number,
    long timeMs,
    int seat,
    Cause cause,
    long deadPid,
    long successorPid,
    boolean warm,
    int sessions,
    int queues,
    int resubmitted,
    long detectUs,
    long fenceUs,
    long mapUs,
    long replayUs,
    long firstCompletionUs,
    long totalUs,
    String evidence) {
  /** Why a slave was replaced. */
  public enum Cause {
    /** The process ended by a signal or by itself. */
    DIED,
    /** It stopped answering and was killed. */
    HUNG,
    /** It handed its seat over on request. */
    HANDOVER
  }
}
