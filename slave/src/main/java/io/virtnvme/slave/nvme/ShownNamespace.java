package io.virtnvme.slave.nvme;

/**
 * A namespace as the host was last told of it, and its features.
 *
 * @param errorRecovery Error Recovery, as dword 11 of Set Features has it
 */
record ShownNamespace(Namespace namespace, int errorRecovery) {
  int id() {
    return namespace.id();
  }
}
