/**
 * Micro-benchmarks of the pieces of the data path; no tests. {@code slave/benchmarks/run} runs
 * them, see docs/performance.md. Each is one thread that plays the reactor.
 */
package io.virtnvme.slave.benchmark;
