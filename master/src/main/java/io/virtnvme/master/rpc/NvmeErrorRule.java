package io.virtnvme.master.rpc;

/**
 * Errors to be made up for I/O commands of a controller.
 *
 * @param opcode of the commands, 0..255
 * @param isSubmitted whether the device gets the command, and its good end is replaced
 * @param status type and code, as in {@link io.virtnvme.ipc.nvme.Status}; no success
 * @param count commands of each queue pair that fail, at least 1
 */
public record NvmeErrorRule(int opcode, boolean isSubmitted, int status, long count) {}
