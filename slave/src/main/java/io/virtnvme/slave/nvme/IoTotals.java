package io.virtnvme.slave.nvme;

/**
 * What all queues of a controller have done since its session began, for the SMART log.
 *
 * @param readBytes read by the host
 * @param writtenBytes written by the host
 * @param readCommands Read, Compare and Verify commands completed
 * @param writeCommands Write and Write Zeroes commands completed
 * @param mediaErrors commands that failed for data that could not be read or written
 */
public record IoTotals(
    long readBytes, long writtenBytes, long readCommands, long writeCommands, long mediaErrors) {
  public static final IoTotals NONE = new IoTotals(0, 0, 0, 0, 0);
}
