/**
 * A load client that checks every byte: its own process, one polling thread, results in a mapped
 * file. Judges a disk by the contract alone and shares no code with the back-end.
 */
package io.virtnvme.tools.load;
