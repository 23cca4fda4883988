package io.virtnvme.slave.benchmark;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.OperationsPerInvocation;

/** A read over a split ring. */
public class SplitRequestBenchmark extends WholeRequest {
  @Override
  Guest.Kind guestKind() {
    return Guest.Kind.SPLIT;
  }

  /** As the product runs. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public int journalOn() {
    return serve();
  }

  /** Could not be taken over. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  @Fork(jvmArgsAppend = JOURNAL_OFF)
  public int journalOff() {
    return serve();
  }
}
