package io.virtnvme.tools.migrate;

/**
 * What the operator wants of a migration.
 *
 * @param to the destination, as it was named
 * @param bytesPerSecond to be sent at most, 0 for any
 * @param maxBlackoutMs how long writes may be held back
 * @param verify the destination reads again what it has written
 * @param findDuplicates chunks that are equal to others are sent as that
 * @param throttle guests are slowed down when the rest does not become less
 * @param handOver the disk is the destination's afterwards; otherwise it gets a copy
 */
record SourceSettings(
    String to,
    long bytesPerSecond,
    int maxBlackoutMs,
    boolean verify,
    boolean findDuplicates,
    boolean throttle,
    boolean handOver) {}
