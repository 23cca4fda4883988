/**
 * Linux system calls by direct-mapped JNA and thin owners of what they return (mappings, sockets,
 * rings, mutexes). Any thread may call in here; each class says which of its methods belong to one
 * thread.
 */
package io.virtnvme.ipc.sys;
