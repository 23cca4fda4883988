package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.FeatureId;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.SplittableRandom;

/**
 * The guest's NVMe driver: brings the controller up, makes queues, deletes them and resets the
 * controller with commands in flight, and looks for completions when it likes. {@link SimNvmeLoad}
 * sends its I/O commands, {@link SimNvmeScript} its admin commands.
 */
final class SimNvmeGuest implements AutoCloseable {
  private static final int CALM_COMMANDS = 6;
  private static final int CC_ENABLED =
      ControllerRegisters.CC_EN
          | SubmissionEntry.ENTRY_SHIFT << ControllerRegisters.CC_IOSQES_SHIFT
          | 4 << ControllerRegisters.CC_IOCQES_SHIFT;

  final SimNvmeMemory memory = new SimNvmeMemory();

  /** One eventfd for each vector. */
  final int[] vectorFds = new int[SimNvmeMemory.QUEUE_COUNT_MAX + 1];

  private final Trace trace;
  private final Plan plan;
  private final NvmeOracle oracle;
  private final SplittableRandom random;
  private final EventFd eventFd = new EventFd();
  private final SimNvmeRings rings;
  private final SimNvmeScript script;
  private final SimNvmeLoad load;
  private final Deque<Fault.Kind> wanted = new ArrayDeque<>();

  /** Commands of a machine that was switched off: a slave that does not know yet may run them. */
  private final List<NvmeOracle.Command> orphans = new ArrayList<>();

  private NvmeRegisters registers;
  private boolean isUp;
  private boolean isCalm;

  SimNvmeGuest(final World world, final NvmeOracle oracle, final SplittableRandom random) {
    this.trace = world.trace();
    this.plan = world.plan();
    this.oracle = oracle;
    this.random = random;
    this.rings = new SimNvmeRings(memory, plan.nvme().commandIdGenerations());
    this.script = new SimNvmeScript(trace, rings);
    this.load = new SimNvmeLoad(world, oracle, memory, random);
    for (int i = 0; i < vectorFds.length; i++) {
      vectorFds[i] = EventFd.create();
    }
  }

  void registers(final NvmeRegisters port) {
    registers = port;
    rings.registers(port);
    script.registers(port);
  }

  // The machine's life.

  /** The machine starts: new memory, no controller yet. */
  void powerOn() {
    memory.renew();
  }

  /** The machine is switched off, in the middle of whatever it does. */
  void powerOff() {
    trace.note("power off");
    isUp = false;
    script.clear();
    rings.forEachIo(command -> orphans.add(command.command));
    forgetQueues();
  }

  private void forgetQueues() {
    rings.forget();
    script.forgetEvents();
  }

  /** A new session answers: nothing of the one before runs any more. */
  void predecessorEnded() {
    orphans.forEach(oracle::onDropped);
    orphans.clear();
  }

  /** Memory, doorbells and interrupts are there: the driver begins. */
  void bringUp() {
    final int entryCount = plan.nvme().adminEntryCount();
    script.writes(
        ControllerRegisters.AQA_OFFSET, Integer.BYTES, (entryCount - 1) << 16 | entryCount - 1);
    script.writes(ControllerRegisters.ASQ_OFFSET, Long.BYTES, SimNvmeMemory.submissionAddress(0));
    script.writes(ControllerRegisters.ACQ_OFFSET, Long.BYTES, SimNvmeMemory.completionAddress(0));
    script.runs(
        () -> {
          waitInCalm(rings.newCompletion(0, entryCount));
          rings.newSubmission(0, entryCount, 0);
        });
    script.writes(ControllerRegisters.CC_OFFSET, Integer.BYTES, CC_ENABLED);
    script.awaitsReady(ControllerRegisters.CSTS_RDY);
    script.runs(() -> isUp = true);
    script.requestsEvent();
    final int queueCount = SimNvmeMemory.QUEUE_COUNT_MAX - 1;
    script.admin(
        AdminOpcode.SET_FEATURES,
        FeatureId.NUMBER_OF_QUEUES,
        queueCount << 16 | queueCount,
        0,
        0,
        Status.SUCCESS,
        () -> {});
    if (plan.nvme().shadowDoorbells()) {
      script.admin(
          AdminOpcode.DOORBELL_BUFFER_CONFIG,
          0,
          0,
          SimNvmeMemory.shadowDoorbells(),
          SimNvmeMemory.eventIndices(),
          Status.SUCCESS,
          rings::shadowed);
    }
    for (int id = 1; id <= plan.queueCount(); id++) {
      if (id == completionId(id)) {
        createsCompletionQueue(id);
      }
      createsSubmissionQueue(id);
    }
  }

  private int completionId(final int submissionId) {
    return plan.nvme().sharedCompletionQueue() ? 1 : submissionId;
  }

  private void createsCompletionQueue(final int id) {
    final int entryCount = plan.nvme().completionEntryCount();
    script.runs(() -> rings.newCompletion(id, entryCount).isClosed = true);
    script.admin(
        AdminOpcode.CREATE_CQ,
        (entryCount - 1) << 16 | id,
        id << 16 | 3,
        SimNvmeMemory.completionAddress(id),
        0,
        Status.SUCCESS,
        () -> {
          rings.completions[id].isClosed = false;
          waitInCalm(rings.completions[id]);
        });
  }

  private void createsSubmissionQueue(final int id) {
    script.runs(() -> rings.clearShadowTail(id));
    script.admin(
        AdminOpcode.CREATE_SQ,
        (plan.queueSize() - 1) << 16 | id,
        completionId(id) << 16 | 1,
        SimNvmeMemory.submissionAddress(id),
        0,
        Status.SUCCESS,
        () -> rings.newSubmission(id, plan.queueSize(), completionId(id)));
  }

  private void deletesSubmissionQueue(final int id) {
    script.runs(() -> rings.submissions[id].isClosed = true);
    script.admin(
        AdminOpcode.DELETE_SQ,
        id,
        0,
        0,
        0,
        Status.SUCCESS,
        () -> {
          // What was posted before the deletion ended is in the completion queue by now.
          rings.reap(rings.submissions[id].completion, Integer.MAX_VALUE);
          drop(rings.submissions[id]);
          rings.submissions[id] = null;
        });
  }

  private void deletesCompletionQueue(final int id) {
    script.runs(
        () -> {
          rings.reapAll(rings.completions[id]);
          rings.completions[id].isClosed = true;
        });
    deletes(AdminOpcode.DELETE_CQ, id, Status.SUCCESS, () -> rings.completions[id] = null);
  }

  private void deletes(final int opcode, final int id, final int status, final Runnable whenDone) {
    script.admin(opcode, id, 0, 0, 0, status, whenDone);
  }

  private void drop(final SimNvmeQueues.Submission queue) {
    SimNvmeRings.forEachIo(queue, command -> oracle.onTakenBack(command.command));
  }

  /** The controller is reset with whatever is in flight; then it is brought up again. */
  private void resets(final boolean isFunctionReset) {
    script.runs(() -> isUp = false);
    if (isFunctionReset) {
      script.asks(registers::reset);
    } else {
      script.writes(
          ControllerRegisters.CC_OFFSET, Integer.BYTES, CC_ENABLED & ~ControllerRegisters.CC_EN);
      script.awaitsReady(0);
    }
    script.runs(
        () -> {
          rings.forEachIo(command -> oracle.onTakenBack(command.command));
          forgetQueues();
        });
    bringUp();
  }

  // Changes.

  /** Asks for a change, as soon as nothing else is going on. */
  void want(final Fault.Kind kind) {
    if (wanted.size() < 2) {
      wanted.add(kind);
    }
  }

  private void begin(final Fault.Kind kind) {
    trace.note(kind.name());
    switch (kind) {
      case RESET -> resets(random.nextInt(3) == 0);
      case DELETE_QUEUE -> {
        final int id = 1 + random.nextInt(plan.queueCount());
        deletesSubmissionQueue(id);
        if (!plan.nvme().sharedCompletionQueue() && random.nextBoolean()) {
          deletesCompletionQueue(id);
          deletes(AdminOpcode.DELETE_CQ, id, Status.INVALID_QUEUE_ID, () -> {});
          createsCompletionQueue(id);
        }
        deletes(AdminOpcode.DELETE_SQ, id, Status.INVALID_QUEUE_ID, () -> {});
        createsSubmissionQueue(id);
      }
      case MOVE_QUEUES -> script.asks(registers::moveQueues);
      case PLUG -> plugs();
      default -> {}
    }
  }

  private void plugs() {
    if (memory.isPlugged) {
      script.runs(() -> memory.mayUseExtra = false);
      script.awaits(() -> !rings.usesExtra());
      script.asks(whenDone -> registers.plug(false, whenDone));
      script.runs(memory::unplugged);
    } else {
      script.runs(memory::checkTakenAway);
      script.asks(whenDone -> registers.plug(true, whenDone));
      script.runs(memory::plugged);
    }
  }

  // Work.

  /** One action of the guest. */
  void step() {
    if (!script.isEmpty()) {
      script.step();
    } else if (isUp && !wanted.isEmpty()) {
      begin(wanted.remove());
    }
    if (rings.completions[0] != null) {
      look(rings.completions[0]);
    }
    if (!isUp) {
      return;
    }
    final int id = 1 + random.nextInt(plan.queueCount());
    final SimNvmeQueues.Completion completion = rings.completions[id];
    if (completion != null && !completion.isClosed) {
      look(completion);
    }
    final SimNvmeQueues.Submission submission = rings.submissions[id];
    if (submission != null && !submission.isClosed && random.nextInt(3) > 0) {
      post(submission);
    }
    if (script.isEmpty() && !isCalm && random.nextInt(40) == 0) {
      askSomething();
    }
  }

  private void post(final SimNvmeQueues.Submission queue) {
    final int count = 1 + random.nextInt(3);
    boolean isPosted = false;
    for (int i = 0; i < count; i++) {
      isPosted |= load.post(queue);
    }
    if (isPosted) {
      rings.ringTail(queue);
    }
  }

  /** Something of the admin queue that changes nothing. */
  private void askSomething() {
    final int id = completionId(1);
    switch (random.nextInt(plan.nvme().allKinds() ? 4 : 3)) {
      case 0 -> script.identifies(memory);
      case 3 ->
          // Whether it is in flight or not, it ends once, as if nobody had asked.
          script.admin(
              AdminOpcode.ABORT,
              (random.nextInt(plan.queueSize()) << 16) | (1 + random.nextInt(plan.queueCount())),
              0,
              0,
              0,
              Status.SUCCESS,
              () -> {});
      case 1 ->
          script.admin(
              AdminOpcode.CREATE_CQ,
              1 << 16 | id,
              id << 16 | 3,
              SimNvmeMemory.completionAddress(id),
              0,
              Status.INVALID_QUEUE_ID,
              () -> {});
      default -> deletes(AdminOpcode.DELETE_CQ, id, Status.INVALID_QUEUE_DELETION, () -> {});
    }
  }

  /** Looks for completions, if the driver would. */
  private void look(final SimNvmeQueues.Completion queue) {
    if (queue.isWaiting) {
      final int vectorFd = vectorFds[queue.vector];
      if (!Fds.awaitReadable(vectorFd, 0)) {
        return;
      }
      eventFd.drain(vectorFd);
      trace.note("interrupt", queue.vector);
      rings.reapAll(queue);
      queue.isWaiting = isCalm || random.nextBoolean();
      return;
    }
    switch (random.nextInt(6)) {
      case 0 -> {
        rings.reapAll(queue);
        queue.isWaiting = true;
      }
      case 1, 2 -> {
        rings.reap(queue, 1 + random.nextInt(3));
        if (random.nextInt(3) > 0) {
          rings.release(queue);
        }
      }
      default -> {}
    }
  }

  private void waitInCalm(final SimNvmeQueues.Completion queue) {
    queue.isWaiting = isCalm;
  }

  // The end.

  /** From now on a few more commands, and completions only when called. */
  void calm() {
    isCalm = true;
    load.last(CALM_COMMANDS * plan.queueCount());
    for (final SimNvmeQueues.Completion queue : rings.completions) {
      if (queue != null && !queue.isClosed && !queue.isWaiting) {
        rings.reapAll(queue);
        queue.isWaiting = true;
      }
    }
  }

  /** Whether everything that the guest wanted is done. */
  boolean isDone() {
    return isUp
        && script.isEmpty()
        && wanted.isEmpty()
        && load.isOver()
        && rings.inFlightCount() == script.awaitedEvents();
  }

  String outstanding() {
    return "up="
        + isUp
        + " steps of the driver left="
        + script.stepCount()
        + " in flight="
        + rings.inFlightCount()
        + " events awaited="
        + script.awaitedEvents();
  }

  void checkEnd() {
    memory.checkTakenAway();
  }

  @Override
  public void close() {
    for (final int fd : vectorFds) {
      Fds.close(fd);
    }
    eventFd.free();
    memory.close();
  }
}
