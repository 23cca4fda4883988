package io.virtnvme.master.rpc;

import io.virtnvme.master.nvme.HealthLog;
import io.virtnvme.master.nvme.LogRequest;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

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

  /**
   * Makes several bdevs of the blocks of a namespace, which cannot be used itself meanwhile. Fails
   * with ENODEV when there is no such bdev, ENOTSUP for one that is no namespace, EBUSY when it is
   * in use or its controller does not serve, EINVAL when it is too small, ENOSPC when the
   * controller grants too few queue pairs.
   *
   * @param count of the parts, at least 1
   * @param sizeMib of each; 0 for as much as fits
   * @return the controller as it is then
   */
  CompletionStage<NvmeControllerSpec> split(String base, int count, long sizeMib);

  /**
   * Makes a namespace whole again. Fails with ENODEV, ENOENT when it is not split, EBUSY while a
   * part is used or the controller takes no commands. Ends when the controller has deleted the
   * parts' queue pairs, or was reset or detached.
   *
   * @param record called when the parts are bdevs no more, before any other change
   */
  CompletionStage<Void> unsplit(String base, Supplier<CompletionStage<Void>> record);

  /**
   * What holds for all controllers from now on.
   *
   * @param change makes it of what holds before; what it throws is the failure
   * @return what holds now
   */
  CompletionStage<NvmeSettings> settings(UnaryOperator<NvmeSettings> change);

  /** What holds for all controllers. */
  NvmeSettings settings();

  /**
   * Makes up errors of I/O commands, instead of those that were asked for the same opcode before.
   * Fails with ENODEV, EBUSY when nothing is served, ENOSPC.
   */
  CompletionStage<Void> inject(String name, NvmeErrorRule rule);

  /** Makes up none any more for an opcode. Fails with ENODEV, EBUSY. */
  CompletionStage<Void> endInjection(String name, int opcode);

  /** A part of a log page, fresh. Fails as {@link #health}, ENOTSUP, or EIO when it refuses. */
  CompletionStage<byte[]> logPage(String name, LogRequest request);

  /** Health of the controller, fresh. Fails with ENODEV, or EBUSY when it takes no commands. */
  CompletionStage<HealthLog> health(String name);

  /** The 4096 bytes of Identify Controller, fresh. Fails as {@link #health}. */
  CompletionStage<byte[]> identify(String name);

  /** All controllers in the order in which they were attached; a snapshot. */
  List<NvmeControllerInfo> controllers();
}
