package io.virtnvme.master.nvme;

import java.util.concurrent.TimeUnit;

/**
 * How a device is watched and what is tried before it is given up.
 *
 * @param lookIntervalNs between two looks at the registers and the queues
 * @param healthIntervalNs between two looks at the health log; 0 for never
 * @param commandNsMax how long an I/O command may take; 0 for any time
 * @param abortsMax times within the window that hung commands are aborted before the controller is
 *     reset for them; 0 for a reset at once
 * @param abortWaitNs how long aborted commands may take to end
 * @param gateWaitNs how long slaves may take to keep off the queues; there is no reset before they
 *     do
 * @param linkWaitNs how long registers may read as all ones before the device counts as taken out
 * @param resetWaitNs limit of a reset; the driver's own limits are below it with any controller
 * @param pauseNs between a reset that failed and the next one
 * @param resetsMax resets within the window before the device is given up; those that the operator
 *     asks for do not count, and begin a new window
 * @param transportErrorsMax errors within the window, not of the medium, before a reset is tried
 *     for them; 0 for any number
 * @param windowNs length of the window, which slides
 */
public record RepairOptions(
    long lookIntervalNs,
    long healthIntervalNs,
    long commandNsMax,
    int abortsMax,
    long abortWaitNs,
    long gateWaitNs,
    long linkWaitNs,
    long resetWaitNs,
    long pauseNs,
    int resetsMax,
    int transportErrorsMax,
    long windowNs) {
  /** For devices of a data centre. */
  public static final RepairOptions DEFAULT =
      new RepairOptions(
          TimeUnit.MILLISECONDS.toNanos(100),
          TimeUnit.MINUTES.toNanos(1),
          TimeUnit.SECONDS.toNanos(30),
          2,
          TimeUnit.SECONDS.toNanos(5),
          TimeUnit.SECONDS.toNanos(10),
          TimeUnit.SECONDS.toNanos(5),
          TimeUnit.MINUTES.toNanos(20),
          TimeUnit.SECONDS.toNanos(2),
          3,
          100,
          TimeUnit.MINUTES.toNanos(10));

  public RepairOptions {
    requirePositive("look interval", lookIntervalNs);
    requireNotNegative("health interval", healthIntervalNs);
    requireNotNegative("limit of a command", commandNsMax);
    requireNotNegative("aborts", abortsMax);
    requirePositive("wait for aborts", abortWaitNs);
    requirePositive("wait for gates", gateWaitNs);
    requirePositive("wait for the link", linkWaitNs);
    requirePositive("limit of a reset", resetWaitNs);
    requirePositive("pause between resets", pauseNs);
    requireNotNegative("resets", resetsMax);
    requireNotNegative("transport errors", transportErrorsMax);
    requirePositive("window", windowNs);
  }

  private static void requirePositive(final String what, final long value) {
    if (value <= 0) {
      throw new IllegalArgumentException(what + " must be above 0: " + value);
    }
  }

  private static void requireNotNegative(final String what, final long value) {
    if (value < 0) {
      throw new IllegalArgumentException(what + " must not be negative: " + value);
    }
  }

  /** The same with other limits of an I/O command. */
  public RepairOptions withCommands(final long newCommandNsMax, final int newAbortsMax) {
    return new RepairOptions(
        lookIntervalNs,
        healthIntervalNs,
        newCommandNsMax,
        newAbortsMax,
        abortWaitNs,
        gateWaitNs,
        linkWaitNs,
        resetWaitNs,
        pauseNs,
        resetsMax,
        transportErrorsMax,
        windowNs);
  }

  /** The same with another wait for a link that is down. */
  public RepairOptions withLinkWaitNs(final long newLinkWaitNs) {
    return new RepairOptions(
        lookIntervalNs,
        healthIntervalNs,
        commandNsMax,
        abortsMax,
        abortWaitNs,
        gateWaitNs,
        newLinkWaitNs,
        resetWaitNs,
        pauseNs,
        resetsMax,
        transportErrorsMax,
        windowNs);
  }

  /** The same with other limits of resets. */
  public RepairOptions withResets(final int newResetsMax, final long newPauseNs) {
    return new RepairOptions(
        lookIntervalNs,
        healthIntervalNs,
        commandNsMax,
        abortsMax,
        abortWaitNs,
        gateWaitNs,
        linkWaitNs,
        resetWaitNs,
        newPauseNs,
        newResetsMax,
        transportErrorsMax,
        windowNs);
  }
}
