package io.virtnvme.tools.migrate;

/**
 * What the operator wants of a migration.
 *
 * @param to the destination, as it was named
 * @param bytesPerSecond to be sent at most, 0 for any
 * @param maxBlackoutMs how long writes may be held back
 * @param verify the destination reads again what it has written
 */
record SourceSettings(String to, long bytesPerSecond, int maxBlackoutMs, boolean verify) {}
