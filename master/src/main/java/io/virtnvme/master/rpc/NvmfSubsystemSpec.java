package io.virtnvme.master.rpc;

/**
 * An NVMe subsystem as it was asked for.
 *
 * @param nqn NVMe qualified name
 * @param serialNumber at most 20 printable ASCII characters
 * @param modelNumber at most 40 printable ASCII characters
 * @param maxNamespaces highest namespace id that may be used
 * @param allowAnyHost front-ends may connect
 * @param minCntlid smallest controller id
 * @param maxCntlid largest controller id
 */
public record NvmfSubsystemSpec(
    String nqn,
    String serialNumber,
    String modelNumber,
    int maxNamespaces,
    boolean allowAnyHost,
    int minCntlid,
    int maxCntlid) {
  /** The same subsystem with its door open or closed. */
  public NvmfSubsystemSpec withAllowAnyHost(final boolean allow) {
    return new NvmfSubsystemSpec(
        nqn, serialNumber, modelNumber, maxNamespaces, allow, minCntlid, maxCntlid);
  }
}
