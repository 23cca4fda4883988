package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.virtio.VirtioFeature;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** Random request mixes on every kind of ring: each request ends once, with the right bytes. */
class RandomRequestsTest {
  private static final int STEPS = 400;

  @Property(tries = 300)
  void shouldAnswerEveryRequestOnce(
      @ForAll final long seed,
      @ForAll final boolean packed,
      @ForAll final boolean indirect,
      @ForAll final boolean eventIndex,
      @ForAll @IntRange(min = 0, max = 6) final int room,
      @ForAll @IntRange(min = 2, max = 6) final int queueSizeLog2) {
    final TestDisk disk = new TestDisk(Workload.DISK_BYTES, 512);
    if (room > 0) {
      disk.asynchronous(room);
    }
    final long features =
        (indirect ? VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC) : 0)
            | (eventIndex ? VirtioFeature.of(VirtioFeature.RING_EVENT_IDX) : 0);
    // Packed rings need no power of two.
    final int queueSize = (1 << queueSizeLog2) - (packed && seed % 2 == 0 ? 1 : 0);
    try (Rig rig = Rig.started(packed, queueSize, features, disk)) {
      final Workload workload = new Workload(rig, new Random(seed));
      for (int i = 0; i < STEPS; i++) {
        workload.step(Runnable::run);
      }
      workload.drain();
    }
  }
}
