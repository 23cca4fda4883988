package io.virtnvme.tools.load;

import io.virtnvme.ipc.disk.DiskFrontEnd;
import io.virtnvme.ipc.nvme.client.NvmeClient;
import io.virtnvme.ipc.nvme.client.NvmeClientConfig;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEnd;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEndConfig;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.VirtioFeature;

/** Connects the load to a disk of either kind. */
final class FrontEnds {
  /** Rings or queues, of one queue and without data. */
  private static final long QUEUE_BYTES = 1 << 20;

  private static final int PAGE_BYTES = 4096;

  private FrontEnds() {}

  /**
   * Connects and starts every queue.
   *
   * @param queueSize requests that each has room for
   * @param dataBytes memory for data that all queues need
   */
  static DiskFrontEnd connect(
      final LoadSettings settings, final int queueSize, final long dataBytes) {
    return switch (settings.frontEnd()) {
      case BLK ->
          VhostUserFrontEnd.connect(
              new VhostUserFrontEndConfig()
                  .socketPath(settings.socketPath())
                  .queueCount(settings.queueCount())
                  .queueSize(queueSize)
                  .packed(settings.packed())
                  .deviceFeatures(
                      VirtioFeature.of(
                          BlkFeature.FLUSH, BlkFeature.BLK_SIZE, BlkFeature.SEG_MAX, BlkFeature.MQ))
                  .hugePages(settings.hugePages())
                  .memoryBytes(settings.queueCount() * QUEUE_BYTES + dataBytes));
      case NVME ->
          NvmeClient.connect(
              new NvmeClientConfig()
                  .socketPath(settings.socketPath())
                  .queueCount(settings.queueCount())
                  .queueSize(queueSize)
                  .hugePages(settings.hugePages())
                  // A page of PRPs for each request.
                  .memoryBytes(
                      settings.queueCount() * (QUEUE_BYTES + (long) queueSize * PAGE_BYTES)
                          + dataBytes));
      case QPAIR -> throw new IllegalArgumentException("a load is a guest's, not a secondary's");
    };
  }
}
