package io.virtnvme.master.rpc;

/**
 * Where front-ends of a subsystem connect.
 *
 * @param traddr absolute path of a directory; the socket in it is {@code cntrl}
 * @param trsvcid as it was given; means nothing for this transport
 */
public record NvmfListenerSpec(String traddr, String trsvcid) {}
