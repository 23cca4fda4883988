/**
 * A pair of its own for one command: master, slave and one disk in a temporary run directory, ended
 * and removed without a trace. The command's main thread, or its shutdown hook.
 */
package io.virtnvme.tools.pair;
