/**
 * JSON-RPC 2.0 on a Unix socket in SPDK's wire form, and the {@link
 * io.virtnvme.master.rpc.ControlPlane} that its methods act on.
 *
 * <p>One thread of its own runs the server; handlers may answer later from any thread.
 */
package io.virtnvme.master.rpc;
