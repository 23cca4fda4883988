/**
 * What a reactor knows of the rings that it runs, whatever front-end they belong to: {@link
 * io.virtnvme.slave.ring.RingSetup} is made on the control thread and handed over whole, {@link
 * io.virtnvme.slave.ring.RingAgent} belongs to the reactor's thread.
 */
package io.virtnvme.slave.ring;
