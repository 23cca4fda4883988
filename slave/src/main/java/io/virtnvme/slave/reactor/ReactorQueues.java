package io.virtnvme.slave.reactor;

import static io.virtnvme.slave.reactor.ReactorAdmin.ADMIN_QUEUE;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
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
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/**
 * The NVMe queues of one session on the reactors of its seat. Control thread, but for {@link
 * QueueReports}; what it asks for happens on the reactors.
 */
final class ReactorQueues implements SessionQueues, QueueReports {
  private final ReactorEvents control;
  private final QueueEvents events;
  private final BooleanSupplier owned;
  private final QueueContext context;
  private final SessionReactors reactors;
  private final ImageQueues imageQueues;
  private final ReactorAdmin admin;

  /** A driver that rings wrongly again and again must not fill the control thread's queue. */
  private final AtomicBoolean isReportingDoorbell = new AtomicBoolean();

  /** Not yet told to the reactors, in their order. */
  private final Queue<VolumeChange> volumeChanges = new ArrayDeque<>();

  private DmaMemory memory;
  private int[] vectors;
  private List<NamespaceVolume> volumes;

  ReactorQueues(
      final Reactor[] reactors,
      final ReactorEvents control,
      final BooleanSupplier owned,
      final SessionParts parts,
      final QueueEvents events) {
    this.control = control;
    this.owned = owned;
    this.events = events;
    this.reactors = new SessionReactors(reactors, control, parts.sessionId());
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
    this.imageQueues = new ImageQueues(parts.area());
    this.admin = new ReactorAdmin(this.reactors, control, parts.area(), imageQueues);
  }

  /** Without the seat nothing runs: what would be done to it is done. */
  private boolean isDoneWithoutSeat(final Runnable whenDone) {
    if (owned.getAsBoolean()) {
      return false;
    }
    whenDone.run();
    return true;
  }

  @Override
  public void storeImage(final byte[] image, final Runnable whenCommitted) {
    if (!isDoneWithoutSeat(whenCommitted)) {
      admin.store(image, whenCommitted);
    }
  }

  @Override
  public void completeEvent(
      final byte[] image, final long fetchNumber, final int result, final Runnable whenJournalled) {
    if (!isDoneWithoutSeat(whenJournalled)) {
      admin.completeEvent(image, fetchNumber, result, whenJournalled);
    }
  }

  @Override
  public void flush(final Runnable whenDone) {
    if (!isDoneWithoutSeat(whenDone)) {
      admin.flush(whenDone);
    }
  }

  /** By the map alone: a driver may enable the controller before the function is a bus master. */
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
        memory.reachable(),
        vector >= 0 && vector < vectors.length ? vectors[vector] : -1,
        volumes,
        state.shadowDoorbellAddress(),
        state.eventIndexAddress(),
        state.isWriteCacheOn(),
        tableVersion);
  }

  @Override
  public List<RingSetup> prepared() {
    // First: an image that is committed meanwhile makes what is prepared out of date.
    final int tableVersion = context.area().queueTableVersion();
    final byte[] image = context.area().image();
    final List<RingSetup> setups = new ArrayList<>();
    if (image != null) {
      final ControllerState state = ControllerImage.decode(image);
      // After a fatal error no queue runs until a reset.
      final List<CompletionQueue> running = state.isFatal() ? List.of() : state.completionQueues();
      for (final CompletionQueue queue : running) {
        setups.add(setup(queue, state, tableVersion));
      }
    }
    return setups;
  }

  @Override
  public void startCompletionQueue(final CompletionQueue queue, final Runnable whenStarted) {
    if (isDoneWithoutSeat(whenStarted)) {
      return;
    }
    final int queueId = queue.queueId();
    final NvmeQueueSetup setup = setup(queue, imageQueues.state(), 0);
    final Reactor reactor = reactors.of(queueId);
    reactors.execute(
        reactor,
        () -> {
          // A takeover may have started it already, from the same image.
          if (!reactor.has(context.sessionId(), queueId)) {
            reactor.start(reactor.make(setup));
          }
          reactors.afterFence(queueId, agent -> control.execute(whenStarted));
        });
  }

  @Override
  public void startSubmissionQueue(final SubmissionQueue queue, final Runnable whenStarted) {
    if (isDoneWithoutSeat(whenStarted)) {
      return;
    }
    final int completionQueueId = queue.completionQueueId();
    reactors.execute(
        reactors.of(completionQueueId),
        () -> reactors.afterFence(completionQueueId, agent -> start(agent, queue, whenStarted)));
  }

  private void start(
      final NvmeQueueAgent agent, final SubmissionQueue queue, final Runnable whenStarted) {
    try {
      if (agent != null) {
        agent.startSubmissions(queue);
        // Not while a front-end moves the queue's memory: of the admin queue nothing is handed over
        // before, and the doorbell of a new queue is cleared only then.
        agent.whenOpen(() -> control.execute(whenStarted));
        return;
      }
    } catch (final IllegalStateException e) {
      reactors.of(queue.completionQueueId()).fail(context.sessionId(), e.getMessage());
    }
    control.execute(whenStarted);
  }

  @Override
  public void stopSubmissionQueue(final int queueId, final Runnable whenStopped) {
    if (isDoneWithoutSeat(whenStopped)) {
      return;
    }
    final int completionQueueId = imageQueues.completionQueueOf(queueId);
    if (completionQueueId == ImageQueues.NONE) {
      control.execute(whenStopped);
      return;
    }
    reactors.execute(
        reactors.of(completionQueueId),
        () -> {
          final NvmeQueueAgent agent = reactors.agent(completionQueueId);
          if (agent == null) {
            control.execute(whenStopped);
          } else {
            agent.stopSubmissions(queueId, whenStopped);
          }
        });
  }

  @Override
  public void stopCompletionQueue(final int queueId, final Runnable whenStopped) {
    if (!isDoneWithoutSeat(whenStopped)) {
      final Reactor reactor = reactors.of(queueId);
      reactors.execute(
          reactor, () -> reactor.stop(context.sessionId(), queueId, base -> whenStopped.run()));
    }
  }

  @Override
  public void stopAll(final Runnable whenStopped) {
    if (!isDoneWithoutSeat(whenStopped)) {
      reactors.stopAll(whenStopped);
    }
  }

  // Doorbells and modes.

  @Override
  public void ringDoorbell(final int offset, final int value, final Runnable whenDone) {
    if (offset < 0
        || offset > SessionParts.DOORBELL_BYTES - Doorbells.STRIDE_BYTES
        || offset % Doorbells.STRIDE_BYTES != 0) {
      throw new IllegalArgumentException("no doorbell of the page: offset=" + offset);
    }
    if (isDoneWithoutSeat(whenDone)) {
      return;
    }
    final int queueId = Doorbells.queueId(offset);
    final int completionQueueId =
        Doorbells.isCqHead(offset) ? queueId : imageQueues.completionQueueOf(queueId);
    reactors.execute(
        reactors.of(completionQueueId == ImageQueues.NONE ? ADMIN_QUEUE : completionQueueId),
        () -> {
          Mem.putIntRelease(context.doorbellsAddress() + offset, value);
          control.execute(whenDone);
        });
  }

  @Override
  public void shadowDoorbells(
      final long shadowAddress, final long eventIndexAddress, final Runnable whenDone) {
    if (!isDoneWithoutSeat(whenDone)) {
      reactors.executeOnAll(
          reactor ->
              reactors.forEachAgent(
                  reactor, agent -> agent.shadowDoorbells(shadowAddress, eventIndexAddress)),
          whenDone);
    }
  }

  @Override
  public void writeCache(final boolean on, final Runnable whenDone) {
    if (!isDoneWithoutSeat(whenDone)) {
      reactors.executeOnAll(
          reactor -> reactors.forEachAgent(reactor, agent -> agent.writeCache(on)), whenDone);
    }
  }

  // What messages change.

  @Override
  public void memory(final DmaMemory newMemory, final Runnable whenUnused) {
    memory = newMemory;
    if (!isDoneWithoutSeat(whenUnused)) {
      reactors.replace(agent -> agent.memory(newMemory.reachable()), whenUnused);
    }
  }

  @Override
  public void volumes(final List<NamespaceVolume> newVolumes, final Runnable whenUnused) {
    final List<NamespaceVolume> given = List.copyOf(newVolumes);
    volumes = given;
    if (!isDoneWithoutSeat(whenUnused)) {
      volumeChanges.add(new VolumeChange(given, whenUnused));
      if (volumeChanges.size() == 1) {
        changeVolumes();
      }
    }
  }

  private record VolumeChange(List<NamespaceVolume> volumes, Runnable whenUnused) {}

  /**
   * A disk that comes to a running controller may still be in the hands of a dead owner. Changes
   * behind one that waits for that wait, too: the last one must come last.
   */
  private void changeVolumes() {
    while (!volumeChanges.isEmpty()) {
      final List<NamespaceVolume> next = volumeChanges.element().volumes();
      if (!isFenced(next)) {
        control.execute(this::changeVolumes);
        return;
      }
      reactors.replace(agent -> agent.volumes(next), volumeChanges.remove().whenUnused());
    }
  }

  private static boolean isFenced(final List<NamespaceVolume> given) {
    return given.stream()
        .allMatch(volume -> !volume.bdev().needsFence() || volume.bdev().tryFence());
  }

  @Override
  public void vectors(final int[] fds, final Runnable whenUnused) {
    final int[] given = fds.clone();
    vectors = given;
    if (!isDoneWithoutSeat(whenUnused)) {
      reactors.executeOnAll(
          reactor -> reactors.forEachAgent(reactor, agent -> agent.vectors(given)), whenUnused);
    }
  }

  @Override
  public IoTotals totals() {
    long readBytes = 0;
    long writtenBytes = 0;
    long reads = 0;
    long writes = 0;
    long errors = 0;
    for (int queue = 1; queue < ControllerAreaDescriptor.QUEUE_COUNT; queue++) {
      readBytes += counter(queue, QueueCounter.READ_BYTES);
      writtenBytes += counter(queue, QueueCounter.WRITE_BYTES);
      reads += counter(queue, QueueCounter.READ_OPS);
      writes += counter(queue, QueueCounter.WRITE_OPS);
      errors +=
          Math.max(
              0, counter(queue, QueueCounter.ERRORS) - counter(queue, QueueCounter.GUEST_FAULTS));
    }
    return new IoTotals(readBytes, writtenBytes, reads, writes, errors);
  }

  private long counter(final int queueId, final QueueCounter counter) {
    return Mem.getLongAcquire(context.countersAddress(queueId) + counter.offsetBytes());
  }

  // What reactors tell.

  @Override
  public void onAdminCommand(final long fetchNumber, final byte[] entry) {
    control.execute(() -> events.onAdminRequest(admin.request(fetchNumber, entry)));
  }

  @Override
  public void onDoorbellFault(final DoorbellFault fault) {
    if (isReportingDoorbell.compareAndSet(false, true)) {
      control.execute(
          () -> {
            isReportingDoorbell.set(false);
            events.onDoorbellFault(fault);
          });
    }
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
