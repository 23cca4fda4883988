package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Errno;
import java.util.function.Function;

/** Opens block devices from their description. Control thread. */
public final class Bdevs {
  private static final int BLOCK_BYTES_MIN = 512;
  private static final int BLOCK_BYTES_MAX = 4096;

  private Bdevs() {}

  /**
   * Opens a device without touching its content or its lock.
   *
   * @param description its block count may be 0 for {@link BdevDescription.Kind#URING}: as many
   *     blocks as the file has
   * @param directory where the segments of memory disks and queue pairs are
   * @throws BdevException with a sentence for the operator
   */
  public static Bdev open(final BdevDescription description, final SegmentDirectory directory) {
    return open(description, directory, name -> null);
  }

  /**
   * The same for a process that may drive NVMe devices.
   *
   * @param controllers by name, null for one that is not known
   */
  public static Bdev open(
      final BdevDescription description,
      final SegmentDirectory directory,
      final Function<String, NvmeController> controllers) {
    check(description);
    return switch (description.kind()) {
      case MEM -> MemBdev.open(description, directory);
      case URING -> UringBdev.open(description);
      case NULL -> new NullBdev(description);
      case NVME -> openNvme(description, directory, controllers.apply(description.path()));
    };
  }

  private static Bdev openNvme(
      final BdevDescription description,
      final SegmentDirectory directory,
      final NvmeController controller) {
    if (controller == null) {
      throw new BdevException(
          description.name(),
          "its NVMe controller is not attached: " + description.path(),
          Errno.ENODEV);
    }
    return NvmeBdev.open(description, directory, controller);
  }

  private static void check(final BdevDescription description) {
    final int blockBytes = description.blockBytes();
    if (blockBytes < BLOCK_BYTES_MIN
        || blockBytes > BLOCK_BYTES_MAX
        || Integer.bitCount(blockBytes) != 1) {
      throw new BdevException(
          description.name(), "block size must be 512 or 4096: " + blockBytes, Errno.EINVAL);
    }
    if (description.blockCount() < 0 || description.blockCount() > Long.MAX_VALUE / blockBytes) {
      throw new BdevException(
          description.name(),
          "block count out of range: " + description.blockCount(),
          Errno.EINVAL);
    }
  }
}
