package io.virtnvme.master.rpc;

import io.virtnvme.ipc.relay.BdevLimits;
import java.util.UUID;

/**
 * A bdev as it was asked for.
 *
 * @param name 1 to 200 bytes, no slash, no control character, not starting with a dot
 * @param method which create method was called; gives the kind
 * @param uuid as asked for, or made by the RPC method so that it stays the same over restarts
 * @param blockSize bytes, 512 to 65536, a power of two; 0 for a file: what the file or device wants
 * @param numBlocks length in blocks, at least 1; 0 for a file: the file's length
 * @param filename absolute path of the file or device; the controller's name for {@code NVME};
 *     empty for {@code MEM} and {@code NULL}
 * @param readOnly whether writes are refused
 * @param limits how much of it guests may use
 * @param dirtyGrainShift changes are marked with a bit for 1 &lt;&lt; this, bytes; 0: not at all
 * @param migration where it stands between two hosts
 */
public record BdevSpec(
    String name,
    BdevMethod method,
    UUID uuid,
    int blockSize,
    long numBlocks,
    String filename,
    boolean readOnly,
    BdevLimits limits,
    int dirtyGrainShift,
    BdevMigration migration) {
  /** One without limits, whose changes are not marked. */
  public BdevSpec(
      final String name,
      final BdevMethod method,
      final UUID uuid,
      final int blockSize,
      final long numBlocks,
      final String filename,
      final boolean readOnly) {
    this(
        name,
        method,
        uuid,
        blockSize,
        numBlocks,
        filename,
        readOnly,
        BdevLimits.NONE,
        0,
        BdevMigration.NONE);
  }

  /** What holds the data. */
  public BdevKind kind() {
    return method.kind();
  }

  /** The same bdev with another length. */
  public BdevSpec withNumBlocks(final long newNumBlocks) {
    return with(newNumBlocks, limits, dirtyGrainShift, migration);
  }

  /** The same bdev with other limits. */
  public BdevSpec withLimits(final BdevLimits newLimits) {
    return with(numBlocks, newLimits, dirtyGrainShift, migration);
  }

  /** The same bdev, its changes marked in another way. */
  public BdevSpec withDirtyGrainShift(final int newShift) {
    return with(numBlocks, limits, newShift, migration);
  }

  /** The same bdev, standing elsewhere between two hosts. */
  public BdevSpec withMigration(final BdevMigration newMigration) {
    return with(numBlocks, limits, dirtyGrainShift, newMigration);
  }

  private BdevSpec with(
      final long newNumBlocks,
      final BdevLimits newLimits,
      final int newShift,
      final BdevMigration newMigration) {
    return new BdevSpec(
        name,
        method,
        uuid,
        blockSize,
        newNumBlocks,
        filename,
        readOnly,
        newLimits,
        newShift,
        newMigration);
  }
}
