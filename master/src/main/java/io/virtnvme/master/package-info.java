/**
 * The master process: {@code MasterMain} or {@code Master.launch} start it, the conductor thread
 * runs it. It owns what must outlive a slave, and interprets nothing of what a guest says.
 */
package io.virtnvme.master;
