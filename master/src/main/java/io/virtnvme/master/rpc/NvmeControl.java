package io.virtnvme.master.rpc;

import io.virtnvme.master.nvme.HealthLog;
import java.util.List;
import java.util.concurrent.CompletionStage;

/**
 * What the {@code bdev_nvme_*} methods can ask of the running pair; the same rules as for {@link
 * ControlPlane}. What waits for a device answers late and holds up nothing else.
 */
public interface NvmeControl {
  /**
   * Takes a device from the kernel, brings its controller up, and makes a bdev of each namespace
   * that can be one.
   *
   * <p>Fails with EEXIST when the name or the device is taken, ENODEV when there is no such device,
   * EBUSY when it is in use or shares its IOMMU group, ENOTSUP without IOMMU, EACCES without
   * permission, EIO or ETIMEDOUT when it does not work.
   */
  CompletionStage<NvmeControllerInfo> attach(NvmeControllerSpec spec);

  /** Gives the device back. Fails with ENODEV, or EBUSY while one of its bdevs is used. */
  CompletionStage<Void> detach(String name);

  /**
   * Resets the controller under the bdevs; what guests have asked for runs again. Fails with
   * ENODEV, EBUSY while it is busy with something else, EIO or ETIMEDOUT when it does not come
   * back.
   */
  CompletionStage<Void> reset(String name);

  /** Health of the controller, fresh. Fails with ENODEV, or EBUSY when it takes no commands. */
  CompletionStage<HealthLog> health(String name);

  /** The 4096 bytes of Identify Controller, fresh. Fails as {@link #health}. */
  CompletionStage<byte[]> identify(String name);

  /** All controllers in the order in which they were attached; a snapshot. */
  List<NvmeControllerInfo> controllers();
}
