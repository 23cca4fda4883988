package io.virtnvme.slave.benchmark;

import io.virtnvme.slave.ring.RingAgent;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Parts of a duty cycle of one ring; {@link WholeRequest} has all of it. */
public class RingBenchmark extends DataPathBenchmark {
  private static final int OPERATIONS = 128;

  /** A ring and its guest. */
  @State(Scope.Thread)
  public static class Ring {
    /** Whose. */
    @Param({"SPLIT", "PACKED", "NVME"})
    public Guest.Kind guest;

    final HeldDisk disk = new HeldDisk();
    Guest driver;
    RingAgent agent;

    /** Starts the ring. */
    @Setup
    public void open() {
      driver = Guest.of(guest);
      agent = driver.setup(disk).makeAgent(null, 0);
      agent.start(System.nanoTime());
    }

    /** Ends everything. */
    @TearDown
    public void close() {
      agent.free();
      driver.close();
    }
  }

  /** A ring with requests that wait to be taken, or run in the device. */
  public abstract static class BusyRing extends Ring {
    final void submit() {
      for (int i = 0; i < OPERATIONS; i++) {
        driver.add(i);
      }
      driver.publish();
    }

    final int take() {
      int moved = 0;
      while (moved < OPERATIONS) {
        moved += agent.poll(1, BATCH_MAX);
      }
      return moved;
    }

    final int complete() {
      disk.endAll(agent);
      return agent.flush();
    }

    final void reap() {
      final int count = driver.reap();
      if (count != OPERATIONS || disk.heldCount() != 0) {
        throw new IllegalStateException("requests completed: " + count + " of " + OPERATIONS);
      }
    }
  }

  /** A ring with requests to take. */
  public static class WaitingRing extends BusyRing {
    /** Not measured. */
    @Setup(Level.Invocation)
    public void before() {
      submit();
    }

    /** Not measured. */
    @TearDown(Level.Invocation)
    public void after() {
      complete();
      reap();
    }
  }

  /** A ring whose requests all run in the device. */
  public static class RunningRing extends BusyRing {
    /** Not measured. */
    @Setup(Level.Invocation)
    public void before() {
      submit();
      take();
    }

    /** Not measured. */
    @TearDown(Level.Invocation)
    public void after() {
      reap();
    }
  }

  /** A look at a ring that has nothing to do. */
  @Benchmark
  public int emptyPoll(final Ring ring) {
    return ring.agent.poll(1, BATCH_MAX) + ring.agent.flush();
  }

  /** Index, descriptors or command, translation, checks, journal; the device takes it and waits. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public int fetch(final WaitingRing ring) {
    return ring.take();
  }

  /** From the device's report to the published completion. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public int complete(final RunningRing ring) {
    return ring.complete();
  }
}
