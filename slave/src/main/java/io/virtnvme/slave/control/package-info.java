/**
 * The slave's control thread: speaks with the master, holds sessions and disks, and hands rings to
 * the reactors. One thread; reactor threads reach it through its task queue.
 */
package io.virtnvme.slave.control;
