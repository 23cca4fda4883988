package io.virtnvme.slave.nvme;

import java.util.List;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * One NVMe controller: registers, admin commands, events. Decides; {@link QueueHost} does. Control
 * thread only. Callbacks may run inside the call or later.
 */
public final class NvmeController {
  private final ControllerState state;

  /**
   * A new controller, or one that goes on from an image. Asks nothing of the host before {@link
   * #resume}.
   *
   * @param config the same as for every predecessor
   * @param namespaces those that the controller shows now; a difference to those in the image is
   *     told to the driver as a change
   * @param image the committed image, or null for a new controller; throws {@link
   *     io.virtnvme.slave.session.SessionException} when it cannot be read
   * @param totals asked when the SMART log is read
   * @param wallClockMs milliseconds since 1970
   */
  public NvmeController(
      final ControllerConfig config,
      final List<Namespace> namespaces,
      final byte[] image,
      final QueueHost host,
      final Supplier<IoTotals> totals,
      final LongSupplier wallClockMs) {
    state = new ControllerState(List.of(), List.of(), 0, 0, true);
  }

  /**
   * This process owns the seat: asks the host for all that the image has begun. Starting the queues
   * of the image is asked for as well.
   */
  public void resume() {}

  /**
   * Reads of BAR0 below the doorbells.
   *
   * @param offset in BAR0; what is no register reads 0
   * @param width bytes, 1..8; more than one register may be covered
   * @return little endian
   */
  public long readRegister(final int offset, final int width) {
    return offset & width & 0;
  }

  /**
   * Writes to BAR0, doorbells included. What is no register, or read-only, is left as it is.
   *
   * @param offset in BAR0
   * @param width bytes, 1..8; bytes of a register that are not covered keep their value
   * @param value little endian
   * @param whenDone when the write is in the committed image, and the message may be answered; it
   *     does not wait for what the driver has to wait for (CSTS.RDY, CSTS.SHST)
   */
  public void writeRegister(
      final int offset, final int width, final long value, final Runnable whenDone) {
    whenDone.run();
  }

  /**
   * Resets the function (DEVICE_RESET, function level reset): as new, but for the error log.
   *
   * @param whenDone when no reactor touches guest memory any more and the new image is committed
   */
  public void reset(final Runnable whenDone) {
    whenDone.run();
  }

  /**
   * Executes an admin command, once for each fetch number. Answers later, in the order of calls.
   */
  public void execute(final AdminRequest request) {}

  /**
   * The namespaces are these now: what was added, removed or resized is told to the driver.
   *
   * @param whenDone when the event is in the committed image
   */
  public void namespaces(final List<Namespace> now, final Runnable whenDone) {
    whenDone.run();
  }

  /** A reactor found a doorbell written wrongly. */
  public void doorbellFault(final DoorbellFault fault) {}

  /**
   * A reactor completed a command with an error. The reactor reports no other one of the queue
   * before {@code whenLogged}, and counts those that it left out.
   */
  public void commandFailed(final CommandError error, final Runnable whenLogged) {
    whenLogged.run();
  }

  /**
   * The controller cannot go on (a queue's memory went away, an admin queue that cannot be):
   * CSTS.CFS until the driver resets it.
   */
  public void fail(final String reason) {}

  /** The image as it is now, whether committed or not. */
  public byte[] image() {
    return new byte[0];
  }

  /** The state as it is now, whether committed or not. */
  public ControllerState state() {
    return state;
  }
}
