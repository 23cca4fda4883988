/**
 * VirtNvme queue pairs: volumes as secondary processes of the host read and write them. The control
 * thread gives a client its queue pair, a reactor serves it; both meet in {@link
 * io.virtnvme.slave.qpair.QpairSetup}.
 */
package io.virtnvme.slave.qpair;
