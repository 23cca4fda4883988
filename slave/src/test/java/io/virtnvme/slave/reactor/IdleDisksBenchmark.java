package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.UringReactorIo;
import io.virtnvme.slave.benchmark.DataPathBenchmark;
import java.util.ArrayList;
import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** One read of a disk that shares its reactor with others, all of them idle. */
public class IdleDisksBenchmark extends DataPathBenchmark {
  /** A reactor with disks of one guest each. */
  @State(Scope.Thread)
  public static class Disks {
    /** The busy one included. */
    @Param({"1", "16", "256"})
    public int disks;

    /** Whether idle disks are looked at in turn, as in a slave, or all in each duty cycle. */
    @Param({"true", "false"})
    public boolean inTurn;

    private final long seatBlock = Mem.allocate(SeatSegment.REACTOR_LENGTH);
    private Reactor reactor;
    private final List<RingGuest> guests = new ArrayList<>();

    /** Starts all rings. */
    @Setup
    public void open() {
      final PollOrder order = inTurn ? new PollOrder() : new PollOrder(Integer.MAX_VALUE, 0);
      reactor =
          new Reactor(seatBlock, Long.MAX_VALUE, new UringReactorIo(), new SoundEvents(), order);
      for (int i = 0; i < disks; i++) {
        final String name = "disk" + i;
        final Bdev disk = RingGuest.nullDisk(name);
        final RingGuest guest = new RingGuest();
        guests.add(guest);
        reactor.start(reactor.make(guest.setup(1 + i, disk)));
      }
    }

    /** Ends everything. */
    @TearDown
    public void close() {
      reactor.close();
      guests.forEach(RingGuest::close);
      Mem.free(seatBlock);
    }

    /** One duty cycle. */
    final int step() {
      final long nowNs = System.nanoTime();
      final int workCount = reactor.doWork(nowNs);
      reactor.idle(workCount, nowNs);
      return workCount;
    }
  }

  /** A duty cycle that finds nothing. */
  @Benchmark
  public int emptyCycle(final Disks all) {
    return all.step();
  }

  /** The guest's part is included. */
  @Benchmark
  public int read(final Disks all) {
    final RingGuest guest = all.guests.get(all.disks / 2);
    guest.submitRead();
    int token = guest.driver.poll();
    while (token == DriverQueue.NONE) {
      all.step();
      token = guest.driver.poll();
    }
    guest.driver.reclaim(token);
    return token;
  }
}
