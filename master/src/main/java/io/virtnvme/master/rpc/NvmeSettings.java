package io.virtnvme.master.rpc;

import io.virtnvme.master.nvme.RepairOptions;
import java.util.concurrent.TimeUnit;

/**
 * What holds for all NVMe controllers; the numbers are those of SPDK's {@code
 * bdev_nvme_set_options}.
 *
 * @param timeoutUs how long an I/O command may take; 0 for any time
 * @param adminTimeoutUs how long an admin command may take; 0: as an I/O command; {@link
 *     #adminNsMax} is what holds
 * @param action what is done when an I/O command takes longer
 * @param retryCount how often a command is submitted again after an error that is not the medium's
 * @param lossTimeoutSec how long registers may read as all ones before the device counts as taken
 *     out; 0 for the default, -1 for ever
 * @param reconnectDelaySec between a reset that failed and the next one; 0 for the default
 */
public record NvmeSettings(
    long timeoutUs,
    long adminTimeoutUs,
    TimeoutAction action,
    int retryCount,
    int lossTimeoutSec,
    int reconnectDelaySec) {
  /** What is done about a command without end. */
  public enum TimeoutAction {
    /** Nothing. */
    NONE,
    /** The controller is reset. */
    RESET,
    /** The command is aborted; when that does not end it, the controller is reset. */
    ABORT
  }

  /** A firmware that takes longer than this for a log is broken. */
  private static final long ADMIN_NS = TimeUnit.SECONDS.toNanos(10);

  private static final long ADMIN_NS_MIN = TimeUnit.SECONDS.toNanos(1);
  private static final long ADMIN_NS_MAX = TimeUnit.SECONDS.toNanos(60);

  public static final NvmeSettings DEFAULT =
      new NvmeSettings(
          TimeUnit.NANOSECONDS.toMicros(RepairOptions.DEFAULT.commandNsMax()),
          TimeUnit.NANOSECONDS.toMicros(ADMIN_NS),
          TimeoutAction.ABORT,
          4,
          0,
          0);

  /** How devices are watched and repaired. */
  public RepairOptions repairOptions() {
    final RepairOptions usual = RepairOptions.DEFAULT;
    final boolean isWatched = action != TimeoutAction.NONE;
    return usual
        .withCommands(
            isWatched ? TimeUnit.MICROSECONDS.toNanos(timeoutUs) : 0,
            action == TimeoutAction.ABORT ? usual.abortsMax() : 0)
        .withLinkWaitNs(linkWaitNs(usual))
        .withResets(
            usual.resetsMax(),
            reconnectDelaySec == 0 ? usual.pauseNs() : TimeUnit.SECONDS.toNanos(reconnectDelaySec));
  }

  private long linkWaitNs(final RepairOptions usual) {
    if (lossTimeoutSec < 0) {
      return Long.MAX_VALUE;
    }
    return lossTimeoutSec == 0 ? usual.linkWaitNs() : TimeUnit.SECONDS.toNanos(lossTimeoutSec);
  }

  /**
   * How long an admin command may take: never for ever, and never so short that a controller that
   * works would fail by it.
   *
   * @return 1 s to 60 s
   */
  public long adminNsMax() {
    final long microseconds = adminTimeoutUs == 0 ? timeoutUs : adminTimeoutUs;
    final long asked = microseconds == 0 ? ADMIN_NS : TimeUnit.MICROSECONDS.toNanos(microseconds);
    return Math.max(ADMIN_NS_MIN, Math.min(ADMIN_NS_MAX, asked));
  }
}
