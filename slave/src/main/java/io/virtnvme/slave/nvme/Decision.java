package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.Status;
import java.util.function.UnaryOperator;

/**
 * What becomes of an admin command. Made without changing anything; {@link AdminQueue} carries it
 * out: the step before, the data, the change of state, the step after, the completion.
 */
final class Decision {
  /** Asks something of the host, which calls back when it is done. */
  interface Step {
    void run(QueueHost host, Runnable whenDone);
  }

  private static final Step NOTHING = (host, whenDone) -> whenDone.run();

  private final int status;
  private final int location;
  private final int result;
  private final boolean isOutstanding;
  private byte[] data;
  private UnaryOperator<ControllerState> change = UnaryOperator.identity();
  private Step before = NOTHING;
  private Step after = NOTHING;

  private Decision(
      final int status, final int location, final int result, final boolean isOutstanding) {
    this.status = status;
    this.location = location;
    this.result = result;
    this.isOutstanding = isOutstanding;
  }

  /** Dword 0 of the completion is {@code result}. */
  static Decision succeed(final int result) {
    return new Decision(Status.SUCCESS, CommandError.NO_LOCATION, result, false);
  }

  /** The host gets data. */
  static Decision answer(final byte[] data) {
    final Decision decision = succeed(0);
    decision.data = data;
    return decision;
  }

  /** The command failed, and would again: {@code location} is what is wrong in it. */
  static Decision refuse(final int status, final int location) {
    return new Decision(status, location, 0, false);
  }

  /** The command has no completion now. */
  static Decision leaveOutstanding() {
    return new Decision(Status.SUCCESS, CommandError.NO_LOCATION, 0, true);
  }

  /** What becomes of the state, applied to the state of the time when all else is done. */
  Decision changing(final UnaryOperator<ControllerState> newChange) {
    change = newChange;
    return this;
  }

  /** What has to be done before the image says that the command was executed. */
  Decision before(final Step step) {
    before = step;
    return this;
  }

  /** What has to be done when the image says so, before the host knows. */
  Decision after(final Step step) {
    after = step;
    return this;
  }

  int status() {
    return status;
  }

  int location() {
    return location;
  }

  int result() {
    return result;
  }

  boolean isRefused() {
    return status != Status.SUCCESS;
  }

  boolean isOutstanding() {
    return isOutstanding;
  }

  /** Data for the host, or null. */
  byte[] data() {
    return data;
  }

  ControllerState applyTo(final ControllerState state) {
    return change.apply(state);
  }

  Step before() {
    return before;
  }

  Step after() {
    return after;
  }

  boolean hasAfter() {
    return after != NOTHING;
  }
}
