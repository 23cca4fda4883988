package io.virtnvme.tools.load;

import io.virtnvme.tools.pair.FrontEnd;
import java.nio.file.Path;

/**
 * What a load client does.
 *
 * @param frontEnd what the disk is seen as
 * @param socketPath socket of the disk
 * @param progressPath file of {@link LoadProgress}, made by the watcher
 * @param blockCount blocks of 4 KiB that the load uses, all zero at the start
 * @param brokenBlock first block of a part where every request must fail, behind those that the
 *     load uses otherwise; 0 for none
 * @param queueDepth requests kept in flight on each queue
 * @param queueCount queues
 * @param packed packed rings instead of split ones
 * @param memoryMegabytes guest memory that the buffers wander through, at least what they need
 * @param hugePages guest memory on huge pages
 * @param ioBlocksMax longest request, in blocks of 4 KiB
 * @param readPercent share of reads, 0..100
 * @param seed of the order of requests
 * @param salt of the data written; differs from run to run
 * @param core where the polling thread runs, -1 for anywhere
 * @param thinkNs pause after each look that found nothing, and between two bursts; 0 polls
 * @param stallLimitMs time without a completion after which the disk counts as dead
 */
public record LoadSettings(
    FrontEnd frontEnd,
    String socketPath,
    Path progressPath,
    int blockCount,
    int brokenBlock,
    int queueDepth,
    int queueCount,
    boolean packed,
    int memoryMegabytes,
    boolean hugePages,
    int ioBlocksMax,
    int readPercent,
    long seed,
    long salt,
    int core,
    long thinkNs,
    int stallLimitMs) {}
