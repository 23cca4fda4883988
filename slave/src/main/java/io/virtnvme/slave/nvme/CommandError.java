package io.virtnvme.slave.nvme;

/**
 * A command that failed, for the error log (NVM Express base specification 2.0, figure 205).
 *
 * @param queueId submission queue
 * @param commandId of the failed command
 * @param status of its completion
 * @param location bits 7:0 the byte of the command that was wrong, bits 10:8 the bit in it; {@link
 *     #NO_LOCATION} when it was none in particular
 * @param block first block that the error is about, or 0
 * @param namespaceId as the command had it
 */
public record CommandError(
    int queueId, int commandId, int status, int location, long block, int namespaceId) {
  public static final int NO_LOCATION = 0xFFFF;
}
