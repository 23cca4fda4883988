package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.IoUring;
import io.virtnvme.ipc.sys.SysException;
import java.util.Arrays;

/**
 * The I/O of one reactor: one io_uring for all its files and disks, and the slices of long work on
 * memory disks. The ring is made with the first channel that needs one, on any thread; the thread
 * that submits the first request owns it from then on.
 */
public final class UringReactorIo implements ReactorIo {
  /** Submissions between two polls; more are sent at once, or wait for the next poll. */
  private static final int RING_ENTRIES = 512;

  /** More ends than this wait in the kernel's overflow list, none is lost (FEAT_NODROP). */
  private static final int COMPLETION_ENTRIES = 4096;

  private final ZeroFills zeroFills = new ZeroFills();
  private final EventFd wakeSignal = new EventFd();
  private int wakeFd = -1;
  private IoUring ring;
  private boolean enabled;
  private BouncePool bouncePool;
  private UringChannel[] channels = new UringChannel[0];

  /**
   * {@link UringChannel#REQUEST_COUNT} of each channel, at its place; the index is the user data.
   */
  private UringRequest[] requests = new UringRequest[0];

  private UringRequest waitingHead;
  private UringRequest waitingTail;
  private int inFlightCount;
  private boolean recovering;

  /** Which queue pair of an NVMe disk is this reactor's. */
  private int reactorIndex;

  private NvmeChannel[] nvmeChannels = new NvmeChannel[0];

  @Override
  public void reactorIndex(final int index) {
    reactorIndex = index;
  }

  /**
   * Tries what we need of io_uring. Null when it is there, else a sentence that says what is
   * missing. Any thread, at start.
   */
  public static String probe() {
    try (IoUring probed = new IoUring(2, 4)) {
      // An opcode that the kernel does not know is EINVAL; a known one gets as far as the
      // descriptor.
      probed.prepare(IoUring.OP_READ, -1, 0, 0, 0, 0, 0, 0);
      final int taken = probed.submitAndReap(1);
      final long completion = probed.peek();
      if (taken != 1 || completion == 0 || IoUring.result(completion) != -Errno.EBADF) {
        return "io_uring of this kernel is too old: Linux 5.6 or newer is needed, 6.1 or newer is"
            + " fast";
      }
      return null;
    } catch (final SysException e) {
      return switch (e.errno()) {
        case Errno.EPERM, Errno.EACCES ->
            "io_uring is forbidden here: check sysctl kernel.io_uring_disabled and the seccomp"
                + " profile of the container";
        case Errno.ENOSYS -> "this kernel has no io_uring: Linux 5.6 or newer is needed";
        case Errno.ENOMEM -> "no memory for io_uring: raise the memlock limit (ulimit -l)";
        default -> "io_uring does not work here: " + e.getMessage();
      };
    }
  }

  ZeroFills zeroFills() {
    return zeroFills;
  }

  BouncePool bouncePool() {
    return bouncePool;
  }

  /** The channel of a disk; made on the first call for it. */
  UringChannel channel(final UringBdev bdev) {
    for (final UringChannel channel : channels) {
      if (channel.bdev() == bdev) {
        return channel;
      }
    }
    if (ring == null) {
      makeRing();
    }
    final int place = freePlace();
    final int channelCount = Math.max(channels.length, place + 1);
    final UringRequest[] grown = Arrays.copyOf(requests, channelCount * UringChannel.REQUEST_COUNT);
    final UringChannel channel = new UringChannel(bdev, this);
    for (int i = 0; i < UringChannel.REQUEST_COUNT; i++) {
      final int index = place * UringChannel.REQUEST_COUNT + i;
      grown[index] = new UringRequest(channel, index);
      channel.release(grown[index]);
    }
    final UringChannel[] grownChannels = Arrays.copyOf(channels, channelCount);
    grownChannels[place] = channel;
    requests = grown;
    channels = grownChannels;
    return channel;
  }

  /** The channel of an NVMe disk; made on the first call for it. */
  NvmeChannel channel(final NvmeBdev bdev) {
    int place = nvmeChannels.length;
    for (int i = 0; i < nvmeChannels.length; i++) {
      if (nvmeChannels[i].bdev() == bdev) {
        return nvmeChannels[i];
      }
      if (nvmeChannels[i].isGone()) {
        place = i;
      }
    }
    final NvmeChannel channel = bdev.makeChannel(reactorIndex);
    final NvmeChannel[] grown =
        Arrays.copyOf(nvmeChannels, Math.max(nvmeChannels.length, place + 1));
    grown[place] = channel;
    nvmeChannels = grown;
    return channel;
  }

  private int pollNvme(final Listener listener, final int limit) {
    int ends = 0;
    for (final NvmeChannel channel : nvmeChannels) {
      ends += channel.poll(listener, limit - ends);
    }
    return ends;
  }

  private int nvmeInFlightCount() {
    int count = 0;
    for (final NvmeChannel channel : nvmeChannels) {
      count += channel.inFlightCount();
    }
    return count;
  }

  private void makeRing() {
    bouncePool = new BouncePool();
    wakeFd = EventFd.create();
    // Disabled, because a standby prepares its channels on another thread than the one that takes
    // over.
    ring = IoUring.disabled(RING_ENTRIES, COMPLETION_ENTRIES);
    ring.registerEventFd(wakeFd);
    ring.signalEventFd(false);
  }

  /** The place of a channel whose disk is gone, or a new one. */
  private int freePlace() {
    for (int i = 0; i < channels.length; i++) {
      if (channels[i].bdev().isClosed() && channels[i].isIdle()) {
        return i;
      }
    }
    return channels.length;
  }

  int channelCount() {
    return channels.length;
  }

  /** Takes on a request that was begun. */
  void start(final UringRequest request) {
    if (!enabled) {
      ring.enable();
      enabled = true;
    }
    inFlightCount++;
    proceed(request);
  }

  private void proceed(final UringRequest request) {
    if (waitingHead == null && hasRoom()) {
      request.prepare(ring);
      return;
    }
    if (waitingHead == null) {
      waitingHead = request;
    } else {
      waitingTail.next(request);
    }
    waitingTail = request;
  }

  private boolean hasRoom() {
    if (ring.room() > 0) {
      return true;
    }
    check(ring.submit());
    return ring.room() > 0;
  }

  private void proceedWaiting() {
    while (waitingHead != null && hasRoom()) {
      final UringRequest request = waitingHead;
      waitingHead = request.next();
      request.next(null);
      request.prepare(ring);
    }
  }

  private static void check(final int result) {
    if (result < 0 && result != -Errno.EAGAIN && result != -Errno.EBUSY && result != -Errno.EINTR) {
      // The ring belongs to another thread or is closed: a mistake of ours, never of a guest.
      throw new SysException("io_uring_enter", -result);
    }
  }

  @Override
  public int poll(final Listener listener, final int limit) {
    if (recovering) {
      return pollRecovering(listener, limit);
    }
    int ends = zeroFills.count() == 0 ? 0 : zeroFills.step(listener);
    ends += pollNvme(listener, limit - ends);
    if (inFlightCount == 0) {
      return ends;
    }
    if (waitingHead != null) {
      proceedWaiting();
    }
    if (ring.unsubmittedCount() > 0 || ring.needsReap()) {
      check(ring.submitAndReap(0));
    }
    while (ends < limit) {
      final long completion = ring.peek();
      if (completion == 0) {
        break;
      }
      final UringRequest request = requests[(int) IoUring.userData(completion)];
      final int result = IoUring.result(completion);
      ring.advance();
      final int end = request.onCompletion(result);
      if (end == BlockChannel.PENDING) {
        proceed(request);
      } else {
        final long tag = request.tag();
        request.markChanged();
        request.end();
        inFlightCount--;
        ends++;
        listener.onIoEnd(tag, end);
      }
    }
    return ends;
  }

  boolean isRecovering() {
    return recovering;
  }

  @Override
  public void recover() {
    recovering = true;
    waitingHead = null;
    zeroFills.clear();
    for (final NvmeChannel channel : nvmeChannels) {
      channel.recover();
    }
  }

  /**
   * Lets the kernel end what it has. Only ends that need nothing more are reported: every other
   * request is lost, and whoever submitted it submits it again.
   */
  private int pollRecovering(final Listener listener, final int limit) {
    int ends = pollNvme(listener, limit);
    if (enabled && ring.outstandingCount() > 0) {
      if (ring.unsubmittedCount() > 0 || ring.needsReap()) {
        check(ring.submitAndReap(0));
      }
      while (ends < limit) {
        final long completion = ring.peek();
        if (completion == 0) {
          break;
        }
        final UringRequest request = requests[(int) IoUring.userData(completion)];
        final int result = IoUring.result(completion);
        ring.advance();
        // The copy out of a bounce buffer could meet the same fault again.
        final int end = request.mustScatter() ? BlockChannel.PENDING : request.onCompletion(result);
        if (end != BlockChannel.PENDING) {
          ends++;
          request.markChanged();
          listener.onIoEnd(request.tag(), end);
        }
      }
    }
    if (!enabled || ring.outstandingCount() == 0) {
      reset();
    }
    return ends;
  }

  /** Nothing is in the kernel: whatever the counters say, everything is free. */
  private void reset() {
    if (ring != null) {
      bouncePool.reset();
      for (final UringChannel channel : channels) {
        channel.reset();
      }
      for (final UringRequest request : requests) {
        request.reset();
      }
    }
    waitingHead = null;
    inFlightCount = 0;
    recovering = false;
  }

  @Override
  public int inFlightCount() {
    return recovering ? 1 : inFlightCount + zeroFills.count() + nvmeInFlightCount();
  }

  @Override
  public boolean armWakeUp() {
    // The device's interrupts are off: whoever waits for it polls.
    if (zeroFills.count() > 0 || waitingHead != null || nvmeInFlightCount() > 0) {
      return true;
    }
    if (!enabled || ring.outstandingCount() == 0) {
      return recovering;
    }
    ring.signalEventFd(true);
    return ring.unsubmittedCount() > 0 || ring.needsReap() || ring.peek() != 0;
  }

  @Override
  public void disarmWakeUp() {
    if (enabled && ring.outstandingCount() > 0) {
      ring.signalEventFd(false);
      wakeSignal.drain(wakeFd);
    }
  }

  @Override
  public int fd() {
    return wakeFd;
  }

  /**
   * Closes the ring. With requests still in flight the kernel goes on with them, so their bounce
   * buffers are not given back to the allocator.
   */
  @Override
  public void close() {
    if (ring != null) {
      ring.close();
      Fds.close(wakeFd);
      if (inFlightCount == 0) {
        bouncePool.close();
      }
    }
    wakeSignal.free();
  }
}
