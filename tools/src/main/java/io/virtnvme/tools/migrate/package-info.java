/**
 * Moves a disk that is in use to another host: the source reads it as a secondary and sends what
 * changed until little is left, the receiver writes it, and one word in each registry says whose it
 * is. Either end is one thread of a command.
 */
package io.virtnvme.tools.migrate;
