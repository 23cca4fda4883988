/**
 * Shared-memory segments: files on tmpfs that outlive every process, each behind the same header.
 * The master creates and removes them; who writes which word of a segment, and on which thread, is
 * said by the class that draws it.
 */
package io.virtnvme.ipc.segment;
