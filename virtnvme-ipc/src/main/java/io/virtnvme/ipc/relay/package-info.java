/**
 * The protocol between the master and its slaves: one message per SOCK_SEQPACKET datagram, little
 * endian, with descriptors by SCM_RIGHTS. The master uses it on its conductor thread, a slave on
 * its control thread.
 */
package io.virtnvme.ipc.relay;
