/**
 * The one door to off-heap memory: every load and store of shared memory in the project goes
 * through {@link io.virtnvme.ipc.memory.Mem}. Any thread may call it; who may write which word is
 * said by the class that draws the layout.
 */
package io.virtnvme.ipc.memory;
