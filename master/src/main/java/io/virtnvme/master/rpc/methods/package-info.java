/**
 * The RPC methods: SPDK's where the operation is the same, ours with {@code virtnvme_} in front.
 *
 * <p>Handlers run on the RPC thread, check the parameters, ask the control plane, and write a
 * change to the registry before they answer.
 */
package io.virtnvme.master.rpc.methods;
