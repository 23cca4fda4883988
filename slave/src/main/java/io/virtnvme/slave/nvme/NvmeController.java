package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.slave.session.Complaints;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One NVMe controller: registers, admin commands, events. Decides; {@link QueueHost} does. Control
 * thread only. Callbacks may run inside the call or later.
 *
 * <p>Every step that takes time is visible in the image, so a successor goes on with it: CC.EN
 * cleared with queues left is a reset that waits for them, CC.EN set with CSTS.RDY 0 an admin queue
 * that is being started, CSTS.SHST says that a shutdown goes on, CSTS.CFS that no queue runs.
 */
public final class NvmeController {
  private static final Logger LOG = LoggerFactory.getLogger(NvmeController.class);

  private final ControllerConfig config;
  private final QueueHost host;
  private final Registers registers;
  private final AdminQueue adminQueue;
  private final byte[] committedImage;
  private final Complaints complaints;
  private ControllerState state;
  private int shownStatus;
  private int epoch;
  private boolean isClosed;

  /** A write that enables the controller again and waits for the end of the reset, or null. */
  private Runnable heldEnable;

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
    this.config = config;
    this.host = host;
    this.registers = new Registers(config);
    this.adminQueue = new AdminQueue(config, host, new Keeper(), totals, wallClockMs);
    this.committedImage = image;
    this.complaints = new Complaints(config.subsystemNqn(), LOG::warn);
    if (image == null) {
      state = ControllerState.initial(List.of(), wallClockMs.getAsLong());
    } else {
      state = ControllerImage.decode(image);
    }
    state = NamespaceChanges.apply(state, namespaces, config.namespaceIdMax());
    shownStatus = state.registers().status();
  }

  private final class Keeper implements AdminQueue.Keeper {
    @Override
    public ControllerState state() {
      return state;
    }

    @Override
    public byte[] keep(final ControllerState newState) {
      state = newState;
      return image();
    }
  }

  /**
   * This process owns the seat: asks the host for all that the image has begun, the queues in the
   * image included. Called once.
   */
  public void resume() {
    if (committedImage == null || !Arrays.equals(committedImage, image())) {
      store(() -> {});
    }
    if (isStopping()) {
      stopQueues(() -> {});
    } else if (state.isFatal()) {
      host.stopAll(() -> {});
    } else {
      startQueues();
    }
    if (state.registers().shutdownStatus() == ControllerRegisters.CSTS_SHST_OCCURRING) {
      flush();
    }
  }

  /**
   * Reads BAR0 below the doorbells; what is no register reads 0.
   *
   * @param offset in BAR0
   * @param width bytes, 1..8; more than one register may be covered
   * @return little endian
   */
  public long readRegister(final int offset, final int width) {
    requireAccess(offset, width);
    return registers.read(state.registers(), shownStatus, offset, width);
  }

  private static void requireAccess(final int offset, final int width) {
    if (offset < 0 || width < 1 || width > Long.BYTES || offset > Integer.MAX_VALUE - width) {
      throw new IllegalArgumentException(
          "no register access: offset=" + offset + " width=" + width);
    }
  }

  /**
   * Writes to BAR0, doorbells included. What is no register, or read-only, is left as it is.
   *
   * @param offset in BAR0
   * @param width bytes, 1..8; bytes of a register that are not covered keep their value
   * @param value little endian
   * @param whenDone when the write is in the committed image, and the message may be answered; it
   *     does not wait for what the driver has to wait for (CSTS.RDY, CSTS.SHST), but when CC.EN is
   *     set before CSTS.RDY is 0
   */
  public void writeRegister(
      final int offset, final int width, final long value, final Runnable whenDone) {
    requireAccess(offset, width);
    if (offset >= Doorbells.BASE_OFFSET) {
      writeDoorbell(offset - Doorbells.BASE_OFFSET, width, value, whenDone);
      return;
    }
    final RegisterState before = state.registers();
    final RegisterState after = Registers.write(before, offset, width, value);
    if (after.isEnabled() && isStopping()) {
      // Base specification 2.0, 3.1.3.5: to be set only when RDY is 0 again, undefined before.
      // Taken when it is; a successor is given the same message, since it has no answer.
      heldEnable = () -> writeRegister(offset, width, value, whenDone);
      return;
    }
    if (after.equals(before)) {
      whenDone.run();
      return;
    }
    state = state.with(after);
    if (before.isEnabled() && !after.isEnabled()) {
      disable(whenDone);
      return;
    }
    final boolean isEnabling = !before.isEnabled() && after.isEnabled();
    if (isEnabling) {
      state = enabled(state);
    }
    final boolean isShuttingDown =
        after.shutdownNotification() != 0
            && after.shutdownNotification() != before.shutdownNotification();
    if (isShuttingDown) {
      state = state.with(withShutdownStatus(ControllerRegisters.CSTS_SHST_OCCURRING));
    }
    final int begun = epoch;
    store(
        () -> {
          whenDone.run();
          if (isEnabling && begun == epoch) {
            startQueues();
          }
        });
    if (isShuttingDown) {
      flush();
    }
  }

  private void writeDoorbell(
      final int offset, final int width, final long value, final Runnable whenDone) {
    if (width != Doorbells.STRIDE_BYTES
        || offset % Doorbells.STRIDE_BYTES != 0
        || !state.registers().isReady()) {
      whenDone.run();
      return;
    }
    final int queueId = Doorbells.queueId(offset);
    final boolean exists =
        Doorbells.isCqHead(offset)
            ? state.queues().completionQueue(queueId) != null
            : state.queues().submissionQueue(queueId) != null;
    if (exists) {
      host.ringDoorbell(offset, (int) value, whenDone);
    } else {
      doorbellFault(DoorbellFault.INVALID_REGISTER);
      whenDone.run();
    }
  }

  /** The state with the admin queues that the registers ask for, or with the fatal status. */
  private ControllerState enabled(final ControllerState before) {
    final RegisterState asked = before.registers();
    final String wrong = EnableRules.wrong(asked, host);
    if (wrong != null) {
      complaints.add("cannot be enabled", wrong);
      return before.with(asked.withStatus(false, true, 0));
    }
    final ControllerState fresh = before.reset().with(asked.withStatus(false, false, 0));
    final QueueTable queues = fresh.queues();
    return fresh.with(
        queues
            .plus(
                new CompletionQueue(
                    0, asked.adminCompletionEntries(), asked.acq(), 0, queues.nextCreation()))
            .plus(
                new SubmissionQueue(
                    0, 0, asked.adminSubmissionEntries(), asked.asq(), queues.nextCreation() + 1)));
  }

  /**
   * The admin queue when the I/O queues run: a command that is inflight there may be about one of
   * them, and the driver rings for it as soon as it sees the completion. A new queue that starts
   * later, behind a disk's fence, would take that for a doorbell of its predecessor.
   */
  private void startQueues() {
    if (state.queues().isEmpty()) {
      return;
    }
    final int begun = epoch;
    adminQueue.onStarting();
    for (final CompletionQueue queue : state.completionQueues()) {
      if (queue.queueId() != 0) {
        host.startCompletionQueue(queue, () -> {});
      }
    }
    final List<SubmissionQueue> submissions =
        state.submissionQueues().stream().filter(queue -> queue.queueId() != 0).toList();
    final int[] pendingCount = {submissions.size() + 1};
    final Runnable whenStarted =
        () -> {
          pendingCount[0]--;
          if (pendingCount[0] == 0 && begun == epoch) {
            startAdminQueue();
          }
        };
    for (final SubmissionQueue queue : submissions) {
      host.startSubmissionQueue(queue, whenStarted);
    }
    whenStarted.run();
  }

  private void startAdminQueue() {
    final int begun = epoch;
    host.startCompletionQueue(state.queues().completionQueue(0), () -> {});
    host.startSubmissionQueue(
        state.queues().submissionQueue(0),
        () -> {
          if (begun == epoch) {
            onAdminStarted();
          }
        });
  }

  private void onAdminStarted() {
    final RegisterState now = state.registers();
    if (!now.isReady() && !now.isFatal()) {
      state = state.with(now.withStatus(true, false, now.shutdownStatus()));
      store(() -> {});
    }
    adminQueue.onStarted();
  }

  /** CC.EN was cleared, with queues left to stop. */
  private boolean isStopping() {
    return !state.registers().isEnabled() && !state.queues().isEmpty();
  }

  /** CC.EN from 1 to 0: a controller reset. RDY follows when the queues stand still. */
  private void disable(final Runnable whenDone) {
    adminQueue.stop();
    epoch++;
    if (!isStopping()) {
      finishStop();
      store(whenDone);
      return;
    }
    store(whenDone);
    stopQueues(() -> {});
  }

  private void stopQueues(final Runnable whenDone) {
    final int begun = epoch;
    host.stopAll(
        () -> {
          if (begun == epoch) {
            finishStop();
            store(whenDone);
            takeHeldEnable();
          }
        });
  }

  private void takeHeldEnable() {
    final Runnable held = heldEnable;
    heldEnable = null;
    if (held != null) {
      held.run();
    }
  }

  private void finishStop() {
    state = state.reset().with(state.registers().withStatus(false, false, 0));
  }

  /**
   * Resets the function (DEVICE_RESET, function level reset): as new, but for the error log.
   *
   * @param whenDone when no reactor touches guest memory any more and the new image is committed
   */
  public void reset(final Runnable whenDone) {
    final RegisterState before = state.registers();
    if (before.isEnabled()
        && before.isReady()
        && before.shutdownStatus() != ControllerRegisters.CSTS_SHST_COMPLETE) {
      state = state.withUnsafeShutdown();
    }
    state =
        state.with(
            RegisterState.INITIAL.withStatus(
                before.isReady(), before.isFatal(), before.shutdownStatus()));
    adminQueue.stop();
    epoch++;
    if (isStopping()) {
      store(() -> {});
      stopQueues(whenDone);
    } else {
      finishStop();
      store(whenDone);
    }
  }

  /**
   * Its session ends: nothing more is asked of the host, whatever calls back from now on. The
   * caller stops the queues.
   */
  public void close() {
    isClosed = true;
    adminQueue.stop();
    epoch++;
  }

  private RegisterState withShutdownStatus(final int status) {
    final RegisterState now = state.registers();
    return now.withStatus(now.isReady(), now.isFatal(), status);
  }

  private void flush() {
    host.flush(
        () -> {
          if (!isClosed
              && state.registers().shutdownStatus() == ControllerRegisters.CSTS_SHST_OCCURRING) {
            state = state.with(withShutdownStatus(ControllerRegisters.CSTS_SHST_COMPLETE));
            store(() -> {});
          }
        });
  }

  /** Commits the state as it is. CSTS shows only what a successor would know too. */
  private void store(final Runnable whenCommitted) {
    final int status = state.registers().status();
    host.storeImage(
        image(),
        () -> {
          shownStatus = status;
          whenCommitted.run();
        });
  }

  /**
   * Executes an admin command, once for each fetch number. Answers later, in order of the calls.
   */
  public void execute(final AdminRequest request) {
    adminQueue.execute(request);
  }

  /**
   * The namespaces are these now: what was added, removed or resized is told to the driver.
   *
   * @param whenDone when the event is in the committed image
   */
  public void namespaces(final List<Namespace> now, final Runnable whenDone) {
    final ControllerState changed = NamespaceChanges.apply(state, now, config.namespaceIdMax());
    if (changed.equals(state)) {
      whenDone.run();
      return;
    }
    state = changed;
    store(whenDone);
    adminQueue.tell();
  }

  /** A reactor found a doorbell written wrongly. */
  public void doorbellFault(final DoorbellFault fault) {
    final EventState events =
        state
            .events()
            .withEvent(
                fault == DoorbellFault.INVALID_REGISTER
                    ? EventType.INVALID_DOORBELL_REGISTER
                    : EventType.INVALID_DOORBELL_VALUE);
    if (state.queues().isEmpty() || events.equals(state.events())) {
      return;
    }
    state = state.with(events);
    store(() -> {});
    adminQueue.tell();
  }

  /**
   * A reactor completed a command with an error. The reactor reports no other one of the queue
   * before {@code whenLogged}.
   */
  public void commandFailed(final CommandError error, final Runnable whenLogged) {
    state = state.with(state.errors().plus(error));
    store(whenLogged);
  }

  /**
   * The controller cannot go on (guest memory was cut short under a queue, a journal is damaged):
   * CSTS.CFS until the driver resets it (base specification 2.0, 3.1.3.6). No queue is processed
   * any more, by a successor neither: the image says so. A death before the image is committed has
   * the successor start the queues and come upon the same.
   */
  public void fail(final String reason) {
    final RegisterState now = state.registers();
    complaints.add("fatal status", reason);
    if (!now.isEnabled() || now.isFatal()) {
      // A reset is under way, or this was done already.
      return;
    }
    state = state.with(now.withStatus(now.isReady(), true, now.shutdownStatus()));
    adminQueue.stop();
    epoch++;
    store(() -> {});
    host.stopAll(() -> {});
  }

  /** The image as it is now, whether committed or not. */
  public byte[] image() {
    return ControllerImage.encode(state);
  }

  /** The state as it is now, whether committed or not. */
  public ControllerState state() {
    return state;
  }
}
