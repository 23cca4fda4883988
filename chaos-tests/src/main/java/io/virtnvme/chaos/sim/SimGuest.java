package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRange;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDriverQueue;
import io.virtnvme.ipc.virtio.RingDriver;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * The guest: two regions of memory, its rings in the first one, and requests at random. The second
 * region can be taken away.
 */
final class SimGuest implements AutoCloseable {
  /** A region of the guest's memory. */
  static final class Region {
    final long guestAddress;
    final long userAddress;
    final int fd;
    final Mapping mapping;

    Region(
        final String name,
        final long guestAddress,
        final long userAddress,
        final long lengthBytes) {
      this.guestAddress = guestAddress;
      this.userAddress = userAddress;
      this.fd = Memfd.create(name, lengthBytes);
      this.mapping = Mapping.map(fd, 0, lengthBytes);
    }

    long host(final long address) {
      return address - guestAddress + mapping.address();
    }

    void close() {
      mapping.close();
      Fds.close(fd);
    }
  }

  private static final int SEGMENT_MAX = 3;
  private static final int SECTORS_MAX = 4;
  private static final int BUFFER_BYTES = SECTORS_MAX * SimDisk.SECTOR_BYTES;
  private static final int CALM_REQUESTS = 6;
  private static final byte POISON = 0x5A;

  final Region rings;
  final Region extra;
  final int[] kickFds;
  final int[] callFds;
  final RingDriver[] drivers;

  private final World world;
  private final Oracle oracle;
  private final Plan plan;
  private final SplittableRandom random;
  private final Oracle.Request[][] inFlight;
  private final long[][] buffers;
  private final boolean[] waiting;
  private final EventFd eventFd = new EventFd();
  private final long ringBytes;
  private long requestMax;
  private boolean paused = true;
  private boolean calm;
  private boolean extraAllowed = true;

  SimGuest(final World world, final Oracle oracle, final SplittableRandom random) {
    this.world = world;
    this.oracle = oracle;
    this.plan = world.plan();
    this.random = random;
    this.requestMax = plan.requestMax();
    this.ringBytes =
        4095
                + (plan.packed()
                    ? PackedDriverQueue.length(plan.queueSize(), SEGMENT_MAX)
                    : SplitDriverQueue.length(plan.queueSize(), SEGMENT_MAX))
            & -4096;
    final long dataBytes = (long) plan.queueCount() * plan.queueSize() * BUFFER_BYTES;
    this.rings =
        new Region(
            "rings", 0x10_0000, 0x7F00_0000_0000L, plan.queueCount() * ringBytes + dataBytes);
    this.extra = new Region("extra", 0x4000_0000, 0x7F80_0000_0000L, dataBytes);
    this.kickFds = new int[plan.queueCount()];
    this.callFds = new int[plan.queueCount()];
    this.drivers = new RingDriver[plan.queueCount()];
    this.inFlight = new Oracle.Request[plan.queueCount()][plan.queueSize()];
    this.buffers = new long[plan.queueCount()][plan.queueSize()];
    this.waiting = new boolean[plan.queueCount()];
    for (int i = 0; i < plan.queueCount(); i++) {
      kickFds[i] = EventFd.create();
      callFds[i] = EventFd.create();
      drivers[i] = newDriver(i);
    }
  }

  long features() {
    return VirtioFeature.of(
            VirtioFeature.VERSION_1,
            VirtioFeature.PROTOCOL_FEATURES,
            BlkFeature.FLUSH,
            BlkFeature.DISCARD,
            BlkFeature.WRITE_ZEROES)
        | (plan.packed() ? VirtioFeature.of(VirtioFeature.RING_PACKED) : 0)
        | (plan.indirect() ? VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC) : 0)
        | (plan.eventIndex() ? VirtioFeature.of(VirtioFeature.RING_EVENT_IDX) : 0);
  }

  private RingDriver newDriver(final int queue) {
    final long host = rings.mapping.address() + queue * ringBytes;
    final long guest = rings.guestAddress + queue * ringBytes;
    return plan.packed()
        ? new PackedDriverQueue(host, guest, plan.queueSize(), features(), SEGMENT_MAX)
        : new SplitDriverQueue(
            host, guest, plan.queueSize(), features(), SEGMENT_MAX, plan.startIndex());
  }

  void paused(final boolean on) {
    paused = on;
  }

  /**
   * From now on the guest sends a few more requests, and looks for completions only when called.
   */
  void calm() {
    calm = true;
    requestMax = oracle.postedCount() + (long) CALM_REQUESTS * plan.queueCount();
    for (int i = 0; i < drivers.length; i++) {
      waitForCall(i);
    }
  }

  /** Whether everything that the guest wanted is done. */
  boolean isDone() {
    return oracle.postedCount() >= requestMax && inFlightCount() == 0;
  }

  private int inFlightCount() {
    return Arrays.stream(drivers).mapToInt(DriverQueue::inFlightCount).sum();
  }

  /** One action of the guest. */
  void step() {
    final int queue = random.nextInt(drivers.length);
    if (paused) {
      return;
    }
    if (waiting[queue]) {
      if (Fds.awaitReadable(callFds[queue], 0)) {
        eventFd.drain(callFds[queue]);
        world.trace().note("call", queue);
        reap(queue);
        waiting[queue] = false;
        if (calm || random.nextBoolean()) {
          waitForCall(queue);
        }
      }
      if (!calm) {
        return;
      }
    }
    switch (random.nextInt(6)) {
      case 0, 1, 2 -> {
        final int count = 1 + random.nextInt(4);
        for (int i = 0; i < count; i++) {
          post(queue);
        }
        // What is left lying is published with the next ones, or never before a reset.
        if (calm || random.nextInt(4) > 0) {
          drivers[queue].publish();
        }
      }
      case 3, 4 -> {
        if (!waiting[queue]) {
          reap(queue);
        }
      }
      default -> {
        drivers[queue].publish();
        waitForCall(queue);
      }
    }
  }

  private void waitForCall(final int queue) {
    waiting[queue] = true;
    while (drivers[queue].enableCalls()) {
      reap(queue);
    }
  }

  private void post(final int queue) {
    if (oracle.postedCount() >= requestMax) {
      return;
    }
    final int type = randomType();
    final int count = type == BlkRequest.TYPE_FLUSH ? 0 : 1 + random.nextInt(SECTORS_MAX);
    final int sector = random.nextInt(SimDisk.SECTOR_COUNT - count);
    final RingDriver driver = drivers[queue];
    driver.useIndirect(plan.indirect() && random.nextBoolean());
    if (!oracle.isFree(sector, count)) {
      return;
    }
    final int token = driver.begin(type, sector);
    if (token == DriverQueue.NONE) {
      return;
    }
    final Oracle.Request request = oracle.request(queue, type, sector, count);
    final Region region = extraAllowed && random.nextBoolean() ? extra : rings;
    final long buffer =
        region.guestAddress
            + (region == rings ? plan.queueCount() * ringBytes : 0)
            + ((long) queue * plan.queueSize() + token) * BUFFER_BYTES;
    fill(request, region.host(buffer));
    addData(driver, request, buffer);
    if (driver.add()) {
      inFlight[queue][token] = request;
      buffers[queue][token] = buffer;
      oracle.onPosted(request);
      world.trace().note("post", request.number, type, sector);
    }
  }

  private int randomType() {
    return switch (random.nextInt(20)) {
      case 0 -> BlkRequest.TYPE_FLUSH;
      case 1 -> BlkRequest.TYPE_DISCARD;
      case 2 -> BlkRequest.TYPE_WRITE_ZEROES;
      case 3, 4, 5, 6, 7, 8 -> BlkRequest.TYPE_IN;
      default -> BlkRequest.TYPE_OUT;
    };
  }

  private void fill(final Oracle.Request request, final long host) {
    switch (request.type) {
      case BlkRequest.TYPE_IN ->
          Mem.fill(host, (long) request.count * SimDisk.SECTOR_BYTES, POISON);
      case BlkRequest.TYPE_OUT -> {
        for (int i = 0; i < request.count * SimDisk.SECTOR_BYTES; i += Long.BYTES) {
          Mem.putLong(host + i, request.expected[i / SimDisk.SECTOR_BYTES]);
        }
      }
      case BlkRequest.TYPE_DISCARD, BlkRequest.TYPE_WRITE_ZEROES -> {
        Mem.putLong(host + BlkRange.SECTOR_OFFSET, request.sector);
        Mem.putInt(host + BlkRange.NUM_SECTORS_OFFSET, request.count);
        Mem.putInt(host + BlkRange.FLAGS_OFFSET, 0);
      }
      default -> {}
    }
  }

  private void addData(final RingDriver driver, final Oracle.Request request, final long buffer) {
    final boolean in = request.type == BlkRequest.TYPE_IN;
    if (in || request.type == BlkRequest.TYPE_OUT) {
      final int bytes = request.count * SimDisk.SECTOR_BYTES;
      final int first = random.nextInt(2) == 0 ? bytes : 1 + random.nextInt(bytes);
      driver.data(buffer, first, in);
      if (first < bytes) {
        driver.data(buffer + first, bytes - first, in);
      }
    } else if (request.count > 0) {
      driver.data(buffer, BlkRange.LENGTH, false);
    }
  }

  private void reap(final int queue) {
    final RingDriver driver = drivers[queue];
    for (int token = driver.poll(); token != DriverQueue.NONE; token = driver.poll()) {
      final Oracle.Request request = inFlight[queue][token];
      inFlight[queue][token] = null;
      oracle.onCompleted(request, driver.status(token), driver.usedLength(token));
      if (request.type == BlkRequest.TYPE_IN) {
        checkRead(request, buffers[queue][token]);
      }
      driver.reclaim(token);
      world.trace().note("done", request.number);
    }
    if (driver.faultCount() != 0) {
      throw new Violation("ring " + queue + " has a completion that no request explains");
    }
  }

  private void checkRead(final Oracle.Request request, final long buffer) {
    final long host = (isExtra(buffer) ? extra : rings).host(buffer);
    for (int i = 0; i < request.count * SimDisk.SECTOR_BYTES; i += Long.BYTES) {
      final long expected = request.expected[i / SimDisk.SECTOR_BYTES];
      if (Mem.getLong(host + i) != expected) {
        throw new Violation(
            "request "
                + request.number
                + " read "
                + Long.toHexString(Mem.getLong(host + i))
                + " at byte "
                + i
                + ", expected "
                + Long.toHexString(expected));
      }
    }
  }

  private boolean isExtra(final long buffer) {
    return buffer >= extra.guestAddress;
  }

  /** The device was reset and all rings stand still: starts over with empty rings. */
  void resetRings() {
    for (int queue = 0; queue < drivers.length; queue++) {
      reap(queue);
      for (int token = 0; token < plan.queueSize(); token++) {
        if (inFlight[queue][token] != null) {
          oracle.onDropped(inFlight[queue][token]);
          inFlight[queue][token] = null;
        }
      }
      drivers[queue] = newDriver(queue);
      waiting[queue] = false;
      if (calm) {
        waitForCall(queue);
      }
    }
  }

  /** Sends no more requests with buffers in the second region, or may again. */
  void extraAllowed(final boolean allowed) {
    extraAllowed = allowed;
  }

  boolean usesExtra() {
    for (int queue = 0; queue < drivers.length; queue++) {
      for (int token = 0; token < plan.queueSize(); token++) {
        if (inFlight[queue][token] != null && isExtra(buffers[queue][token])) {
          return true;
        }
      }
    }
    return false;
  }

  /** The second region is gone for the back-end: from now on nobody may write there. */
  void poisonExtra() {
    Mem.fill(extra.mapping.address(), extra.mapping.lengthBytes(), POISON);
  }

  void checkPoison() {
    for (long i = 0; i < extra.mapping.lengthBytes(); i += Long.BYTES) {
      if (Mem.getLong(extra.mapping.address() + i) != 0x5A5A5A5A5A5A5A5AL) {
        throw new Violation("somebody wrote to memory that was taken away: offset=" + i);
      }
    }
  }

  @Override
  public void close() {
    for (int i = 0; i < kickFds.length; i++) {
      Fds.close(kickFds[i]);
      Fds.close(callFds[i]);
    }
    eventFd.free();
    rings.close();
    extra.close();
  }
}
