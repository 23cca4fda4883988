package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.slave.bdev.UringReactorIo;
import io.virtnvme.slave.ring.RingAgent;
import java.io.IOException;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * What a slave does for one read of 4 KiB: duty cycles of one ring, from the look at its index to
 * the published completion. The guest's own work happens before and behind what is measured. Both
 * are one thread, so the ring is in this core's cache: the way between two cores is not in the
 * figure.
 */
public abstract class WholeRequest extends DataPathBenchmark {
  private static final BdevLimits LIMITS =
      new BdevLimits(
          BdevLimits.VALUE_MAX, BdevLimits.VALUE_MAX, BdevLimits.VALUE_MAX, BdevLimits.VALUE_MAX);

  /** In flight when the measurement of one invocation begins. */
  static final int OPERATIONS = 128;

  /** What is read from: NULL moves no byte, MEM copies from 256 MiB of shared memory. */
  @Param({"NULL", "MEM"})
  public BdevDescription.Kind disk;

  /** Requests taken and published in one duty cycle. */
  @Param({"1", "32"})
  public int batch;

  /** Whether the disk has limits, which hold nothing back. */
  @Param({"false", "true"})
  public boolean limited;

  private final SplittableRandom random = new SplittableRandom(1);
  private final UringReactorIo io = new UringReactorIo();
  private BenchmarkDisk benchmarkDisk;
  private Guest guest;
  private RingAgent agent;

  abstract Guest.Kind guestKind();

  /** Starts the ring and meets every page of the disk once. */
  @Setup
  public void open() throws IOException {
    benchmarkDisk = new BenchmarkDisk(disk);
    if (limited) {
      benchmarkDisk.bdev().limits().set(LIMITS);
    }
    guest = Guest.of(guestKind());
    agent = guest.setup(benchmarkDisk.bdev()).makeAgent(io, 0);
    agent.start(System.nanoTime());
    for (long block = 0; block < BenchmarkDisk.BLOCK_COUNT; block += OPERATIONS) {
      for (int i = 0; i < OPERATIONS; i++) {
        guest.add(block + i);
      }
      guest.publish();
      serve();
      reap();
    }
  }

  /** Ends everything. */
  @TearDown
  public void close() throws IOException {
    agent.free();
    guest.close();
    benchmarkDisk.close();
    io.close();
  }

  /** The guest's work, not measured; a read of the clock lies on either side of 128 requests. */
  @Setup(Level.Invocation)
  public void submit() {
    for (int i = 0; i < OPERATIONS; i++) {
      guest.add(random.nextLong(BenchmarkDisk.BLOCK_COUNT));
    }
    guest.publish();
  }

  /** The guest's work, not measured. */
  @TearDown(Level.Invocation)
  public void reap() {
    final int count = guest.reap();
    if (count != OPERATIONS) {
      throw new IllegalStateException("requests completed: " + count + " of " + OPERATIONS);
    }
  }

  /** Until nothing waits and nothing is in flight: a poll may leave what it fetched to the next. */
  final int serve() {
    int moved = 0;
    int count;
    do {
      count = agent.poll(System.nanoTime(), batch);
      agent.flush();
      moved += count;
    } while (count > 0 || agent.inFlightCount() > 0);
    return moved;
  }
}
