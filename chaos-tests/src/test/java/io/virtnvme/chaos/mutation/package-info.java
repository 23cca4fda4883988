/**
 * Plants faults, one at a time, into copies of single classes, and runs the layers of tests until
 * one of them catches the fault. A developer's command; one thread, the tests in JVMs of their own.
 */
package io.virtnvme.chaos.mutation;
