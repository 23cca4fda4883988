package io.virtnvme.slave.nvme;

/**
 * The admin command that was executed last, for a successor that finds it inflight.
 *
 * @param status of its completion
 * @param result dword 0 of its completion
 */
record ExecutedCommand(long fetchNumber, int status, int result) {}
