package io.virtnvme.tools.pair;

import java.nio.file.Path;

/**
 * What a {@link TemporaryPair} is made of.
 *
 * @param slaveCore core of the slave's reactor
 * @param standbyCount warm standbys
 * @param kind of disk
 * @param blockCount length of the disk in blocks of {@link #BLOCK_BYTES}; of a file that is named,
 *     its own length counts instead
 * @param file behind a {@link Kind#URING} disk; null for one made in the run directory
 * @param packed offer packed rings
 * @param frontEnd what a guest sees of it
 */
public record PairSettings(
    int slaveCore,
    int standbyCount,
    Kind kind,
    int blockCount,
    Path file,
    boolean packed,
    FrontEnd frontEnd) {
  /** Kinds of disk. */
  public enum Kind {
    /** Completes at once and moves no byte. */
    NULL,
    /** In memory. */
    MEM,
    /** A file or block device. */
    URING
  }

  /** Block length of the disk, except of a file that is named. */
  public static final int BLOCK_BYTES = 4096;
}
