package io.virtnvme.master.supervisor;

/**
 * What a process does with the processor, as the kernel says.
 *
 * @param runnable whether a thread of it runs or waits for a core
 * @param cpuNs processor time of all its threads so far
 */
public record ProcessActivity(boolean runnable, long cpuNs) {
  /** Of a process that is gone, or cannot be looked at. */
  public static final ProcessActivity NONE = new ProcessActivity(false, 0);
}
