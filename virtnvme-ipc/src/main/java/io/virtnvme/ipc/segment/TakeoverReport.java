package io.virtnvme.ipc.segment;

/**
 * How a slave came to own a seat, with the phases of the takeover; durations in nanoseconds. It
 * stands in the seat's segment, so that it is not lost with a slave that dies soon.
 *
 * @param measured false while the first completion and the last fence are still waited for
 * @param previousPid process id of the owner before, 0 for none
 * @param ownerDied false when the seat was free or handed over in good order
 * @param warm true for a standby that waited on the seat
 * @param detectNs last heartbeat of the dead reactor to the mutex in our hands; -1 when it was
 *     asleep
 * @param fenceNs mutex to the last fence passed; 0 when no disk needed one
 * @param mapNs time spent on sessions that were not prepared
 * @param replayNs time spent repairing journals and resubmitting
 * @param firstCompletionNs mutex to the first completed request; -1 when none came within a second
 * @param ringCount rings that reactor 0 took over
 * @param resubmittedCount requests on them that were in flight and run again
 */
public record TakeoverReport(
    boolean measured,
    int previousPid,
    boolean ownerDied,
    boolean warm,
    long detectNs,
    long fenceNs,
    long mapNs,
    long replayNs,
    long firstCompletionNs,
    int ringCount,
    int resubmittedCount) {
  /** Written out: what the compiler makes for records takes 40 ms of a core when it runs first. */
  @Override
  public String toString() {
    return "measured="
        + measured
        + " previousPid="
        + previousPid
        + " ownerDied="
        + ownerDied
        + " warm="
        + warm
        + " detectNs="
        + detectNs
        + " fenceNs="
        + fenceNs
        + " mapNs="
        + mapNs
        + " replayNs="
        + replayNs
        + " firstCompletionNs="
        + firstCompletionNs
        + " ringCount="
        + ringCount
        + " resubmittedCount="
        + resubmittedCount;
  }
}
