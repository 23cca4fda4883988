/**
 * Rings of a guest, split and packed: fetch requests, track them in the inflight journal, complete
 * them. Every queue belongs to one reactor thread; set-up objects are made on the control thread
 * and handed over whole.
 */
package io.virtnvme.slave.virtqueue;
