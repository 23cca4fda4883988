/**
 * The VirtNvme queue pair, by which any process of the host reads and writes a volume that a slave
 * serves: its layout, the message that attaches, and the client. The layout is anybody's; a {@link
 * io.virtnvme.ipc.qpair.QpairClient} belongs to one thread.
 */
package io.virtnvme.ipc.qpair;
