package io.virtnvme.slave.session;

/**
 * A piece of a file that is mapped whole: the dirty log.
 *
 * @param lengthBytes its length
 * @param fileOffsetBytes where it begins in its file
 */
record AreaState(long lengthBytes, long fileOffsetBytes) {}
