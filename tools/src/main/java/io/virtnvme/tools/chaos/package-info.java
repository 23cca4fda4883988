/**
 * The campaign: a pair of its own, several verifying clients, faults drawn from a seed, and a page
 * that shows what the clients felt. The main thread does everything; a shutdown hook ends it.
 */
package io.virtnvme.tools.chaos;
