package io.virtnvme.master.rpc;

/**
 * The master process.
 *
 * @param pid process id
 * @param instanceId instance whose segments it owns
 * @param runDir absolute path of the run directory
 * @param version build
 * @param startedAtMs wall clock, milliseconds since the epoch
 * @param adopted whether it found living slaves of a predecessor and adopted them
 * @param upgradeFailure why another build did not become the master; empty when none was tried
 */
public record MasterInfo(
    long pid,
    String instanceId,
    String runDir,
    String version,
    long startedAtMs,
    boolean adopted,
    String upgradeFailure) {}
