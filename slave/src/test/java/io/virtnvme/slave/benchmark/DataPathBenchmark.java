package io.virtnvme.slave.benchmark;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * How every benchmark is run: mean time of one operation on one thread. Forks take the options of
 * the JVM that starts them, which are a slave's.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public abstract class DataPathBenchmark {
  /** Makes a fork keep no journal; see {@link io.virtnvme.journal.SplitInflight}. */
  static final String JOURNAL_OFF = "-Dvirtnvme.journal.off=true";

  /** Entries of a ring. */
  static final int QUEUE_SIZE = 256;

  /** Most that a reactor takes from a ring, and publishes, at once. */
  static final int BATCH_MAX = 32;
}
