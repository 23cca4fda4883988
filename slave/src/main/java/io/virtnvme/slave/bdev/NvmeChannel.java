package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.queue.DeviceQueueFault;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.Counter;
import io.virtnvme.ipc.nvme.queue.InjectedErrors;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.journal.DeviceQueueJournal;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * One reactor's access to an NVMe disk: its queue pair of the device, which it is the only one to
 * drive. Commands go to the device when the reactor polls its I/O, once per duty cycle.
 *
 * <p>What a dead predecessor left on the device is adopted before the first command: see the
 * contract in docs/journal.md. While the device holds a command that nobody has asked for, and
 * while the master keeps the gate shut, submissions are answered {@link BlockChannel#RETRY}.
 */
final class NvmeChannel implements BlockChannel {
  private final NvmeBdev bdev;
  private final DeviceQueueSegment segment;
  private final DeviceQueueGeometry geometry;
  private final DeviceQueueJournal journal;
  private final NvmeRequest[] requests;
  private final int[] freeSlots;
  private final int[] held;
  private final boolean readOnly;

  /** Taken by the reactor with its first poll, or by whoever closes the disk before. */
  private final AtomicBoolean isTaken = new AtomicBoolean();

  /** By ring slot: whose requests those are. Grows before the ring runs. */
  private long[] sessions = new long[0];

  private int[] queues = new int[0];

  private int freeCount;
  private int activeCount;
  private int unclaimedCount;

  /** The gate was open when it was looked at last, and the journal is of these queues. */
  private boolean isRunning;

  /** The device broke a rule: nothing is touched until the queues are created anew. */
  private boolean isFaulty;

  /** Private state is not sound: it is made again from the journal. */
  private boolean mustAdopt = true;

  /** {@link #recover} was called and the queue pair not looked at since. */
  private boolean isRecovering;

  private boolean isOwned;
  private boolean isGone;

  NvmeChannel(
      final NvmeBdev bdev, final DeviceQueueSegment segment, final NvmeController controller) {
    this.bdev = bdev;
    this.segment = segment;
    this.geometry = segment.geometry();
    this.readOnly = bdev.description().readOnly();
    this.journal =
        new DeviceQueueJournal(
            segment.address(),
            geometry,
            controller.sqTailAddress(geometry.queueId()),
            controller.cqHeadAddress(geometry.queueId()));
    final NvmePrps prps = new NvmePrps(controller.dma(), geometry, segment.address());
    this.requests = new NvmeRequest[geometry.slotCount()];
    for (int slot = 0; slot < requests.length; slot++) {
      requests[slot] = new NvmeRequest(geometry, prps, segment.address(), slot);
    }
    this.freeSlots = new int[requests.length];
    this.held = new int[requests.length];
  }

  NvmeBdev bdev() {
    return bdev;
  }

  @Override
  public void bind(final int ringSlot, final long sessionId, final int queueIndex) {
    if (ringSlot >= sessions.length) {
      sessions = Arrays.copyOf(sessions, ringSlot + 1);
      queues = Arrays.copyOf(queues, ringSlot + 1);
    }
    sessions[ringSlot] = sessionId;
    queues[ringSlot] = queueIndex;
  }

  private long session(final long tag) {
    final int ringSlot = (int) (tag >>> Integer.SIZE);
    return ringSlot < sessions.length ? sessions[ringSlot] : 0;
  }

  private int queue(final long tag) {
    final int ringSlot = (int) (tag >>> Integer.SIZE);
    return ringSlot < queues.length ? queues[ringSlot] : 0;
  }

  /** Looks at the gate; joins when that is due. True when commands may go to the device. */
  private boolean look() {
    isRunning = false;
    if (!journal.isOpen()) {
      return false;
    }
    if (mustAdopt || !journal.isJoined()) {
      return join();
    }
    isRunning = !isFaulty;
    return isRunning;
  }

  private boolean join() {
    final int heldCount = journal.join(held);
    final int inconsistencies = journal.takeInconsistencies();
    if (inconsistencies > 0) {
      count(Counter.INCONSISTENCIES, inconsistencies);
    }
    if (heldCount == DeviceQueueJournal.REFUSED) {
      fail(DeviceQueueFault.DAMAGED_JOURNAL);
      return false;
    }
    isFaulty = false;
    isRunning = true;
    if (mustAdopt) {
      mustAdopt = false;
      isRecovering = false;
      adopt(heldCount);
    } else {
      startAgain();
    }
    return true;
  }

  private void adopt(final int heldCount) {
    activeCount = 0;
    unclaimedCount = heldCount;
    for (final NvmeRequest request : requests) {
      request.state = NvmeRequest.State.FREE;
    }
    for (int i = 0; i < heldCount; i++) {
      requests[held[i]].state = NvmeRequest.State.UNCLAIMED;
    }
    freeCount = 0;
    for (int slot = requests.length - 1; slot >= 0; slot--) {
      if (requests[slot].state == NvmeRequest.State.FREE) {
        freeSlots[freeCount++] = slot;
      }
    }
  }

  /** The controller was reset: the device holds nothing, and every request needs it again. */
  private void startAgain() {
    for (final NvmeRequest request : requests) {
      if (request.state == NvmeRequest.State.ACTIVE) {
        count(Counter.RETRIES, 1);
        send(request);
      } else if (request.state == NvmeRequest.State.UNCLAIMED) {
        free(request);
        unclaimedCount--;
      }
    }
  }

  private void fail(final DeviceQueueFault fault) {
    isFaulty = true;
    isRunning = false;
    Mem.putIntRelease(segment.address() + DeviceQueueSegment.FAULT_OFFSET, fault.code());
  }

  private void count(final Counter counter, final long delta) {
    final long address = segment.address() + counter.offset();
    Mem.putLongRelease(address, Mem.getLong(address) + delta);
  }

  @Override
  public int submit(
      final int operation,
      final long iovecs,
      final int iovecCount,
      final long offsetBytes,
      final long lengthBytes,
      final int flags,
      final long tag) {
    if (!isRunning && (!own() || isFaulty || !look())) {
      return RETRY;
    }
    if (operation != OP_FLUSH) {
      if (!Iovecs.inRange(offsetBytes, lengthBytes, bdev.lengthBytes())) {
        return -Errno.EINVAL;
      }
      if (readOnly && operation != OP_READ) {
        return -Errno.EROFS;
      }
      if (lengthBytes == 0
          || (operation == OP_UNMAP
              && !geometry.has(DeviceQueueGeometry.FEATURE_DATASET_MANAGEMENT))) {
        // A hint; it succeeds where the device cannot.
        return DONE;
      }
    }
    if (operation < OP_READ || operation > OP_UNMAP) {
      return -Errno.EOPNOTSUPP;
    }
    NvmeRequest request = null;
    if (unclaimedCount > 0) {
      request =
          (flags & FLAG_RECOVERED) == 0 ? null : claim(operation, offsetBytes, lengthBytes, tag);
      if (request == null) {
        // It could be overtaken by what the device still holds.
        return RETRY;
      }
    } else if (freeCount == 0) {
      return RETRY;
    }
    if (request != null) {
      request.begin(operation, iovecs, iovecCount, offsetBytes, lengthBytes, flags, tag);
      request.adopt();
      unclaimedCount--;
      activeCount++;
      count(Counter.ADOPTED, 1);
      return PENDING;
    }
    request = requests[freeSlots[freeCount - 1]];
    request.begin(operation, iovecs, iovecCount, offsetBytes, lengthBytes, flags, tag);
    request.owner(session(tag), queue(tag));
    freeCount--;
    activeCount++;
    final int result = sendOrEnd(request);
    if (result != PENDING) {
      activeCount--;
      free(request);
    }
    return result;
  }

  private NvmeRequest claim(
      final int operation, final long offsetBytes, final long lengthBytes, final long tag) {
    final long session = session(tag);
    final int queue = queue(tag);
    if (session == 0) {
      return null;
    }
    for (final NvmeRequest request : requests) {
      if (request.state == NvmeRequest.State.UNCLAIMED
          && request.isPartOf(session, queue, (int) tag, operation, offsetBytes, lengthBytes)) {
        return request;
      }
    }
    return null;
  }

  private void send(final NvmeRequest request) {
    request.prepare(journal.entry());
    give(request);
  }

  private void give(final NvmeRequest request) {
    journal.submit(request.slot());
    if (request.isBounced()) {
      count(Counter.BOUNCED, 1);
    }
  }

  /**
   * Sends the next command of a request, unless an error is made up in its place: then all is as if
   * the device had said so. {@link BlockChannel#PENDING}, or how the request ended.
   */
  private int sendOrEnd(final NvmeRequest request) {
    request.prepare(journal.entry());
    while (InjectedErrors.mayBe(segment.address())) {
      final int status = InjectedErrors.take(segment.address(), request.opcode(), false);
      if (status == Status.SUCCESS) {
        break;
      }
      // Again as often as retries are allowed.
      final int result = onStatus(request, status);
      if (result != PENDING) {
        return result;
      }
      request.prepare(journal.entry());
    }
    give(request);
    return PENDING;
  }

  private void free(final NvmeRequest request) {
    request.state = NvmeRequest.State.FREE;
    freeSlots[freeCount++] = request.slot();
  }

  /** From the first call on the queue pair is the calling thread's. False when it is closed. */
  private boolean own() {
    if (!isOwned && !isGone) {
      isOwned = isTaken.compareAndSet(false, true);
      isGone = !isOwned;
    }
    return isOwned && !isGone;
  }

  /** Rings, then takes at most {@code limit} completions; how many requests ended. */
  int poll(final ReactorIo.Listener listener, final int limit) {
    if (!own()) {
      return 0;
    }
    if (bdev.isClosed()) {
      isGone = true;
      isRunning = false;
      segment.close();
      return 0;
    }
    if (!look()) {
      return 0;
    }
    journal.ring();
    int ends = 0;
    for (int i = 0; i < limit; i++) {
      final int completion = journal.peek();
      if (completion == DeviceQueueJournal.NONE) {
        break;
      }
      final NvmeRequest request = check(completion);
      if (request == null) {
        return ends;
      }
      ends += end(request, CompletionEntry.status(completion), listener);
    }
    journal.release();
    journal.ring();
    return ends;
  }

  /**
   * The request that a completion is for; null, and the queue pair is given up, if there is none.
   */
  private NvmeRequest check(final int completion) {
    final int id = CompletionEntry.commandId(completion);
    if (!journal.isOfQueue(geometry.queueId())) {
      count(Counter.UNKNOWN_COMPLETIONS, 1);
      fail(DeviceQueueFault.WRONG_QUEUE_ID);
      return null;
    }
    if (id >= requests.length || requests[id].state == NvmeRequest.State.FREE) {
      count(Counter.UNKNOWN_COMPLETIONS, 1);
      fail(DeviceQueueFault.UNKNOWN_COMMAND_ID);
      return null;
    }
    return requests[id];
  }

  private int end(final NvmeRequest request, final int status, final ReactorIo.Listener listener) {
    journal.reap(request.slot());
    if (request.state == NvmeRequest.State.UNCLAIMED) {
      // Its request was not asked for yet; it will run again, and nothing can overtake it.
      unclaimedCount--;
      free(request);
      return 0;
    }
    int result = onStatus(request, injected(request, status));
    if (result == PENDING) {
      result = sendOrEnd(request);
    }
    if (result == PENDING) {
      return 0;
    }
    final long tag = request.tag();
    activeCount--;
    free(request);
    listener.onIoEnd(tag, result);
    return 1;
  }

  /** The status of a command, or the error that is made up where the device had none. */
  private int injected(final NvmeRequest request, final int status) {
    return Status.typeAndCode(status) == Status.SUCCESS && InjectedErrors.mayBe(segment.address())
        ? InjectedErrors.take(segment.address(), request.opcode(), true)
        : status;
  }

  private int onStatus(final NvmeRequest request, final int status) {
    final int end = NvmeEnd.of(status);
    count(end, status);
    final int result = request.onEnd(end, end == NvmeEnd.AGAIN ? retriesMax() : 0);
    if (end == NvmeEnd.AGAIN && result != PENDING) {
      count(Counter.OTHER_ERRORS, 1);
    }
    return result;
  }

  private int retriesMax() {
    final int told = Mem.getIntAcquire(segment.address() + DeviceQueueSegment.RETRIES_OFFSET);
    return told == 0 ? NvmeRequest.RETRIES_MAX : told - 1;
  }

  private void count(final int end, final int status) {
    if (end == DONE) {
      count(Counter.COMPLETIONS, 1);
    } else if (end == NvmeEnd.AGAIN) {
      count(Counter.RETRIES, 1);
    } else {
      count(NvmeEnd.isMedia(status) ? Counter.MEDIA_ERRORS : Counter.OTHER_ERRORS, 1);
    }
  }

  /** Requests that did not end yet, those of a predecessor included. */
  int inFlightCount() {
    return isGone ? 0 : isRecovering ? 1 : activeCount + unclaimedCount;
  }

  /** As {@link ReactorIo#recover}: what runs is drained, and whoever submitted it does so again. */
  void recover() {
    mustAdopt = true;
    isRecovering = true;
    isRunning = false;
  }

  /** Whether the disk is closed and the reactor has let go. */
  boolean isGone() {
    return isGone;
  }

  /** Closes the segment unless the reactor has it, which closes it with its next poll then. */
  void close() {
    if (isTaken.compareAndSet(false, true)) {
      segment.close();
    }
  }

  @Override
  public long lengthBytes() {
    return bdev.lengthBytes();
  }

  @Override
  public int blockBytes() {
    return geometry.blockBytes();
  }
}
