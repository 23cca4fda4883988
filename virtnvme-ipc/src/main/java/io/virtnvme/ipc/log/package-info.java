/**
 * The log of our processes: one line per event on stderr, behind SLF4J. Any thread; a program that
 * uses the rest of this module keeps its own log unless it asks for this one.
 */
package io.virtnvme.ipc.log;
