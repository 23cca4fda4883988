/**
 * The vfio-user protocol as bytes, and our own client of it, which shares nothing with the server
 * but the layouts. Any thread; a client belongs to the thread that made it.
 */
package io.virtnvme.ipc.vfiouser;
