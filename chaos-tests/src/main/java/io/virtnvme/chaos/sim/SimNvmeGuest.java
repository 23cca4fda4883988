package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.DsmRange;
import io.virtnvme.ipc.nvme.FeatureId;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.slave.vfio.NvmeMachine;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * The guest's NVMe driver: brings the controller up, makes queues, sends commands at random, and
 * deletes queues and resets the controller with commands in flight. Judges statuses and data
 * through {@link NvmeOracle}; {@link SimNvmeQueues} judges the rings.
 */
final class SimNvmeGuest implements AutoCloseable {
  static final int QUEUE_COUNT_MAX = 3;
  static final int QUEUE_ENTRIES_MAX = 16;

  private static final int PAGE = PrpEntry.PAGE_BYTES;
  private static final long QUEUES_ADDRESS = 0x10_0000;
  private static final long DATA_ADDRESS = 0x2000_0000;
  private static final long EXTRA_ADDRESS = 0x4000_0000;
  private static final int SHADOW_PAGE = 2 * (QUEUE_COUNT_MAX + 1);
  private static final int EVENT_INDEX_PAGE = SHADOW_PAGE + 1;
  private static final int QUEUES_PAGES = EVENT_INDEX_PAGE + 1;
  private static final int BUFFER_BYTES = 2 * PAGE;
  private static final int BUFFERS = (QUEUE_COUNT_MAX + 1) * QUEUE_ENTRIES_MAX;
  private static final int SECTORS_MAX = 4;
  private static final int CALM_COMMANDS = 6;
  private static final int STATUS_MASK = 0x7FF;
  private static final long POISON = 0x5A5A5A5A5A5A5A5AL;
  private static final int CC_ENABLED =
      ControllerRegisters.CC_EN
          | SubmissionEntry.ENTRY_SHIFT << ControllerRegisters.CC_IOSQES_SHIFT
          | 4 << ControllerRegisters.CC_IOCQES_SHIFT;

  /** The queues of all kinds, shadow doorbells included. */
  SimGuest.Region queues;

  /** Buffers that stay. */
  SimGuest.Region data;

  /** Buffers that can be taken away. */
  SimGuest.Region extra;

  /** One eventfd for each vector. */
  final int[] vectorFds = new int[QUEUE_COUNT_MAX + 1];

  private final World world;
  private final Plan plan;
  private final NvmeOracle oracle;
  private final SplittableRandom random;
  private final EventFd eventFd = new EventFd();
  private final Deque<BooleanSupplier> script = new ArrayDeque<>();
  private final Deque<Fault.Kind> wanted = new ArrayDeque<>();
  private final SimNvmeQueues.Submission[] submissions =
      new SimNvmeQueues.Submission[QUEUE_COUNT_MAX + 1];
  private final SimNvmeQueues.Completion[] completions =
      new SimNvmeQueues.Completion[QUEUE_COUNT_MAX + 1];

  /** Commands of a machine that was switched off: a slave that does not know yet may run them. */
  private final List<NvmeOracle.Command> orphans = new ArrayList<>();

  private NvmeRegisters registers;
  private boolean isUp;
  private boolean isShadowed;
  private boolean isPlugged = true;
  private boolean mayUseExtra = true;
  private boolean isCalm;
  private int awaitedEvents;
  private long requestMax;

  SimNvmeGuest(final World world, final NvmeOracle oracle, final SplittableRandom random) {
    this.world = world;
    this.plan = world.plan();
    this.oracle = oracle;
    this.random = random;
    this.requestMax = plan.requestMax();
    for (int i = 0; i < vectorFds.length; i++) {
      vectorFds[i] = EventFd.create();
    }
  }

  void registers(final NvmeRegisters port) {
    registers = port;
  }

  // The machine's life.

  /** The machine starts: new memory, no controller yet. */
  void powerOn() {
    closeMemory();
    queues = new SimGuest.Region("queues", QUEUES_ADDRESS, QUEUES_ADDRESS, QUEUES_PAGES * PAGE);
    data = new SimGuest.Region("data", DATA_ADDRESS, DATA_ADDRESS, BUFFERS * BUFFER_BYTES);
    extra = new SimGuest.Region("extra", EXTRA_ADDRESS, EXTRA_ADDRESS, BUFFERS * BUFFER_BYTES);
    isPlugged = true;
    mayUseExtra = true;
  }

  /** The machine is switched off, in the middle of whatever it does. */
  void powerOff() {
    world.trace().note("power off");
    isUp = false;
    script.clear();
    for (final SimNvmeQueues.Submission queue : submissions) {
      if (queue != null && queue.id > 0) {
        for (final SimNvmeQueues.Outstanding command : queue.outstanding) {
          if (command != null) {
            orphans.add(command.command);
          }
        }
      }
    }
    forgetQueues();
  }

  private void forgetQueues() {
    Arrays.fill(submissions, null);
    Arrays.fill(completions, null);
    isShadowed = false;
    awaitedEvents = 0;
  }

  /** A new session answers: nothing of the one before runs any more. */
  void predecessorEnded() {
    orphans.forEach(oracle::onDropped);
    orphans.clear();
  }

  /** Memory, doorbells and interrupts are there: the driver begins. */
  void bringUp() {
    final int entryCount = plan.nvme().adminEntryCount();
    writes(ControllerRegisters.AQA_OFFSET, Integer.BYTES, (entryCount - 1) << 16 | entryCount - 1);
    writes(ControllerRegisters.ASQ_OFFSET, Long.BYTES, submissionAddress(0));
    writes(ControllerRegisters.ACQ_OFFSET, Long.BYTES, completionAddress(0));
    runs(
        () -> {
          completions[0] =
              new SimNvmeQueues.Completion(0, entryCount, 0, queues.host(completionAddress(0)));
          submissions[0] = newSubmission(0, entryCount, completions[0]);
          waitInCalm(completions[0]);
        });
    writes(ControllerRegisters.CC_OFFSET, Integer.BYTES, CC_ENABLED);
    awaitsReady(ControllerRegisters.CSTS_RDY);
    runs(() -> isUp = true);
    requestsEvent();
    admin(
        AdminOpcode.SET_FEATURES,
        FeatureId.NUMBER_OF_QUEUES,
        (QUEUE_COUNT_MAX - 1) << 16 | QUEUE_COUNT_MAX - 1,
        0,
        0,
        Status.SUCCESS,
        () -> {});
    if (plan.nvme().shadowDoorbells()) {
      admin(
          AdminOpcode.DOORBELL_BUFFER_CONFIG,
          0,
          0,
          page(SHADOW_PAGE),
          page(EVENT_INDEX_PAGE),
          Status.SUCCESS,
          () -> isShadowed = true);
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

  private static long page(final int index) {
    return QUEUES_ADDRESS + (long) index * PAGE;
  }

  private static long submissionAddress(final int id) {
    return page(2 * id);
  }

  private static long completionAddress(final int id) {
    return page(2 * id + 1);
  }

  private SimNvmeQueues.Submission newSubmission(
      final int id, final int entryCount, final SimNvmeQueues.Completion completion) {
    return new SimNvmeQueues.Submission(
        id,
        entryCount,
        queues.host(submissionAddress(id)),
        completion,
        plan.nvme().commandIdGenerations());
  }

  // Steps of the script: each is tried until it is done.

  private void runs(final Runnable action) {
    script.add(
        () -> {
          action.run();
          return true;
        });
  }

  /** Begins something that calls back, and goes on when it did. */
  private void asks(final Consumer<Runnable> question) {
    final boolean[] state = new boolean[2];
    script.add(
        () -> {
          if (!state[0]) {
            state[0] = true;
            question.accept(() -> state[1] = true);
          }
          return state[1];
        });
  }

  private void writes(final int offset, final int width, final long value) {
    asks(whenDone -> registers.write(offset, width, value, whenDone));
  }

  private void awaitsReady(final int ready) {
    final boolean[] state = new boolean[2];
    script.add(
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
  private void admin(
      final int opcode,
      final int dword10,
      final int dword11,
      final long prp1,
      final long prp2,
      final int status,
      final Runnable whenDone) {
    final boolean[] state = new boolean[2];
    script.add(
        () -> {
          if (!state[0]) {
            state[0] =
                submitAdmin(
                    opcode,
                    dword10,
                    dword11,
                    prp1,
                    prp2,
                    (actual, result) -> {
                      if ((actual & STATUS_MASK) != status) {
                        throw new Violation(
                            "admin command 0x"
                                + Integer.toHexString(opcode)
                                + " dword10=0x"
                                + Integer.toHexString(dword10)
                                + " ended with status 0x"
                                + Integer.toHexString(actual)
                                + ", right is 0x"
                                + Integer.toHexString(status));
                      }
                      state[1] = true;
                      whenDone.run();
                    });
          }
          return state[1];
        });
  }

  private boolean submitAdmin(
      final int opcode,
      final int dword10,
      final int dword11,
      final long prp1,
      final long prp2,
      final SimNvmeQueues.Handler handler) {
    final SimNvmeQueues.Submission queue = submissions[0];
    final int tag = queue.freeTag();
    if (tag < 0) {
      return false;
    }
    final long entry = queue.begin(opcode, tag, new SimNvmeQueues.Outstanding(handler, null, 0));
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, prp1);
    Mem.putLong(entry + SubmissionEntry.PRP2_OFFSET, prp2);
    Mem.putInt(entry + SubmissionEntry.DWORD10_OFFSET, dword10);
    Mem.putInt(entry + SubmissionEntry.DWORD11_OFFSET, dword11);
    world.trace().note("admin", opcode, dword10, dword11);
    ringTail(queue);
    return true;
  }

  /** Nothing that the controller could tell happens: no event may come. */
  private void requestsEvent() {
    script.add(
        () -> {
          final boolean isSubmitted =
              submitAdmin(
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

  private void createsCompletionQueue(final int id) {
    final int entryCount = plan.nvme().completionEntryCount();
    runs(
        () -> {
          completions[id] =
              new SimNvmeQueues.Completion(id, entryCount, id, queues.host(completionAddress(id)));
          completions[id].isClosed = true;
          clearShadow(Doorbells.cqHeadOffset(id));
        });
    admin(
        AdminOpcode.CREATE_CQ,
        (entryCount - 1) << 16 | id,
        id << 16 | 3,
        completionAddress(id),
        0,
        Status.SUCCESS,
        () -> {
          completions[id].isClosed = false;
          waitInCalm(completions[id]);
        });
  }

  private void createsSubmissionQueue(final int id) {
    runs(() -> clearShadow(Doorbells.sqTailOffset(id)));
    admin(
        AdminOpcode.CREATE_SQ,
        (plan.queueSize() - 1) << 16 | id,
        completionId(id) << 16 | 1,
        submissionAddress(id),
        0,
        Status.SUCCESS,
        () -> submissions[id] = newSubmission(id, plan.queueSize(), completions[completionId(id)]));
  }

  private void clearShadow(final int offset) {
    if (isShadowed) {
      Mem.putIntRelease(queues.host(page(SHADOW_PAGE)) + offset, 0);
    }
  }

  private void deletesSubmissionQueue(final int id) {
    runs(() -> submissions[id].isClosed = true);
    admin(
        AdminOpcode.DELETE_SQ,
        id,
        0,
        0,
        0,
        Status.SUCCESS,
        () -> {
          // What was posted before the deletion ended is in the completion queue by now.
          reap(submissions[id].completion, Integer.MAX_VALUE);
          drop(submissions[id]);
          submissions[id] = null;
        });
  }

  private void deletesCompletionQueue(final int id) {
    runs(
        () -> {
          reap(completions[id], Integer.MAX_VALUE);
          release(completions[id]);
          completions[id].isClosed = true;
        });
    admin(AdminOpcode.DELETE_CQ, id, 0, 0, 0, Status.SUCCESS, () -> completions[id] = null);
  }

  private void drop(final SimNvmeQueues.Submission queue) {
    for (final SimNvmeQueues.Outstanding command : queue.outstanding) {
      if (command != null && command.command != null) {
        oracle.onDropped(command.command);
      }
    }
  }

  /** The controller is reset with whatever is in flight; then it is brought up again. */
  private void resets(final boolean isFunctionReset) {
    runs(() -> isUp = false);
    if (isFunctionReset) {
      asks(registers::reset);
    } else {
      writes(ControllerRegisters.CC_OFFSET, Integer.BYTES, CC_ENABLED & ~ControllerRegisters.CC_EN);
      awaitsReady(0);
    }
    runs(
        () -> {
          for (final SimNvmeQueues.Submission queue : submissions) {
            if (queue != null) {
              drop(queue);
            }
          }
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
    world.trace().note(kind.name());
    switch (kind) {
      case RESET -> resets(random.nextInt(3) == 0);
      case DELETE_QUEUE -> {
        final int id = 1 + random.nextInt(plan.queueCount());
        deletesSubmissionQueue(id);
        if (!plan.nvme().sharedCompletionQueue() && random.nextBoolean()) {
          deletesCompletionQueue(id);
          admin(AdminOpcode.DELETE_CQ, id, 0, 0, 0, Status.INVALID_QUEUE_ID, () -> {});
          createsCompletionQueue(id);
        }
        admin(AdminOpcode.DELETE_SQ, id, 0, 0, 0, Status.INVALID_QUEUE_ID, () -> {});
        createsSubmissionQueue(id);
      }
      case MOVE_QUEUES -> asks(registers::moveQueues);
      case PLUG -> plugs();
      default -> {}
    }
  }

  private void plugs() {
    if (isPlugged) {
      runs(() -> mayUseExtra = false);
      script.add(() -> !usesExtra());
      asks(whenDone -> registers.plug(false, whenDone));
      runs(
          () -> {
            isPlugged = false;
            fill(extra.mapping.address(), extra.mapping.lengthBytes());
          });
    } else {
      runs(this::checkPoison);
      asks(whenDone -> registers.plug(true, whenDone));
      runs(
          () -> {
            isPlugged = true;
            mayUseExtra = true;
          });
    }
  }

  private boolean usesExtra() {
    for (final SimNvmeQueues.Submission queue : submissions) {
      if (queue != null) {
        for (final SimNvmeQueues.Outstanding command : queue.outstanding) {
          if (command != null && command.buffer >= EXTRA_ADDRESS) {
            return true;
          }
        }
      }
    }
    return false;
  }

  private static void fill(final long address, final long lengthBytes) {
    Mem.fill(address, lengthBytes, (byte) POISON);
  }

  private void checkPoison() {
    for (long i = 0; i < extra.mapping.lengthBytes(); i += Long.BYTES) {
      if (Mem.getLong(extra.mapping.address() + i) != POISON) {
        throw new Violation("somebody wrote to memory that was taken away: offset=" + i);
      }
    }
  }

  // Work.

  /** One action of the guest. */
  void step() {
    if (!script.isEmpty()) {
      if (script.element().getAsBoolean()) {
        // Only now: what it did may have emptied the script.
        script.poll();
      }
    } else if (isUp && !wanted.isEmpty()) {
      begin(wanted.remove());
    }
    if (completions[0] != null) {
      look(completions[0]);
    }
    if (!isUp) {
      return;
    }
    final int id = 1 + random.nextInt(plan.queueCount());
    if (completions[id] != null && !completions[id].isClosed) {
      look(completions[id]);
    }
    if (submissions[id] != null && !submissions[id].isClosed && random.nextInt(3) > 0) {
      final int count = 1 + random.nextInt(3);
      boolean isPosted = false;
      for (int i = 0; i < count; i++) {
        isPosted |= post(submissions[id]);
      }
      if (isPosted) {
        ringTail(submissions[id]);
      }
    }
    if (script.isEmpty() && !isCalm && random.nextInt(40) == 0) {
      askSomething();
    }
  }

  /** Something of the admin queue that changes nothing. */
  private void askSomething() {
    final int id = completionId(1);
    switch (random.nextInt(3)) {
      case 0 -> {
        final long buffer = DATA_ADDRESS;
        fill(data.host(buffer), PAGE);
        admin(
            AdminOpcode.IDENTIFY,
            1,
            0,
            buffer,
            0,
            Status.SUCCESS,
            () -> {
              final int vendor = Mem.getShort(data.host(buffer)) & 0xFFFF;
              if (vendor != NvmeMachine.PCI_VENDOR_ID) {
                throw new Violation("identify says vendor 0x" + Integer.toHexString(vendor));
              }
            });
      }
      case 1 ->
          admin(
              AdminOpcode.CREATE_CQ,
              1 << 16 | id,
              id << 16 | 3,
              completionAddress(id),
              0,
              Status.INVALID_QUEUE_ID,
              () -> {});
      default -> admin(AdminOpcode.DELETE_CQ, id, 0, 0, 0, Status.INVALID_QUEUE_DELETION, () -> {});
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
      world.trace().note("interrupt", queue.vector);
      reap(queue, Integer.MAX_VALUE);
      release(queue);
      queue.isWaiting = isCalm || random.nextBoolean();
      return;
    }
    switch (random.nextInt(6)) {
      case 0 -> {
        reap(queue, Integer.MAX_VALUE);
        release(queue);
        queue.isWaiting = true;
      }
      case 1, 2 -> {
        reap(queue, 1 + random.nextInt(3));
        if (random.nextInt(3) > 0) {
          release(queue);
        }
      }
      default -> {}
    }
  }

  private void waitInCalm(final SimNvmeQueues.Completion queue) {
    queue.isWaiting = isCalm;
  }

  private void reap(final SimNvmeQueues.Completion queue, final int limit) {
    int left = limit;
    while (left > 0 && queue.poll(id -> id < submissions.length ? submissions[id] : null)) {
      left--;
      if (left > 0 && limit == Integer.MAX_VALUE) {
        release(queue);
      }
    }
  }

  private void release(final SimNvmeQueues.Completion queue) {
    final int head = queue.release();
    if (head >= 0) {
      ring(queue.id, Doorbells.cqHeadOffset(queue.id), head);
    }
  }

  private void ringTail(final SimNvmeQueues.Submission queue) {
    ring(queue.id, Doorbells.sqTailOffset(queue.id), queue.tail());
  }

  private void ring(final int queueId, final int offset, final int value) {
    if (isShadowed && queueId > 0) {
      Mem.putIntRelease(queues.host(page(SHADOW_PAGE)) + offset, value);
    } else {
      registers.ring(offset, value);
    }
  }

  private boolean post(final SimNvmeQueues.Submission queue) {
    final int tag = queue.freeTag();
    if (tag < 0 || oracle.postedCount() >= requestMax) {
      return false;
    }
    final int opcode = randomOpcode();
    final int count = opcode == NvmOpcode.FLUSH ? 0 : 1 + random.nextInt(SECTORS_MAX);
    final int sector = random.nextInt(SimDisk.SECTOR_COUNT - count);
    if (opcode != NvmOpcode.FLUSH && oracle.hasTwin(opcode, sector, count)) {
      return false;
    }
    final NvmeOracle.Command command = oracle.post(opcode, sector, count);
    // At the begin of a page, or so that data goes over its end.
    final int offset = random.nextBoolean() ? 0 : PAGE - SimDisk.SECTOR_BYTES;
    final long buffer =
        (mayUseExtra && random.nextBoolean() ? EXTRA_ADDRESS : DATA_ADDRESS)
            + (long) (queue.id * QUEUE_ENTRIES_MAX + tag) * BUFFER_BYTES
            + offset;
    fillBuffer(command, host(buffer));
    final long entry =
        queue.begin(
            opcode,
            tag,
            new SimNvmeQueues.Outstanding(
                (status, result) -> onIoEnd(command, buffer, status), command, buffer));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, 1);
    if (opcode == NvmOpcode.DATASET_MANAGEMENT) {
      Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, buffer);
      Mem.putInt(entry + SubmissionEntry.DWORD11_OFFSET, IoCommand.DSM_DEALLOCATE);
    } else if (opcode != NvmOpcode.FLUSH) {
      Mem.putLong(entry + IoCommand.START_BLOCK_OFFSET, sector);
      Mem.putInt(entry + IoCommand.BLOCKS_OFFSET, count - 1);
      Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, buffer);
      Mem.putLong(
          entry + SubmissionEntry.PRP2_OFFSET,
          offset + count * SimDisk.SECTOR_BYTES > PAGE ? buffer - offset + PAGE : 0);
    }
    world.trace().note("post", command.number, opcode, sector);
    return true;
  }

  private int randomOpcode() {
    return switch (random.nextInt(20)) {
      case 0 -> NvmOpcode.FLUSH;
      case 1 -> NvmOpcode.DATASET_MANAGEMENT;
      case 2 -> NvmOpcode.WRITE_ZEROES;
      case 3, 4, 5, 6, 7, 8, 9 -> NvmOpcode.READ;
      default -> NvmOpcode.WRITE;
    };
  }

  private long host(final long buffer) {
    return (buffer >= EXTRA_ADDRESS ? extra : data).host(buffer);
  }

  private static void fillBuffer(final NvmeOracle.Command command, final long host) {
    switch (command.opcode) {
      case NvmOpcode.READ -> fill(host, (long) command.count * SimDisk.SECTOR_BYTES);
      case NvmOpcode.WRITE -> {
        for (int i = 0; i < command.count * SimDisk.SECTOR_BYTES; i += Long.BYTES) {
          Mem.putLong(host + i, command.value(command.sector + i / SimDisk.SECTOR_BYTES));
        }
      }
      case NvmOpcode.DATASET_MANAGEMENT -> {
        Mem.putInt(host + DsmRange.ATTRIBUTES_OFFSET, 0);
        Mem.putInt(host + DsmRange.BLOCKS_OFFSET, command.count);
        Mem.putLong(host + DsmRange.START_BLOCK_OFFSET, command.sector);
      }
      default -> {}
    }
  }

  private void onIoEnd(final NvmeOracle.Command command, final long buffer, final int status) {
    if (status != Status.SUCCESS) {
      throw new Violation(command + " ended with status 0x" + Integer.toHexString(status));
    }
    oracle.onCompleted(command);
    if (command.isRead()) {
      oracle.checkRead(command, host(buffer));
    }
    world.trace().note("done", command.number);
  }

  // The end.

  /** From now on a few more commands, and completions only when called. */
  void calm() {
    isCalm = true;
    requestMax = oracle.postedCount() + (long) CALM_COMMANDS * plan.queueCount();
    for (final SimNvmeQueues.Completion queue : completions) {
      if (queue != null && !queue.isClosed && !queue.isWaiting) {
        reap(queue, Integer.MAX_VALUE);
        release(queue);
        queue.isWaiting = true;
      }
    }
  }

  /** Whether everything that the guest wanted is done. */
  boolean isDone() {
    return isUp
        && script.isEmpty()
        && wanted.isEmpty()
        && oracle.postedCount() >= requestMax
        && inFlightCount() == awaitedEvents;
  }

  private int inFlightCount() {
    int count = 0;
    for (final SimNvmeQueues.Submission queue : submissions) {
      count += queue == null ? 0 : queue.inFlightCount();
    }
    return count;
  }

  String outstanding() {
    return "up="
        + isUp
        + " steps of the driver left="
        + script.size()
        + " in flight="
        + inFlightCount()
        + " events awaited="
        + awaitedEvents;
  }

  void checkEnd() {
    if (!isPlugged) {
      checkPoison();
    }
  }

  private void closeMemory() {
    if (queues != null) {
      queues.close();
      data.close();
      extra.close();
      queues = null;
    }
  }

  @Override
  public void close() {
    for (final int fd : vectorFds) {
      Fds.close(fd);
    }
    eventFd.free();
    closeMemory();
  }
}
