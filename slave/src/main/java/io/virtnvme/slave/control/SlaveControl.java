package io.virtnvme.slave.control;

import io.virtnvme.ipc.relay.Build;
import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayFormatException;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.sys.Threads;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.reactor.ReactorEvents;
import io.virtnvme.slave.reactor.Seat;
import io.virtnvme.slave.reactor.WarmUp;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.agrona.concurrent.ManyToOneConcurrentLinkedQueue;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The slave's conductor: one loop over the master's messages and over what the reactors report.
 * Runs on the process's main thread; every method but {@link #execute} and {@link #onFatal} belongs
 * to it.
 */
public final class SlaveControl implements ReactorEvents {
  private static final Logger LOGGER = LoggerFactory.getLogger(SlaveControl.class);
  private static final int EXIT_FATAL = 70;
  private static final int RECONNECT_MS = 50;
  private static final int REFRESH_MS = 50;
  private static final int MESSAGE_LIMIT = 32;
  private static final long TASK_TOKEN = 1;
  private static final long LINK_TOKEN = 2;

  private final Path runDirectory;
  private final SegmentDirectory segments;
  private final Supplier<ReactorIo> ioFactory;
  private final Epoll epoll = new Epoll(8);
  private final int taskFd = EventFd.create();
  private final EventFd taskSignal = new EventFd();
  private final EventFd taskDrain = new EventFd();
  private final ManyToOneConcurrentLinkedQueue<Runnable> tasks =
      new ManyToOneConcurrentLinkedQueue<>();
  private final MasterLink link;
  private final Devices devices = new Devices();
  private final Volumes volumes;
  private final Sessions sessions;
  private final DiskMessages disks;
  private final ResidentPages pages = new ResidentPages(System.nanoTime());
  private final Map<Integer, Seat> seats = new LinkedHashMap<>();
  private final Map<Integer, int[]> seatsToWatch = new LinkedHashMap<>();

  /** Seats that threads of ours still wait for and were told not to. */
  private final Set<Integer> seatsToLeave = new HashSet<>();

  /** Seats that were taken while there was no master to tell. */
  private final Set<Integer> untoldSeats = new HashSet<>();

  private int slaveId;
  private long idleSpinNs;
  private boolean hasMemoryToMap;
  private boolean warmUpStarted;
  private boolean warm;
  private boolean shuttingDown;
  private boolean running = true;

  public SlaveControl(
      final Path runDirectory,
      final SegmentDirectory segments,
      final Supplier<ReactorIo> ioFactory) {
    this.runDirectory = runDirectory;
    this.segments = segments;
    this.ioFactory = ioFactory;
    this.link = new MasterLink(runDirectory.resolve("slaves.sock"), epoll, LINK_TOKEN);
    this.volumes = new Volumes(segments, devices);
    this.sessions =
        new Sessions(
            segments,
            volumes,
            devices,
            link,
            seats,
            seat -> new SeatControllers(volumes, seats, seat),
            this::execute);
    this.disks = new DiskMessages(link, volumes, devices, sessions, seats);
    epoll.add(taskFd, Epoll.IN, TASK_TOKEN);
  }

  /** Serves until the master asks for the end, or until there is nothing left to serve for. */
  public void run() {
    while (running) {
      if (!link.isUp()) {
        findMaster();
      }
      final int readyCount = epoll.await(waitMs());
      for (int i = 0; i < readyCount; i++) {
        if (epoll.token(i) == TASK_TOKEN) {
          taskDrain.drain(taskFd);
        }
      }
      for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
        task.run();
      }
      receive();
      sessions.refresh();
      hasMemoryToMap = devices.mapNext();
      if (isStandby()) {
        pages.slice(sessions.memory(), System.nanoTime());
      }
    }
  }

  private boolean isStandby() {
    return warm && seats.values().stream().noneMatch(Seat::isOwned);
  }

  /**
   * Queues that an owner makes or deletes are announced to standbys by its controller area alone.
   */
  private int waitMs() {
    if (hasMemoryToMap) {
      return 0;
    }
    if (!link.isUp()) {
      return RECONNECT_MS;
    }
    final int pagesMs = isStandby() ? pages.waitMs(System.nanoTime()) : -1;
    if (!sessions.isPreparing()) {
      return pagesMs;
    }
    return pagesMs < 0 ? REFRESH_MS : Math.min(REFRESH_MS, pagesMs);
  }

  private void findMaster() {
    if (link.connect()) {
      sayHello();
    } else if (!Files.isDirectory(runDirectory) && sessions.isEmpty()) {
      LOGGER.warn(
          "run directory {} is gone and no session is served: nothing to wait for", runDirectory);
      running = false;
    }
  }

  private void sayHello() {
    final boolean adopted = slaveId != 0;
    final int[] owned = seats.values().stream().filter(Seat::isOwned).mapToInt(Seat::id).toArray();
    final RelayWriter hello =
        link.begin(RelayMessageType.HELLO, 0, 0)
            .putInt(RelayChannel.PROTOCOL_MAJOR)
            .putInt(RelayChannel.PROTOCOL_MINOR)
            .putInt(Processes.currentPid())
            .putInt(slaveId)
            .putString(Build.version())
            .putInt(owned.length);
    for (final int seat : owned) {
      hello.putInt(seat);
    }
    SlaveFormats.known().write(hello);
    link.send();
    if (adopted) {
      handBack();
    }
  }

  /** Tells a new master everything that the old one knew of us. */
  private void handBack() {
    disks.handBack();
    sessions.handBack();
    if (link.isUp()) {
      link.begin(RelayMessageType.ADOPTED, 0, 0).putInt(warm ? 1 : 0);
      link.send();
    }
    for (final int seatId : List.copyOf(untoldSeats)) {
      sendSeatTaken(seatId);
    }
  }

  private void receive() {
    for (int i = 0; i < MESSAGE_LIMIT && link.isUp(); i++) {
      try {
        final RelayReader message = link.receive();
        if (message == null) {
          return;
        }
        onMessage(message);
      } catch (final RelayFormatException e) {
        link.drop("it broke the protocol: " + e.getMessage());
      }
    }
    // More may wait: the descriptor is level-triggered, so the next wait returns at once.
  }

  private void onMessage(final RelayReader message) {
    final RelayMessageType type = message.type();
    if (type == null) {
      return;
    }
    switch (type) {
      case WELCOME -> {
        slaveId = message.getInt();
        idleSpinNs = message.getLong();
      }
      case SEAT -> onSeat((int) message.id(), message);
      case BDEV_ADD -> disks.onAdd(message);
      case BDEV_REMOVE -> disks.onRemove(message.id(), message.sequence());
      case BDEV_RESIZE -> disks.onResize(message);
      case BDEV_LIMITS -> disks.onLimits(message);
      case BDEV_TRACK -> disks.onTrack(message);
      case BDEV_CYCLE -> disks.onCycle(message.id(), message.sequence());
      case BDEV_HOLD -> disks.onHold(message);
      case DEVICE_ATTACH -> disks.onDeviceAttach(message);
      case DEVICE_DETACH -> disks.onDeviceDetach(message.getString(), message.sequence());
      case SESSION -> sessions.onSession(message);
      case RELAY -> sessions.onRelay(message);
      case SESSION_CLOSE -> sessions.onClose(message.id());
      case NAMESPACES -> sessions.onNamespaces(message);
      case UNWATCH -> unwatch((int) message.id());
      case SHUTDOWN -> shutDown();
      case HELLO,
          BDEV_RESULT,
          SESSION_PREPARED,
          ANSWER,
          SESSION_CLOSED,
          SESSION_FAILED,
          STANDBY_READY,
          SEAT_TAKEN,
          ADOPTED,
          BDEV_HELD,
          DEVICE_HELD,
          NAMESPACES_SET,
          UNWATCHED ->
          throw new RelayFormatException("a slave's message came from the master: " + type);
    }
  }

  private void onSeat(final int seatId, final RelayReader message) {
    final boolean take = message.getInt() != 0;
    final int coreCount = message.getInt();
    if (coreCount < 0 || coreCount > SeatSegment.REACTOR_COUNT_MAX) {
      throw new RelayFormatException("core count out of range: " + coreCount);
    }
    final int[] cores = new int[coreCount];
    for (int i = 0; i < coreCount; i++) {
      cores[i] = message.getInt();
    }
    if (seats.containsKey(seatId) && !seatsToLeave.contains(seatId)) {
      return;
    }
    if (seats.containsKey(seatId)) {
      // Its threads are still leaving: waited for again when the last of them has left.
      seatsToWatch.put(seatId, cores);
    } else if (take || warm) {
      // Told to take a seat while it was still warming up to wait for it.
      seatsToWatch.remove(seatId);
      openSeat(seatId, cores, !take);
      sendStandbyReady();
    } else {
      seatsToWatch.put(seatId, cores);
      startWarmUp();
    }
  }

  private void openSeat(final int seatId, final int[] cores, final boolean asStandby) {
    final SeatSegment segment = SeatSegment.open(segments, seatId);
    final Seat seat = new Seat(seatId, segment, cores, asStandby, idleSpinNs, ioFactory, this);
    seats.put(seatId, seat);
    sessions.onSeatOpened(seat);
  }

  private void startWarmUp() {
    if (!warmUpStarted) {
      warmUpStarted = true;
      final Thread thread =
          new Thread(
              () -> {
                try {
                  WarmUp.run(segments, ioFactory);
                  execute(this::onWarm);
                } catch (final Throwable t) {
                  onFatal(t);
                }
              },
              "warm-up");
      thread.setDaemon(true);
      thread.start();
    }
  }

  private void onWarm() {
    warm = true;
    seatsToWatch.forEach((seatId, cores) -> openSeat(seatId, cores, true));
    seatsToWatch.clear();
    confineTo(seats.values());
    // The first line loads what a line needs: not in the middle of a takeover.
    LOGGER.info("warm, waiting for seats {}", seats.keySet());
    sendStandbyReady();
  }

  private void sendStandbyReady() {
    if (warm && seatsToWatch.isEmpty() && link.isUp()) {
      link.begin(RelayMessageType.STANDBY_READY, 0, 0);
      link.send();
    }
  }

  /** Leaves a seat to others; one that is ours by now is kept, and its SEAT_TAKEN says so. */
  private void unwatch(final int seatId) {
    seatsToWatch.remove(seatId);
    final Seat seat = seats.get(seatId);
    if (seat == null) {
      sendUnwatched(seatId);
    } else if (!seat.isOwned() && seatsToLeave.add(seatId)) {
      seat.release();
    }
  }

  private void sendUnwatched(final int seatId) {
    if (link.isUp()) {
      link.begin(RelayMessageType.UNWATCHED, seatId, 0);
      link.send();
    }
  }

  private void shutDown() {
    shuttingDown = true;
    boolean anyOwned = false;
    for (final Seat seat : seats.values()) {
      anyOwned |= seat.isOwned();
      seat.release();
    }
    if (!anyOwned) {
      running = false;
    }
  }

  @Override
  public void execute(final Runnable task) {
    tasks.offer(task);
    synchronized (taskSignal) {
      taskSignal.signal(taskFd);
    }
  }

  @Override
  public void onSeatOwned(final int seatId) {
    sessions.onSeatOwned(seatId);
    sendSeatTaken(seatId);
  }

  @Override
  public void onTakeoverMeasured(final int seatId) {
    sendSeatTaken(seatId);
    confineTo(seats.values().stream().filter(Seat::isOwned).toList());
    // Not sooner: in a slave that has just started, the first line of a log takes its time.
    LOGGER.info("seat {} is ours: {}", seatId, seats.get(seatId).takeover());
  }

  /**
   * Brings all our threads to the cores of some seats: a successor's compiler threads disturb no
   * guest, and when this process is killed, its dying threads and the teardown of its memory, which
   * the fence of a disk waits for, find these cores free.
   */
  private static void confineTo(final Collection<Seat> some) {
    final int[] cores = some.stream().flatMapToInt(seat -> Arrays.stream(seat.cores())).toArray();
    if (cores.length > 0) {
      Threads.confineProcessTo(cores);
    }
  }

  private void sendSeatTaken(final int seatId) {
    if (link.isUp()) {
      link.begin(RelayMessageType.SEAT_TAKEN, seatId, seatEpoch(seatId));
      if (link.send()) {
        untoldSeats.remove(seatId);
        return;
      }
    }
    untoldSeats.add(seatId);
  }

  private long seatEpoch(final int seatId) {
    final Seat seat = seats.get(seatId);
    return seat == null ? 0 : seat.epoch();
  }

  @Override
  public void onSessionFailed(final long sessionId, final String reason) {
    sessions.onRingsFailed(sessionId, reason);
  }

  @Override
  public void onSeatReleased(final int seatId) {
    final Seat released = seats.remove(seatId);
    if (shuttingDown) {
      // The successor's rings wait for the locks that these hold.
      volumes.closeAll(seatId);
    }
    if (released != null) {
      released.close();
    }
    onSeatLeft(seatId);
    if (shuttingDown && seats.values().stream().noneMatch(Seat::isOwned)) {
      running = false;
    }
  }

  private void onSeatLeft(final int seatId) {
    if (!seatsToLeave.remove(seatId)) {
      return;
    }
    sendUnwatched(seatId);
    final int[] cores = seatsToWatch.remove(seatId);
    if (cores != null && !shuttingDown) {
      openSeat(seatId, cores, true);
      sendStandbyReady();
    }
  }

  @Override
  @SuppressWarnings("SystemExitOutsideMain")
  public void onFatal(final Throwable error) {
    // Crash at once: the journal is good at every instruction, and a successor waits. Nothing here
    // may run on.
    LOGGER.error("an invariant is broken, this process ends so that a successor takes over", error);
    Runtime.getRuntime().halt(EXIT_FATAL);
  }
}
