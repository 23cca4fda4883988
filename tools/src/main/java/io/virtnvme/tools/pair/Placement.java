package io.virtnvme.tools.pair;

/**
 * Where the two threads that poll run on this machine, so that neither takes time from the other
 * when there are two cores. Any thread.
 */
public final class Placement {
  private static final boolean TWO_CORES = Runtime.getRuntime().availableProcessors() > 1;

  private Placement() {}

  /** Core of a load client; -1 for any. */
  public static int clientCore() {
    return TWO_CORES ? 0 : -1;
  }

  /** Core of the reactor. */
  public static int reactorCore() {
    return TWO_CORES ? 1 : 0;
  }
}
