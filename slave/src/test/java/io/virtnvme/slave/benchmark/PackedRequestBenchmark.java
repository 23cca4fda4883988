package io.virtnvme.slave.benchmark;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;

/** A read over a packed ring, which has no switch for its journal. */
public class PackedRequestBenchmark extends WholeRequest {
  @Override
  Guest.Kind guestKind() {
    return Guest.Kind.PACKED;
  }

  /** As the product runs. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public int journalOn() {
    return serve();
  }
}
