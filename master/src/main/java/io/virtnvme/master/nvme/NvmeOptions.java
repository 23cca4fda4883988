package io.virtnvme.master.nvme;

import java.util.concurrent.TimeUnit;

/**
 * What the master asks of its devices.
 *
 * @param queuePairCount I/O queue pairs to ask a controller for, 1..1024; it may grant fewer
 * @param adminTimeoutNs limit of one admin command
 */
public record NvmeOptions(int queuePairCount, long adminTimeoutNs) {
  /** Enough for some slaves; a firmware that takes longer than this for a log is broken. */
  public static final NvmeOptions DEFAULT = new NvmeOptions(16, TimeUnit.SECONDS.toNanos(10));
}
