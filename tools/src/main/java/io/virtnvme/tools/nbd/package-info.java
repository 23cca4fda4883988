/**
 * A server of the NBD protocol that lets clients read. {@link io.virtnvme.tools.nbd.NbdServer}
 * accepts on one thread, each client is served on its own.
 */
package io.virtnvme.tools.nbd;
