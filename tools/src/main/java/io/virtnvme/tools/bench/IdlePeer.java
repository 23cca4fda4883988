package io.virtnvme.tools.bench;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Threads;
import io.virtnvme.ipc.virtio.AvailRing;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDescriptor;
import io.virtnvme.ipc.virtio.SplitDescriptor;
import io.virtnvme.ipc.virtio.UsedRing;

/**
 * A device that does nothing: it completes every request at once without looking at it, beyond
 * finding its status byte. What a client reaches against it is the client's own limit. Works on a
 * ring of this process whose guest addresses are host addresses; one thread of its own.
 */
final class IdlePeer {
  private static final int INDEX_MASK = 0xFFFF;
  private static final int BATCH_MAX = 32;

  private final long descriptors;
  private final long driverArea;
  private final long deviceArea;
  private final int queueSize;
  private final Thread thread;
  private volatile boolean stopped;

  private IdlePeer(final DriverQueue queue, final boolean packed, final int core) {
    this.descriptors = queue.descriptorGuestAddress();
    this.driverArea = queue.driverAreaGuestAddress();
    this.deviceArea = queue.deviceAreaGuestAddress();
    this.queueSize = queue.queueSize();
    this.thread = new Thread(() -> run(packed, core), "do-nothing-peer");
    thread.setDaemon(true);
  }

  static IdlePeer start(final DriverQueue queue, final boolean packed, final int core) {
    final IdlePeer peer = new IdlePeer(queue, packed, core);
    peer.thread.start();
    return peer;
  }

  private void run(final boolean packed, final int core) {
    if (core >= 0) {
      Threads.pinTo(core);
    }
    if (packed) {
      servePacked();
    } else {
      serveSplit();
    }
  }

  private void serveSplit() {
    int next = 0;
    while (!stopped) {
      final int pending =
          Mem.getUnsignedShortAcquire(driverArea + AvailRing.INDEX_OFFSET) - next & INDEX_MASK;
      if (pending == 0) {
        Thread.onSpinWait();
        continue;
      }
      for (int i = Math.min(pending, BATCH_MAX); i > 0; i--) {
        final long place = next & queueSize - 1;
        final int head =
            Mem.getUnsignedShort(
                driverArea + AvailRing.RING_OFFSET + place * AvailRing.ENTRY_LENGTH);
        completeSplit(head);
        Mem.putLong(
            deviceArea + UsedRing.RING_OFFSET + place * UsedRing.ELEMENT_LENGTH,
            UsedRing.element(head, BlkRequest.STATUS_LENGTH));
        next = next + 1 & INDEX_MASK;
      }
      Mem.putShortRelease(deviceArea + UsedRing.INDEX_OFFSET, (short) next);
    }
  }

  private void completeSplit(final int head) {
    long table = descriptors;
    long descriptor = descriptors + (long) head * SplitDescriptor.DESCRIPTOR_LENGTH;
    long word = Mem.getLong(descriptor + SplitDescriptor.WORD_OFFSET);
    if ((SplitDescriptor.flags(word) & SplitDescriptor.FLAG_INDIRECT) != 0) {
      table = Mem.getLong(descriptor);
      descriptor = table;
      word = Mem.getLong(descriptor + SplitDescriptor.WORD_OFFSET);
    }
    while ((SplitDescriptor.flags(word) & SplitDescriptor.FLAG_NEXT) != 0) {
      descriptor = table + (long) SplitDescriptor.next(word) * SplitDescriptor.DESCRIPTOR_LENGTH;
      word = Mem.getLong(descriptor + SplitDescriptor.WORD_OFFSET);
    }
    Mem.putByte(Mem.getLong(descriptor), (byte) BlkRequest.STATUS_OK);
  }

  private void servePacked() {
    int index = 0;
    boolean wrap = true;
    while (!stopped) {
      final int first = index;
      final boolean firstWrap = wrap;
      long descriptor = descriptor(index);
      long word = Mem.getLongAcquire(descriptor + PackedDescriptor.WORD_OFFSET);
      if (!PackedDescriptor.isAvailable(PackedDescriptor.flags(word), wrap)) {
        Thread.onSpinWait();
        continue;
      }
      while (true) {
        index++;
        if (index == queueSize) {
          index = 0;
          wrap = !wrap;
        }
        if ((PackedDescriptor.flags(word) & PackedDescriptor.FLAG_NEXT) == 0) {
          break;
        }
        descriptor = descriptor(index);
        word = Mem.getLong(descriptor + PackedDescriptor.WORD_OFFSET);
      }
      long status = Mem.getLong(descriptor);
      if ((PackedDescriptor.flags(word) & PackedDescriptor.FLAG_INDIRECT) != 0) {
        final long last =
            status + PackedDescriptor.length(word) - PackedDescriptor.DESCRIPTOR_LENGTH;
        status = Mem.getLong(last);
      }
      Mem.putByte(status, (byte) BlkRequest.STATUS_OK);
      Mem.putLongRelease(
          descriptor(first) + PackedDescriptor.WORD_OFFSET,
          PackedDescriptor.word(
              BlkRequest.STATUS_LENGTH,
              PackedDescriptor.id(word),
              PackedDescriptor.usedFlags(firstWrap)));
    }
  }

  private long descriptor(final int index) {
    return descriptors + (long) index * PackedDescriptor.DESCRIPTOR_LENGTH;
  }

  /** Returns when the thread touches the ring no more. */
  void close() {
    stopped = true;
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (final InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
