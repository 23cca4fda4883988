/**
 * The slave's main loop: reactors that poll rings and devices, and the seats whose mutexes say who
 * may do that. A {@link io.virtnvme.slave.reactor.Reactor} runs on one thread pinned to one core; a
 * {@link io.virtnvme.slave.reactor.Seat} is its face towards the control thread.
 */
package io.virtnvme.slave.reactor;
