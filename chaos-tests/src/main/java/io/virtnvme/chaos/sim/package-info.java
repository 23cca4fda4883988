/**
 * Simulates guest, front-end, master, slaves and disk in one thread on simulated time, all from one
 * seed; rings, journals, sessions and takeovers are the product's own code. The thread that calls
 * {@link io.virtnvme.chaos.sim.Simulation} runs everything.
 */
package io.virtnvme.chaos.sim;
