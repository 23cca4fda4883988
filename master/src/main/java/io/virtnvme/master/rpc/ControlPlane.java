package io.virtnvme.master.rpc;

import io.virtnvme.ipc.relay.BdevLimits;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;

/**
 * What the RPC methods can ask of the running pair; the supervisor implements it.
 *
 * <p>Every method may be called from the RPC thread and must not block it: lists are snapshots that
 * can be taken at any moment, changes answer through a stage. A stage fails with {@link
 * RpcException} (code and a sentence that says what to do); any other failure is reported as an
 * internal error. Stages complete in the order in which the changes took effect, on one thread, so
 * that the registry records them in that order. Arguments have been checked for form (ranges, name
 * syntax, unknown parameters), not against the present state: whether a name is taken is decided
 * here.
 */
public interface ControlPlane {
  /**
   * Makes a bdev that stays until it is deleted.
   *
   * <p>Fails with EEXIST when the name is taken, ENOENT or EACCES for the file, EBUSY when another
   * process holds the file's lock, EINVAL when the length is no multiple of the block size, ENOSPC
   * when tmpfs has no room.
   *
   * @return the bdev as it was made, with the block size and length found in the file
   */
  CompletionStage<BdevInfo> createBdev(BdevSpec spec);

  /**
   * Deletes a bdev. Fails with ENODEV when there is none of that name and kind, EBUSY when a
   * controller exports it.
   */
  CompletionStage<Void> deleteBdev(String name, BdevKind kind);

  /**
   * Sets the length of a {@code MEM} or {@code NULL} bdev, or reads a file's length again.
   *
   * <p>Fails with ENODEV when there is none of that name and kind, EINVAL for a length that the
   * bdev cannot take (shrinking below what a front-end was told, not a whole number of blocks).
   *
   * @param numBlocks new length in blocks; 0 for a {@code URING} bdev: take the file's length
   * @return the bdev with its new length
   */
  CompletionStage<BdevInfo> resizeBdev(String name, BdevKind kind, long numBlocks);

  /**
   * Sets how much of a bdev guests may use, in effect when this answers. Fails with ENODEV when
   * there is none of that name.
   */
  CompletionStage<Void> setLimits(String name, BdevLimits limits);

  /**
   * Limits how much of a bdev may be used for a moment, beside {@link #setLimits}: the lower limits
   * count. Takes the place of what was said before, and is not on record. Fails with ENODEV.
   *
   * @param limits {@link BdevLimits#NONE} ends it
   * @param limitMs when it ends by itself, 1 to 60000
   */
  CompletionStage<Void> throttle(String name, BdevLimits limits, int limitMs);

  /**
   * Marks the changes of a bdev from now on: of each that ends after this has answered. Fails with
   * ENODEV when there is none of that name, EEXIST when they are marked already, ENOTSUP when it
   * has no content, ENOSPC.
   *
   * @param grainShift a bit stands for 1 &lt;&lt; this, bytes
   * @return the segment with the marks
   */
  CompletionStage<Path> startDirtyTracking(String name, int grainShift);

  /** Marks them no more. Fails with ENODEV when there is no such bdev, ENOENT when it is off. */
  CompletionStage<Void> stopDirtyTracking(String name);

  /**
   * Has everybody wait who may change a bdev: guests, and secondaries that may write. Answers when
   * none of their requests runs any more. The hold ends by itself after the time, whoever has died
   * by then. Fails with ENODEV, EBUSY when there is a hold already or the bdev belongs to another
   * host, ENOTSUP when it cannot be held alone, ETIMEDOUT when requests ran for longer than the
   * time, EAGAIN when its slave died meanwhile.
   *
   * @param limitMs 1 to 10000
   * @return the number of the hold
   */
  CompletionStage<Long> holdBdev(String name, int limitMs);

  /** Ends a hold. Fails with ENODEV, ENOENT when it has ended. */
  CompletionStage<Void> releaseBdev(String name, long hold);

  /**
   * Says where a bdev stands between two hosts; the same again is no error. In effect when this
   * answers, except that the guests of a bdev that is {@code OWNED} wait on: see {@link #serve}.
   * Fails as {@link #holdBdev} does, with EBUSY when the bdev is in a state that has to be cleared
   * first, ETIMEDOUT when the hold has ended.
   *
   * @param hold what keeps the bdev as it was copied, while it becomes {@code MOVED}; 0: no matter
   */
  CompletionStage<Void> setMigration(String name, BdevMigration migration, long hold);

  /** Lets guests use a bdev that is {@code OWNED}, which is on record by now. */
  CompletionStage<Void> serve(String name);

  /** All bdevs in the order of their creation. */
  List<BdevInfo> bdevs();

  /**
   * I/O counters.
   *
   * @param names the bdevs asked for; empty for all
   * @return one entry per bdev in the order asked; fails with ENODEV when a name is unknown
   */
  CompletionStage<List<IoStat>> ioStats(List<String> names);

  /**
   * Makes a vhost-user-blk controller that listens on {@code DIR/vhost/<ctrlr>}.
   *
   * <p>Fails with EEXIST when the name is taken, ENODEV when the bdev does not exist, EINVAL when
   * no seat has a core of the mask.
   */
  CompletionStage<ControllerInfo> createBlkController(BlkControllerSpec spec);

  /**
   * Deletes a controller and its socket. Fails with ENODEV when it does not exist, EBUSY while a
   * front-end is connected.
   */
  CompletionStage<Void> deleteController(String ctrlr);

  /** All controllers in the order of their creation. */
  List<ControllerInfo> controllers();

  /** NVMe subsystems. */
  NvmfControl nvmf();

  /** NVMe devices. */
  NvmeControl nvme();

  /** Every slave process that the master knows, standbys included. */
  List<SlaveInfo> slaves();

  /** Takeovers since this master started, oldest first; bounded, so the oldest fall out. */
  List<RecoveryInfo> recoveries();

  /**
   * Starts a slave for a seat that was given up on, with a fresh count of attempts. Fails with
   * EINVAL when there is no such seat, EBUSY when it has a living slave.
   */
  CompletionStage<Void> startSlave(int seat);

  /**
   * Moves everything that runs to slaves of another build, under load. Answers when that is done.
   * Fails with EBUSY while another upgrade is under way; with ENOTSUP when a format of the other
   * build does not fit, EIO or ETIMEDOUT when it failed otherwise: the message says whether
   * anything had been moved, and was moved back.
   */
  CompletionStage<UpgradeInfo> upgradeSlaves(UpgradeSpec spec);

  /** The master itself. */
  MasterInfo master();

  /** Event counters by name, for {@code virtnvme_get_status}. */
  Map<String, Long> counters();
}
