/**
 * The benchmark: compares disks in alternation and reports medians with their spread. The main
 * thread of {@code bench} orders the runs; a client process of its own carries them out on one
 * polling thread, a second thread of it only plays the do-nothing peer and the ping-pong.
 */
package io.virtnvme.tools.bench;
