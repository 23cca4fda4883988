package io.virtnvme.master.rpc;

/**
 * I/O counters of one bdev since it was made; they survive slaves.
 *
 * @param name of the bdev
 * @param bytesRead bytes
 * @param readOps completed reads
 * @param bytesWritten bytes
 * @param writeOps completed writes
 * @param bytesUnmapped bytes discarded or zeroed
 * @param unmapOps completed discards and write-zeroes
 * @param flushOps completed flushes
 * @param errors requests that ended with an error status
 * @param readLatencyNs sum over all reads; 0 when not measured
 * @param writeLatencyNs sum over all writes; 0 when not measured
 * @param unmapLatencyNs sum over all discards; 0 when not measured
 */
public record IoStat(
    String name,
    long bytesRead,
    long readOps,
    long bytesWritten,
    long writeOps,
    long bytesUnmapped,
    long unmapOps,
    long flushOps,
    long errors,
    long readLatencyNs,
    long writeLatencyNs,
    long unmapLatencyNs) {}
