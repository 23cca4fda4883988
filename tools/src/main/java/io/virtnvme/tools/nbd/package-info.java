/**
 * The NBD protocol: a server that lets clients read, and a client that writes. {@link
 * io.virtnvme.tools.nbd.NbdServer} accepts on one thread and serves each client on its own, {@link
 * io.virtnvme.tools.nbd.NbdClient} belongs to its caller's.
 */
package io.virtnvme.tools.nbd;
