/**
 * What should exist, kept over the death of every process: an event log of control calls on
 * Chronicle Queue, a history of events beside it, and the same as a configuration in SPDK's form.
 *
 * <p>Each queue has one appender, on a thread of its own.
 */
package io.virtnvme.master.registry;
