/**
 * A load client that checks every byte, and judges a disk by the contract alone, without code of
 * the back-end. It is a process of its own with one polling thread; one thread of the process that
 * started it watches its results in a mapped file.
 */
package io.virtnvme.tools.load;
