package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.slave.nvme.AdminOutcome;
import io.virtnvme.slave.nvme.AdminRequest;
import io.virtnvme.slave.nvme.CommandError;
import io.virtnvme.slave.nvme.CompletionQueue;
import io.virtnvme.slave.nvme.ControllerAreaDescriptor;
import io.virtnvme.slave.nvme.ControllerImage;
import io.virtnvme.slave.nvme.ControllerState;
import io.virtnvme.slave.nvme.DmaMemory;
import io.virtnvme.slave.nvme.DoorbellFault;
import io.virtnvme.slave.nvme.IoTotals;
import io.virtnvme.slave.nvme.NamespaceVolume;
import io.virtnvme.slave.nvme.NvmeQueueAgent;
import io.virtnvme.slave.nvme.NvmeQueueSetup;
import io.virtnvme.slave.nvme.QueueContext;
import io.virtnvme.slave.nvme.QueueEvents;
import io.virtnvme.slave.nvme.QueueReports;
import io.virtnvme.slave.nvme.SessionParts;
import io.virtnvme.slave.nvme.SessionQueues;
import io.virtnvme.slave.nvme.SubmissionQueue;
import io.virtnvme.slave.ring.RingSetup;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * The NVMe queues of one session on the reactors of its seat. A completion queue with its
 * submission queues runs on the reactor that session and queue id select; the controller image is
 * stored by the reactor of the admin queue. Control thread, but for {@link QueueReports}; what it
 * asks for happens on the reactors.
 */
final class ReactorQueues implements SessionQueues, QueueReports {
  private static final int ADMIN_QUEUE = 0;

  private final Reactor[] reactors;
  private final ReactorEvents control;
  private final QueueEvents events;
  private final BooleanSupplier owned;
  private final QueueContext context;
  private final ImageQueues table;
  private DmaMemory memory;
  private int[] vectors;
  private List<NamespaceVolume> volumes;

  ReactorQueues(
      final Reactor[] reactors,
      final ReactorEvents control,
      final BooleanSupplier owned,
      final SessionParts parts,
      final QueueEvents events) {
    this.reactors = reactors;
    this.control = control;
    this.owned = owned;
    this.events = events;
    this.context =
        new QueueContext(
            parts.sessionId(),
            parts.area(),
            parts.doorbellsAddress(),
            parts.isDoorbellMapped(),
            parts.namespaceIdMax(),
            parts.segment(),
            this);
    this.memory = parts.memory();
    this.vectors = parts.vectors().clone();
    this.volumes = List.copyOf(parts.volumes());
    this.table = new ImageQueues(parts.area());
  }

  private long sessionId() {
    return context.sessionId();
  }

  private Reactor reactor(final int completionQueueId) {
    return reactors[(int) ((sessionId() + completionQueueId) % reactors.length)];
  }

  /**
   * Runs a command on a reactor. A fault of guest memory that hits in the middle of it, whoever's
   * memory that is, makes it run once more: every command here may.
   */
  private void execute(final Reactor reactor, final Runnable command) {
    reactor.execute(
        () -> {
          try {
            command.run();
          } catch (final IllegalStateException e) {
            // A journal that must not be trusted.
            reactor.fail(sessionId(), e.getMessage());
          } catch (final InternalError e) {
            execute(reactor, command);
            throw e;
          }
        });
  }

  /** Runs a change on every reactor, then calls back on the control thread. */
  private void executeOnAll(final Consumer<Reactor> change, final Runnable whenDone) {
    if (!owned.getAsBoolean()) {
      whenDone.run();
      return;
    }
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
      execute(
          reactor,
          () -> {
            change.accept(reactor);
            if (pending.decrementAndGet() == 0) {
              control.execute(whenDone);
            }
          });
    }
  }

  private void forEachAgent(final Reactor reactor, final Consumer<NvmeQueueAgent> change) {
    reactor.rings().forEachTrusted(sessionId(), NvmeQueueAgent.class, change);
  }

  /** The agent of a ring that can be trusted, or null. Reactor thread. */
  private NvmeQueueAgent agent(final Reactor reactor, final int completionQueueId) {
    final Ring ring = reactor.rings().find(sessionId(), completionQueueId);
    return ring == null || ring.state == Ring.State.ABANDONED ? null : (NvmeQueueAgent) ring.agent;
  }

  // The image.

  @Override
  public void storeImage(final byte[] image, final Runnable whenCommitted) {
    if (!owned.getAsBoolean()) {
      whenCommitted.run();
      return;
    }
    final Runnable store = storing(image);
    execute(
        reactor(ADMIN_QUEUE),
        () -> {
          store.run();
          control.execute(whenCommitted);
        });
  }

  /** What the reactor of the admin queue does to commit an image. */
  private Runnable storing(final byte[] image) {
    final boolean isChanged = table.advance(image);
    return () -> context.area().store(image, isChanged);
  }

  @Override
  public boolean isReachable(
      final long guestAddress, final long lengthBytes, final boolean forWriting) {
    return (forWriting ? memory.writable() : memory.readable()).translate(guestAddress, lengthBytes)
        != 0;
  }

  // Queues.

  private NvmeQueueSetup setup(
      final CompletionQueue queue, final ControllerState state, final int tableVersion) {
    final List<SubmissionQueue> submissions = new ArrayList<>();
    for (final SubmissionQueue submission : state.submissionQueues()) {
      if (submission.completionQueueId() == queue.queueId()) {
        submissions.add(submission);
      }
    }
    final int vector = queue.vector();
    return new NvmeQueueSetup(
        context,
        queue,
        submissions,
        memory,
        vector >= 0 && vector < vectors.length ? vectors[vector] : -1,
        volumes,
        state.shadowDoorbellAddress(),
        state.eventIndexAddress(),
        state.isWriteCacheOn(),
        tableVersion);
  }

  @Override
  public List<RingSetup> prepared() {
    final int tableVersion = context.area().queueTableVersion();
    final byte[] image = context.area().image();
    final List<RingSetup> setups = new ArrayList<>();
    if (image != null) {
      final ControllerState state = ControllerImage.decode(image);
      for (final CompletionQueue queue : state.completionQueues()) {
        setups.add(setup(queue, state, tableVersion));
      }
    }
    return setups;
  }

  @Override
  public void startCompletionQueue(final CompletionQueue queue, final Runnable whenStarted) {
    if (!owned.getAsBoolean()) {
      whenStarted.run();
      return;
    }
    final NvmeQueueSetup setup = setup(queue, table.state(), 0);
    final Reactor reactor = reactor(queue.queueId());
    execute(
        reactor,
        () -> {
          // A takeover may have started it already, from the same image.
          if (!reactor.has(sessionId(), queue.queueId())) {
            reactor.start(reactor.make(setup));
          }
          afterFence(reactor, queue.queueId(), agent -> control.execute(whenStarted));
        });
  }

  @Override
  public void startSubmissionQueue(final SubmissionQueue queue, final Runnable whenStarted) {
    if (!owned.getAsBoolean()) {
      whenStarted.run();
      return;
    }
    final Reactor reactor = reactor(queue.completionQueueId());
    execute(
        reactor,
        () ->
            afterFence(
                reactor,
                queue.completionQueueId(),
                agent -> {
                  try {
                    if (agent != null) {
                      agent.startSubmissions(queue);
                    }
                  } finally {
                    control.execute(whenStarted);
                  }
                }));
  }

  /**
   * Does something with a ring's agent, null when there is none that can be trusted, as soon as the
   * dead owner's requests have let go of its disks. Reactor thread.
   */
  private void afterFence(
      final Reactor reactor, final int completionQueueId, final Consumer<NvmeQueueAgent> action) {
    final Ring ring = reactor.rings().find(sessionId(), completionQueueId);
    if (ring != null && ring.state == Ring.State.FENCED) {
      execute(reactor, () -> afterFence(reactor, completionQueueId, action));
    } else {
      action.accept(agent(reactor, completionQueueId));
    }
  }

  @Override
  public void stopSubmissionQueue(final int queueId, final Runnable whenStopped) {
    final int completionQueueId = table.completionQueueOf(queueId);
    if (!owned.getAsBoolean() || completionQueueId == ImageQueues.NONE) {
      whenStopped.run();
      return;
    }
    final Reactor reactor = reactor(completionQueueId);
    execute(
        reactor,
        () -> {
          final NvmeQueueAgent agent = agent(reactor, completionQueueId);
          if (agent == null) {
            control.execute(whenStopped);
          } else {
            agent.stopSubmissions(queueId, whenStopped);
          }
        });
  }

  @Override
  public void stopCompletionQueue(final int queueId, final Runnable whenStopped) {
    if (!owned.getAsBoolean()) {
      whenStopped.run();
      return;
    }
    final Reactor reactor = reactor(queueId);
    execute(reactor, () -> reactor.stop(sessionId(), queueId, base -> whenStopped.run()));
  }

  @Override
  public void stopAll(final Runnable whenStopped) {
    if (!owned.getAsBoolean()) {
      whenStopped.run();
      return;
    }
    // One for each reactor, and one for each ring that is yet to stop.
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    final Runnable end =
        () -> {
          if (pending.decrementAndGet() == 0) {
            whenStopped.run();
          }
        };
    for (final Reactor reactor : reactors) {
      execute(
          reactor,
          () -> {
            for (final Ring ring : reactor.rings().started()) {
              if (ring.setup.sessionId() == sessionId()) {
                pending.incrementAndGet();
                reactor.stop(sessionId(), ring.setup.queueIndex(), base -> end.run());
              }
            }
            control.execute(end);
          });
    }
  }

  @Override
  public void ringDoorbell(final int offset, final int value, final Runnable whenDone) {
    if (offset < 0 || offset > SessionParts.DOORBELL_BYTES - Integer.BYTES || offset % 4 != 0) {
      throw new IllegalArgumentException("doorbell out of the page: offset=" + offset);
    }
    if (!owned.getAsBoolean()) {
      whenDone.run();
      return;
    }
    final int queueId = Doorbells.queueId(offset);
    final int completionQueueId =
        Doorbells.isCqHead(offset) ? queueId : table.completionQueueOf(queueId);
    execute(
        reactor(Math.max(0, completionQueueId)),
        () -> {
          Mem.putIntRelease(context.doorbellsAddress() + offset, value);
          control.execute(whenDone);
        });
  }

  @Override
  public void shadowDoorbells(
      final long shadowAddress, final long eventIndexAddress, final Runnable whenDone) {
    executeOnAll(
        reactor ->
            forEachAgent(reactor, agent -> agent.shadowDoorbells(shadowAddress, eventIndexAddress)),
        whenDone);
  }

  @Override
  public void writeCache(final boolean on, final Runnable whenDone) {
    executeOnAll(reactor -> forEachAgent(reactor, agent -> agent.writeCache(on)), whenDone);
  }

  @Override
  public void flush(final Runnable whenDone) {
    if (!owned.getAsBoolean()) {
      whenDone.run();
      return;
    }
    final Reactor reactor = reactor(ADMIN_QUEUE);
    execute(
        reactor,
        () -> {
          final NvmeQueueAgent agent = agent(reactor, ADMIN_QUEUE);
          if (agent == null) {
            control.execute(whenDone);
          } else if (!agent.flushAll(whenDone)) {
            flush(whenDone);
          }
        });
  }

  // What messages change.

  @Override
  public void memory(final DmaMemory newMemory, final Runnable whenUnused) {
    memory = newMemory;
    replace(agent -> agent.memory(newMemory), whenUnused);
  }

  @Override
  public void volumes(final List<NamespaceVolume> newVolumes, final Runnable whenUnused) {
    volumes = List.copyOf(newVolumes);
    final List<NamespaceVolume> given = volumes;
    whenFenced(given, () -> replace(agent -> agent.volumes(given), whenUnused));
  }

  /** A disk that comes to a running controller may still be in the hands of a dead owner. */
  private void whenFenced(final List<NamespaceVolume> given, final Runnable action) {
    for (final NamespaceVolume volume : given) {
      if (owned.getAsBoolean() && volume.bdev().needsFence() && !volume.bdev().tryFence()) {
        control.execute(() -> whenFenced(given, action));
        return;
      }
    }
    action.run();
  }

  /** Runs a change of memory or disks; calls back when no command uses the ones before. */
  private void replace(final Consumer<NvmeQueueAgent> change, final Runnable whenUnused) {
    if (!owned.getAsBoolean()) {
      whenUnused.run();
      return;
    }
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
      execute(
          reactor,
          () ->
              reactor.updateMemory(
                  sessionId(),
                  () -> forEachAgent(reactor, change),
                  () -> {
                    if (pending.decrementAndGet() == 0) {
                      control.execute(whenUnused);
                    }
                  }));
    }
  }

  @Override
  public void vectors(final int[] fds, final Runnable whenUnused) {
    vectors = fds.clone();
    final int[] given = vectors;
    executeOnAll(reactor -> forEachAgent(reactor, agent -> agent.vectors(given)), whenUnused);
  }

  @Override
  public IoTotals totals() {
    long readBytes = 0;
    long writtenBytes = 0;
    long reads = 0;
    long writes = 0;
    long errors = 0;
    for (int queue = 1; queue < ControllerAreaDescriptor.QUEUE_COUNT; queue++) {
      final long counters = context.countersAddress(queue);
      readBytes += Mem.getLongAcquire(counters + QueueCounter.READ_BYTES.offsetBytes());
      writtenBytes += Mem.getLongAcquire(counters + QueueCounter.WRITE_BYTES.offsetBytes());
      reads += Mem.getLongAcquire(counters + QueueCounter.READ_OPS.offsetBytes());
      writes += Mem.getLongAcquire(counters + QueueCounter.WRITE_OPS.offsetBytes());
      errors +=
          Math.max(
              0,
              Mem.getLongAcquire(counters + QueueCounter.ERRORS.offsetBytes())
                  - Mem.getLongAcquire(counters + QueueCounter.GUEST_FAULTS.offsetBytes()));
    }
    return new IoTotals(readBytes, writtenBytes, reads, writes, errors);
  }

  // The admin queue.

  @Override
  public void completeEvent(
      final byte[] image, final long fetchNumber, final int result, final Runnable whenJournalled) {
    if (!owned.getAsBoolean()) {
      whenJournalled.run();
      return;
    }
    complete(storing(image), fetchNumber, Status.SUCCESS, result, whenJournalled);
  }

  private void complete(
      final Runnable store,
      final long fetchNumber,
      final int status,
      final int result,
      final Runnable whenJournalled) {
    final Reactor reactor = reactor(ADMIN_QUEUE);
    execute(
        reactor,
        () -> {
          store.run();
          final NvmeQueueAgent agent = agent(reactor, ADMIN_QUEUE);
          if (agent != null) {
            agent.complete(fetchNumber, status, result, whenJournalled);
          }
        });
  }

  /** One admin command, as the controller answers it. Control thread. */
  private final class Request implements AdminRequest {
    private final long fetchNumber;
    private final byte[] entry;

    Request(final long fetchNumber, final byte[] entry) {
      this.fetchNumber = fetchNumber;
      this.entry = entry;
    }

    @Override
    public long fetchNumber() {
      return fetchNumber;
    }

    @Override
    public byte[] entry() {
      return entry.clone();
    }

    @Override
    public void transfer(final byte[] data, final Transferred whenTransferred) {
      final Reactor reactor = reactor(ADMIN_QUEUE);
      execute(
          reactor,
          () -> {
            final NvmeQueueAgent agent = agent(reactor, ADMIN_QUEUE);
            if (agent != null) {
              final int status = agent.transfer(fetchNumber, data);
              control.execute(() -> whenTransferred.onTransferred(status));
            }
          });
    }

    @Override
    public void complete(
        final byte[] image, final AdminOutcome outcome, final Runnable whenJournalled) {
      final Runnable store = image == null ? () -> {} : storing(image);
      if (outcome.isOutstanding()) {
        execute(
            reactor(ADMIN_QUEUE),
            () -> {
              store.run();
              control.execute(whenJournalled);
            });
      } else {
        ReactorQueues.this.complete(
            store, fetchNumber, outcome.status(), outcome.result(), whenJournalled);
      }
    }
  }

  // What reactors tell.

  @Override
  public void onAdminCommand(final long fetchNumber, final byte[] entry) {
    control.execute(() -> events.onAdminRequest(new Request(fetchNumber, entry)));
  }

  @Override
  public void onDoorbellFault(final DoorbellFault fault) {
    control.execute(() -> events.onDoorbellFault(fault));
  }

  @Override
  public void onCommandFailed(final CommandError error, final Runnable whenLogged) {
    control.execute(() -> events.onCommandFailed(error, whenLogged));
  }

  @Override
  public void execute(final Runnable task) {
    control.execute(task);
  }
}
