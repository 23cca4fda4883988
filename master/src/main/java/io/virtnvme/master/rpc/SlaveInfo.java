package io.virtnvme.master.rpc;

import java.util.List;

/**
 * One slave process.
 *
 * @param id number within this instance, never used twice
 * @param pid process id, 0 when there is no process (failed)
 * @param state what it does
 * @param seat the seat that it owns or that failed, -1 for a standby
 * @param cores cores of its reactors, empty for a standby
 * @param sessions front-end connections that it serves
 * @param version build of the slave as it said itself
 * @param startedAtMs wall clock, milliseconds since the epoch
 * @param restarts how often this seat's slave was replaced without success in a row
 * @param reason why it failed; empty otherwise
 */
public record SlaveInfo(
    int id,
    long pid,
    State state,
    int seat,
    List<Integer> cores,
    int sessions,
    String version,
    long startedAtMs,
    int restarts,
    String reason) {
  public SlaveInfo {
    cores = List.copyOf(cores);
  }

  /** What a slave does. */
  public enum State {
    /** Owns a seat and polls. */
    ACTIVE,
    /** Warm, waits for a seat to become free. */
    STANDBY,
    /** Not ready yet. */
    STARTING,
    /** The seat was given up on after too many attempts. */
    FAILED
  }
}
