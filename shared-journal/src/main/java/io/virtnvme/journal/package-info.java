/**
 * The inflight regions of the vhost-user specification, split and packed, and the journals of NVMe
 * queue pairs: layouts, store order, recovery after a crash, and a read-only inspector. The reactor
 * that owns a queue is the only thread that writes its region; the inspector may run anywhere, also
 * when every writer is dead.
 */
package io.virtnvme.journal;
