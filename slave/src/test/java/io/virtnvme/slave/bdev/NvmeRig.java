package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.soft.SoftNvmeDevice;
import io.virtnvme.ipc.nvme.soft.SoftOptions;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * A device in software, its queue pair as the master would make it, guest memory, and one life
 * after another of the slave that drives it.
 */
final class NvmeRig implements NvmeController, ReactorIo.Listener, AutoCloseable {
  static final int BLOCK_BYTES = 512;
  static final int FIRST_BLOCK = 64;
  static final int BLOCK_COUNT = 4096;
  static final int QUEUE_ID = 2;
  static final long SESSION = 77;
  static final int RING_SLOT = 3;
  static final int GUEST_BYTES = 4 << 20;
  static final int PAGE = 4096;

  private static final long QUEUE_IOVA = 0x1000_0000L;
  private static final long GUEST_IOVA = 0x8000_0000L;
  private static final int STEPS_MAX = 10_000;

  final SoftNvmeDevice device;
  final DmaTable dma = new DmaTable();
  final DeviceQueueSegment queue;
  final Map<Integer, Integer> ends = new HashMap<>();
  final long guest;
  NvmeBdev bdev;
  UringReactorIo io;
  BlockChannel channel;

  private final SegmentDirectory directory;
  private final BdevDescription description;
  private final long guestAllocation;
  private final long iovecs = Mem.allocate(1024L * Iovecs.ENTRY_LENGTH);
  private int iovecPlace;

  NvmeRig(final Path folder, final SoftOptions options, final int features, final int slots) {
    device = new SoftNvmeDevice(options);
    directory = BdevHarness.segments(folder);
    description =
        new BdevDescription(
            "Nvme0n1", BdevDescription.Kind.NVME, BLOCK_BYTES, BLOCK_COUNT, "Nvme0", false, "s");
    queue =
        DeviceQueueSegment.create(
            directory,
            "Nvme0n1",
            0,
            new DeviceQueueGeometry(
                slots + 1,
                slots,
                QUEUE_ID,
                1,
                QUEUE_IOVA,
                FIRST_BLOCK,
                BLOCK_COUNT,
                BLOCK_BYTES,
                128 * 1024,
                features));
    guestAllocation = Mem.allocate(GUEST_BYTES + PAGE);
    guest = (guestAllocation + PAGE - 1) & -PAGE;
    device.map(queue.address(), QUEUE_IOVA, queue.lengthBytes());
    device.map(guest, GUEST_IOVA, GUEST_BYTES);
    dma.add(guest, GUEST_BYTES, GUEST_IOVA);
    createQueues();
    live();
  }

  /** All features, 16 slots. */
  static NvmeRig of(final Path folder) {
    return new NvmeRig(folder, SoftOptions.small(), 7, 16);
  }

  /** As the master does after a reset. */
  void createQueues() {
    queue.clearCompletions();
    device.createQueuePair(QUEUE_ID, queue.sqIova(), queue.cqIova(), queue.geometry().entryCount());
    queue.openGate(true);
  }

  /** A new slave. The one before, if there was one, is dead: nothing of it is closed. */
  void live() {
    bdev = (NvmeBdev) Bdevs.open(description, directory, name -> this);
    io = new UringReactorIo();
    channel = bdev.channel(io);
    channel.bind(RING_SLOT, SESSION, 1);
  }

  @Override
  public long sqTailAddress(final int queueId) {
    return device.sqTailAddress(queueId);
  }

  @Override
  public long cqHeadAddress(final int queueId) {
    return device.cqHeadAddress(queueId);
  }

  @Override
  public DmaMap dma() {
    return dma;
  }

  @Override
  public void onIoEnd(final long tag, final int result) {
    if (tag >>> 32 != RING_SLOT || ends.put((int) tag, result) != null) {
      throw new AssertionError("ended twice, or never begun: " + tag);
    }
  }

  static long tag(final int slot) {
    return (long) RING_SLOT << 32 | slot;
  }

  /** Iovecs over guest memory: offset and length of each. */
  long iovecs(final long... parts) {
    if (iovecPlace + parts.length / 2 > 1024) {
      iovecPlace = 0;
    }
    final long first = Iovecs.at(iovecs, iovecPlace);
    for (int i = 0; i < parts.length; i += 2) {
      Iovecs.put(Iovecs.at(iovecs, iovecPlace++), guest + parts[i], parts[i + 1]);
    }
    return first;
  }

  int submit(
      final int operation,
      final int slot,
      final long offsetBytes,
      final int flags,
      final long... parts) {
    long length = 0;
    for (int i = 1; i < parts.length; i += 2) {
      length += parts[i];
    }
    return channel.submit(
        operation, iovecs(parts), parts.length / 2, offsetBytes, length, flags, tag(slot));
  }

  /** One duty cycle of the reactor, then one of the device. */
  void cycle() {
    io.poll(this, 64);
    device.step();
  }

  /** Polls until the request has ended; how. */
  int await(final int slot) {
    for (int i = 0; i < STEPS_MAX; i++) {
      if (ends.containsKey(slot)) {
        return ends.remove(slot);
      }
      cycle();
    }
    throw new AssertionError("no end of the request in slot " + slot);
  }

  int run(final int operation, final long offsetBytes, final int flags, final long... parts) {
    final int started = submit(operation, 0, offsetBytes, flags, parts);
    return started == BlockChannel.PENDING ? await(0) : started;
  }

  void fill(final long offset, final byte[] content) {
    Mem.copyIn(content, 0, guest + offset, content.length);
  }

  byte[] guestBytes(final long offset, final int lengthBytes) {
    final byte[] content = new byte[lengthBytes];
    Mem.copyOut(guest + offset, content, 0, lengthBytes);
    return content;
  }

  /** The disk's bytes on the medium. */
  byte[] medium(final int offsetBytes, final int lengthBytes) {
    final int start = FIRST_BLOCK * BLOCK_BYTES + offsetBytes;
    return java.util.Arrays.copyOfRange(device.blocks(), start, start + lengthBytes);
  }

  long counter(final DeviceQueueSegment.Counter counter) {
    return queue.counter(counter);
  }

  @Override
  public void close() {
    io.close();
    bdev.close();
    device.close();
    queue.close();
    Mem.free(guestAllocation);
    Mem.free(iovecs);
  }
}
