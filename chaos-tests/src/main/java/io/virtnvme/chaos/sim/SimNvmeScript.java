package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.slave.vfio.NvmeMachine;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * What the driver has begun and does step by step: register accesses and admin commands, each of
 * which waits for its end. An admin command that ends with another status than it must is a
 * violation.
 */
final class SimNvmeScript {
  private static final int STATUS_MASK = 0x7FF;

  private final Trace trace;
  private final SimNvmeRings rings;
  private final Deque<BooleanSupplier> steps = new ArrayDeque<>();
  private NvmeRegisters registers;
  private int awaitedEvents;

  SimNvmeScript(final Trace trace, final SimNvmeRings rings) {
    this.trace = trace;
    this.rings = rings;
  }

  void registers(final NvmeRegisters port) {
    registers = port;
  }

  boolean isEmpty() {
    return steps.isEmpty();
  }

  int stepCount() {
    return steps.size();
  }

  /** Requests for events, none of which may end. */
  int awaitedEvents() {
    return awaitedEvents;
  }

  /** Nothing that was begun goes on. */
  void clear() {
    steps.clear();
  }

  /** The admin queue is gone, and the requests for events with it. */
  void forgetEvents() {
    awaitedEvents = 0;
  }

  /** Tries the first step; it is over when it is done. */
  void step() {
    if (steps.element().getAsBoolean()) {
      // Only now: what it did may have emptied the script.
      steps.poll();
    }
  }

  void runs(final Runnable action) {
    steps.add(
        () -> {
          action.run();
          return true;
        });
  }

  void awaits(final BooleanSupplier condition) {
    steps.add(condition);
  }

  /** Begins something that calls back, and goes on when it did. */
  void asks(final Consumer<Runnable> question) {
    final boolean[] state = new boolean[2];
    steps.add(
        () -> {
          if (!state[0]) {
            state[0] = true;
            question.accept(() -> state[1] = true);
          }
          return state[1];
        });
  }

  void writes(final int offset, final int width, final long value) {
    asks(whenDone -> registers.write(offset, width, value, whenDone));
  }

  /** Reads CSTS until RDY is so. */
  void awaitsReady(final int ready) {
    final boolean[] state = new boolean[2];
    steps.add(
        () -> {
          if (!state[0] && !state[1]) {
            state[0] = true;
            registers.read(
                ControllerRegisters.CSTS_OFFSET,
                Integer.BYTES,
                value -> {
                  if ((value & ControllerRegisters.CSTS_CFS) != 0) {
                    throw new Violation("fatal status: CSTS=0x" + Long.toHexString(value));
                  }
                  state[0] = false;
                  state[1] = (value & ControllerRegisters.CSTS_RDY) == ready;
                });
          }
          return state[1];
        });
  }

  /** An admin command that must end with this type and code. */
  void admin(
      final int opcode,
      final int dword10,
      final int dword11,
      final long prp1,
      final long prp2,
      final int status,
      final Runnable whenDone) {
    final boolean[] state = new boolean[2];
    final SimNvmeQueues.Handler handler =
        (actual, result) -> {
          requireStatus(opcode, dword10, actual, status);
          state[1] = true;
          whenDone.run();
        };
    steps.add(
        () -> {
          if (!state[0]) {
            state[0] = submit(opcode, dword10, dword11, prp1, prp2, handler);
          }
          return state[1];
        });
  }

  private static void requireStatus(
      final int opcode, final int dword10, final int actual, final int right) {
    if ((actual & STATUS_MASK) != right) {
      throw new Violation(
          "admin command 0x"
              + Integer.toHexString(opcode)
              + " dword10=0x"
              + Integer.toHexString(dword10)
              + " ended with status 0x"
              + Integer.toHexString(actual)
              + ", right is 0x"
              + Integer.toHexString(right));
    }
  }

  private boolean submit(
      final int opcode,
      final int dword10,
      final int dword11,
      final long prp1,
      final long prp2,
      final SimNvmeQueues.Handler handler) {
    final SimNvmeQueues.Submission queue = rings.submissions[0];
    final int tag = queue.freeTag();
    if (tag < 0) {
      return false;
    }
    final long entry = queue.begin(opcode, tag, new SimNvmeQueues.Outstanding(handler, null, 0));
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, prp1);
    Mem.putLong(entry + SubmissionEntry.PRP2_OFFSET, prp2);
    Mem.putInt(entry + SubmissionEntry.DWORD10_OFFSET, dword10);
    Mem.putInt(entry + SubmissionEntry.DWORD11_OFFSET, dword11);
    trace.note("admin", opcode, dword10, dword11);
    rings.ringTail(queue);
    return true;
  }

  /** Nothing that the controller could tell happens: no event may come. */
  void requestsEvent() {
    steps.add(
        () -> {
          final boolean isSubmitted =
              submit(
                  AdminOpcode.ASYNC_EVENT_REQUEST,
                  0,
                  0,
                  0,
                  0,
                  (status, result) -> {
                    throw new Violation(
                        "an event of nothing: status=0x"
                            + Integer.toHexString(status)
                            + " result=0x"
                            + Integer.toHexString(result));
                  });
          awaitedEvents += isSubmitted ? 1 : 0;
          return isSubmitted;
        });
  }

  /** Identify Controller, into a page of the guest. */
  void identifies(final SimNvmeMemory memory) {
    final long buffer = SimNvmeMemory.adminBuffer();
    SimNvmeMemory.poison(memory.host(buffer), SimNvmeMemory.PAGE);
    admin(
        AdminOpcode.IDENTIFY,
        1,
        0,
        buffer,
        0,
        Status.SUCCESS,
        () -> {
          final int vendor = Mem.getShort(memory.host(buffer)) & 0xFFFF;
          if (vendor != NvmeMachine.PCI_VENDOR_ID) {
            throw new Violation("identify says vendor 0x" + Integer.toHexString(vendor));
          }
        });
  }
}
