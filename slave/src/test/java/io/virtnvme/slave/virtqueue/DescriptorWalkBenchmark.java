package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.AvailRing;
import io.virtnvme.slave.benchmark.BlkGuest;
import io.virtnvme.slave.benchmark.DataPathBenchmark;
import io.virtnvme.slave.benchmark.HeldDisk;
import io.virtnvme.slave.blk.BlkTask;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The walk along the three descriptors of a read: each is loaded, its address translated, and its
 * buffer noted in the request's task.
 */
public class DescriptorWalkBenchmark extends DataPathBenchmark {
  private static final int OPERATIONS = 64;

  /** Whether they lie in an indirect table. */
  @Param({"false", "true"})
  public boolean indirect;

  private final int[] heads = new int[OPERATIONS];
  private final HeldDisk disk = new HeldDisk();
  private BlkGuest guest;
  private VirtqueueAgent agent;

  /** Puts requests into the ring, and takes none. */
  @Setup
  public void open() {
    guest = new BlkGuest(false, indirect);
    final QueueSetup setup = guest.setup(disk);
    agent = VirtqueueAgent.create(setup, disk, disk.limits().gate(this), 0);
    for (int i = 0; i < OPERATIONS; i++) {
      guest.add(i);
    }
    guest.publish();
    for (int i = 0; i < OPERATIONS; i++) {
      heads[i] =
          Mem.getUnsignedShort(
              setup.availAddress() + AvailRing.RING_OFFSET + (long) i * AvailRing.ENTRY_LENGTH);
    }
  }

  /** Ends everything. */
  @TearDown
  public void close() {
    agent.free();
    guest.close();
  }

  /** The walk. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long walk() {
    long bytes = 0;
    for (final int head : heads) {
      final BlkTask task = agent.tasks.task(head);
      agent.tasks.takeBlock(task);
      task.begin(agent.tasks.blockAddress(task), 0, 0);
      agent.chain.begin(task);
      if (!agent.readChain(task) || !agent.chain.findStatus()) {
        throw new IllegalStateException("bad chain: head=" + head);
      }
      bytes += task.dataBytes();
      agent.tasks.releaseBlock(task);
    }
    return bytes;
  }
}
