package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Executes the commands of the admin queue, one at a time and in the order of the calls, and tells
 * events. Control thread.
 *
 * <p>The image of a command has its fetch number, status and result. A successor that finds the
 * number inflight answers with them; any other command that it finds inflight was not executed.
 */
final class AdminQueue {
  /** The controller's state, and the only way to change it. */
  interface Keeper {
    ControllerState state();

    /** Returns the image of the new state. */
    byte[] keep(ControllerState state);
  }

  private static final int NOT_ABORTED = 1;

  private final QueueHost host;
  private final Keeper keeper;
  private final IdentifyData identify;
  private final Features features;
  private final LogPages logPages;
  private final QueueCommands queueCommands;
  private final Deque<AdminRequest> waiting = new ArrayDeque<>();
  private final List<Long> handedOver = new ArrayList<>();
  private int epoch;
  private boolean isStarting;
  private boolean isRunning;
  private boolean isBusy;
  private boolean isTelling;
  private boolean isPumping;

  AdminQueue(
      final ControllerConfig config,
      final QueueHost host,
      final Keeper keeper,
      final Supplier<IoTotals> totals,
      final LongSupplier wallClockMs) {
    this.host = host;
    this.keeper = keeper;
    this.identify = new IdentifyData(config);
    this.features = new Features(config);
    this.logPages = new LogPages(totals, wallClockMs);
    this.queueCommands = new QueueCommands(config, host);
  }

  /** The queue is being stopped: nothing that was begun goes on. */
  void stop() {
    epoch++;
    isStarting = false;
    isRunning = false;
    isBusy = false;
    isTelling = false;
    waiting.clear();
    handedOver.clear();
  }

  /** The queue is being started: what is handed over from now on is its own. */
  void onStarting() {
    isStarting = true;
  }

  /**
   * The queue has been started, and all of its journal that is inflight was handed over. A request
   * for events that is not among that has its completion.
   */
  void onStarted() {
    final EventState events = keeper.state().events();
    final EventState retained = events.retaining(handedOver);
    if (!retained.equals(events)) {
      keeper.keep(keeper.state().with(retained));
    }
    isStarting = false;
    isRunning = true;
    handedOver.clear();
    pump();
    tell();
  }

  void execute(final AdminRequest request) {
    if (isStarting) {
      handedOver.add(request.fetchNumber());
    } else if (!isRunning) {
      // Fetched while the queue was being stopped: nobody waits for its end.
      return;
    }
    waiting.add(request);
    pump();
  }

  /** Starts commands until one has to wait. Callbacks inside the calls do not nest. */
  private void pump() {
    if (isPumping) {
      return;
    }
    isPumping = true;
    try {
      while (isRunning && !isBusy && !waiting.isEmpty()) {
        isBusy = true;
        begin(waiting.remove());
      }
    } finally {
      isPumping = false;
    }
  }

  private void begin(final AdminRequest request) {
    final ControllerState state = keeper.state();
    final long fetchNumber = request.fetchNumber();
    final EventState.Completed told = state.events().completed();
    if (told != null && told.fetchNumber() == fetchNumber) {
      // The image must say so until the journal does: nothing else is told meanwhile.
      isTelling = true;
      answer(request, null, new AdminOutcome(Status.SUCCESS, told.result(), false));
    } else if (state.events().isOutstanding(fetchNumber)) {
      answer(request, null, new AdminOutcome(Status.SUCCESS, 0, true));
    } else if (state.executed() != null && fetchNumber == state.executed().fetchNumber()) {
      answer(
          request,
          null,
          new AdminOutcome(state.executed().status(), state.executed().result(), false));
    } else if (state.executed() != null && fetchNumber < state.executed().fetchNumber()) {
      // Its completion must have been in the journal before the next command was begun.
      answer(
          request, null, new AdminOutcome(Status.INTERNAL_ERROR | Status.DO_NOT_RETRY, 0, false));
    } else {
      carryOut(request, new AdminCommand(request.entry()));
    }
  }

  private void carryOut(final AdminRequest request, final AdminCommand command) {
    final int begun = epoch;
    final Decision decision = decide(command);
    decision
        .before()
        .run(
            host,
            () -> {
              if (begun == epoch) {
                transfer(request, command, decision);
              }
            });
  }

  private void transfer(
      final AdminRequest request, final AdminCommand command, final Decision decision) {
    if (decision.data() == null) {
      conclude(request, command, decision);
      return;
    }
    final int begun = epoch;
    request.transfer(
        decision.data(),
        status -> {
          if (begun == epoch) {
            conclude(
                request,
                command,
                status == Status.SUCCESS
                    ? decision
                    : Decision.refuse(Status.typeAndCode(status), SubmissionEntry.PRP1_OFFSET));
          }
        });
  }

  private void conclude(
      final AdminRequest request, final AdminCommand command, final Decision decision) {
    final int begun = epoch;
    final int status =
        decision.isRefused()
            ? decision.status() | Status.DO_NOT_RETRY | Status.MORE
            : Status.SUCCESS;
    ControllerState state = keeper.state();
    if (decision.isRefused()) {
      state =
          state.with(
              state
                  .errors()
                  .plus(
                      new CommandError(
                          0,
                          command.commandId(),
                          status,
                          decision.location(),
                          0,
                          command.namespaceId())));
    } else {
      state = decision.applyTo(state);
      if (decision.isOutstanding()) {
        state = state.with(state.events().withRequest(request.fetchNumber()));
      }
    }
    state = state.with(new ExecutedCommand(request.fetchNumber(), status, decision.result()));
    final byte[] image = keeper.keep(state);
    final AdminOutcome outcome =
        new AdminOutcome(status, decision.result(), decision.isOutstanding());
    if (!decision.hasAfter()) {
      answer(request, image, outcome);
      return;
    }
    // What a driver may use when it sees the completion is there before it.
    host.storeImage(
        image,
        () -> {
          if (begun == epoch) {
            decision
                .after()
                .run(
                    host,
                    () -> {
                      if (begun == epoch) {
                        answer(request, null, outcome);
                      }
                    });
          }
        });
  }

  private void answer(final AdminRequest request, final byte[] image, final AdminOutcome outcome) {
    final int begun = epoch;
    request.complete(
        image,
        outcome,
        () -> {
          if (begun == epoch) {
            isBusy = false;
            if (isTold(request)) {
              isTelling = false;
            }
            tell();
            pump();
          }
        });
  }

  private boolean isTold(final AdminRequest request) {
    final EventState.Completed told = keeper.state().events().completed();
    return told != null && told.fetchNumber() == request.fetchNumber();
  }

  /** Tells the next event, if there is one and a request for it, and none is being told. */
  void tell() {
    final ControllerState state = keeper.state();
    final EventType event = state.events().next();
    if (!isRunning || isTelling || event == null || waiting.stream().anyMatch(this::isTold)) {
      return;
    }
    final int begun = epoch;
    isTelling = true;
    final EventState events = state.events().telling(event);
    final byte[] image = keeper.keep(state.with(events));
    host.completeEvent(
        image,
        events.completed().fetchNumber(),
        events.completed().result(),
        () -> {
          if (begun == epoch) {
            isTelling = false;
            tell();
          }
        });
  }

  private Decision decide(final AdminCommand command) {
    final ControllerState state = keeper.state();
    if (!LogPages.ADMIN_OPCODES.contains(command.opcode())) {
      return Decision.refuse(Status.INVALID_OPCODE, SubmissionEntry.OPCODE_OFFSET);
    }
    // NVMe over PCIe: the admin queue has neither fused commands nor SGLs.
    if (command.fused() != 0) {
      return Decision.refuse(Status.INVALID_FIELD, SubmissionEntry.FLAGS_OFFSET);
    }
    if (command.psdt() != SubmissionEntry.PSDT_PRP) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(SubmissionEntry.FLAGS_OFFSET, 6));
    }
    return switch (command.opcode()) {
      case AdminOpcode.DELETE_SQ -> queueCommands.deleteSubmissionQueue(state, command);
      case AdminOpcode.CREATE_SQ -> queueCommands.createSubmissionQueue(state, command);
      case AdminOpcode.DELETE_CQ -> queueCommands.deleteCompletionQueue(state, command);
      case AdminOpcode.CREATE_CQ -> queueCommands.createCompletionQueue(state, command);
      case AdminOpcode.GET_LOG_PAGE -> logPages.get(state, command);
      case AdminOpcode.IDENTIFY -> identify.identify(state, command);
      case AdminOpcode.SET_FEATURES -> features.set(state, command);
      case AdminOpcode.GET_FEATURES -> features.get(state, command);
      case AdminOpcode.ASYNC_EVENT_REQUEST -> requestEvent(state);
      case AdminOpcode.DOORBELL_BUFFER_CONFIG -> queueCommands.configureDoorbellBuffer(command);
      // Abort is best effort (5.1): what can be aborted here ends as soon by itself.
      default -> Decision.succeed(NOT_ABORTED);
    };
  }

  /**
   * A request stays inflight, and so holds one of the admin queue's entries: a small queue must
   * have one left.
   */
  private static Decision requestEvent(final ControllerState state) {
    final int entryCount = state.queues().submissionQueue(0).entryCount();
    return state.events().outstanding().size()
            >= Math.min(ControllerConfig.EVENT_REQUESTS_MAX, entryCount - 1)
        ? Decision.refuse(Status.ASYNC_EVENT_LIMIT_EXCEEDED, CommandError.NO_LOCATION)
        : Decision.leaveOutstanding();
  }
}
