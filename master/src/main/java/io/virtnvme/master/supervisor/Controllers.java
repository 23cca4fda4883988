package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.master.relay.DescriptorStore;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.relay.Listener;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.relay.Relay;
import io.virtnvme.master.relay.Secondaries;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.BlkTransport;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The block controllers, for guests and for secondaries: a listening socket each. Conductor thread.
 */
final class Controllers {
  private static final Logger LOG = LoggerFactory.getLogger(Controllers.class);
  private static final int QUEUE_COUNT_DEFAULT = 16;

  /** A controller; the listener is null when its socket could not be made. */
  record Controller(BlkControllerSpec spec, long bdevId, int seat, Listener listener) {}

  private final EventLoop loop;
  private final Path directory;
  private final Bdevs bdevs;
  private final Seats seats;
  private final Relay relay;
  private final DescriptorStore store;
  private final MasterCounters counters;
  private final Map<String, Controller> byName = new LinkedHashMap<>();
  private Predicate<String> isNamespace = bdevName -> false;

  Controllers(
      final EventLoop loop,
      final Path directory,
      final Bdevs bdevs,
      final Seats seats,
      final Relay relay,
      final DescriptorStore store,
      final MasterCounters counters) {
    this.store = store;
    this.counters = counters;
    this.loop = loop;
    this.directory = directory;
    this.bdevs = bdevs;
    this.seats = seats;
    this.relay = relay;
  }

  /** Who else may use a bdev, so that it cannot be moved to another seat. */
  void isNamespace(final Predicate<String> test) {
    isNamespace = test;
  }

  Collection<Controller> all() {
    return byName.values();
  }

  Path socketPath(final BlkControllerSpec spec) {
    return directory.resolveSibling(spec.transport().directory()).resolve(spec.ctrlr());
  }

  boolean isExported(final String bdevName) {
    return byName.values().stream().anyMatch(c -> c.spec().devName().equals(bdevName));
  }

  Controller create(final BlkControllerSpec spec) {
    Bdevs.checkName(spec.ctrlr());
    if (byName.containsKey(spec.ctrlr())) {
      throw new RpcException(
          RpcException.EEXIST,
          "there is a controller " + spec.ctrlr() + " already; delete it or choose another name");
    }
    final Path path = socketPath(spec);
    if (!Listener.fits(path)) {
      throw new RpcException(
          RpcException.EINVAL,
          "the socket's path would be too long: " + path + "; choose a shorter name");
    }
    final BdevEntry bdev = bdevs.require(spec.devName(), null);
    placeOnMask(spec, bdev);
    final Listener listener;
    try {
      listener = listen(spec.ctrlr(), path);
    } catch (final IOException e) {
      throw new RpcException(
          RpcException.EIO,
          "the socket cannot be made: " + e.getMessage() + "; check " + directory);
    }
    final Controller controller = new Controller(spec, bdev.id(), bdev.seat(), listener);
    byName.put(spec.ctrlr(), controller);
    LOG.info("controller {} exports bdev {} at {}", spec.ctrlr(), spec.devName(), path);
    return controller;
  }

  /** The socket that the master before left with the service manager, or a new one. */
  private Listener listen(final String ctrlr, final Path path) throws IOException {
    final int kept = store.take(storeName(ctrlr));
    Listener listener = null;
    if (kept >= 0) {
      listener = Listener.inherited(loop, path, kept, fd -> onConnected(ctrlr, fd));
    }
    if (listener == null) {
      listener = Listener.stream(loop, path, fd -> onConnected(ctrlr, fd));
    }
    listener.keepIn(store, storeName(ctrlr));
    return listener;
  }

  private static String storeName(final String ctrlr) {
    return "vhost-" + ctrlr;
  }

  private void placeOnMask(final BlkControllerSpec spec, final BdevEntry bdev) {
    if (spec.cpumask().isEmpty()) {
      return;
    }
    final BigInteger mask = new BigInteger(spec.cpumask().substring(2), 16);
    final List<Seat> fitting =
        seats.all().stream()
            .filter(seat -> seat.cores().stream().anyMatch(core -> core >= 0 && mask.testBit(core)))
            .toList();
    if (fitting.isEmpty()) {
      throw new RpcException(
          RpcException.EINVAL,
          "no seat has a core of the mask "
              + spec.cpumask()
              + "; virtnvme_get_slaves shows the cores in use");
    }
    if (fitting.stream().anyMatch(seat -> seat.id() == bdev.seat())) {
      return;
    }
    if (isExported(bdev.name()) || isNamespace.test(bdev.name())) {
      throw new RpcException(
          RpcException.EINVAL,
          "bdev "
              + bdev.name()
              + " is on seat "
              + bdev.seat()
              + ", which has no core of the mask "
              + spec.cpumask()
              + ", and other controllers use it there; choose a mask with one of its cores");
    }
    bdevs.move(bdev, fitting);
  }

  /** Brings back a controller that the registry says should exist; never fails. */
  void restore(final BlkControllerSpec spec) {
    try {
      create(spec);
    } catch (final RpcException e) {
      LOG.error("controller {} is not served: {}", spec.ctrlr(), e.getMessage());
      final BdevEntry bdev = bdevs.bdev(spec.devName());
      if (bdev != null) {
        byName.putIfAbsent(spec.ctrlr(), new Controller(spec, bdev.id(), bdev.seat(), null));
      }
    }
  }

  private void onConnected(final String ctrlr, final int fd) {
    final Controller controller = byName.get(ctrlr);
    final BlkControllerSpec spec = controller.spec();
    final boolean secondary = spec.transport() == BlkTransport.VIRTNVME;
    final int uid = UnixSocket.peerUid(fd);
    if (secondary && !isTrusted(uid)) {
      final String reason =
          "user "
              + uid
              + " may not attach to controller "
              + ctrlr
              + ": only root and user "
              + Processes.currentUid()
              + " may";
      LOG.warn("connection of process {} refused: {}", UnixSocket.peerPid(fd), reason);
      counters.increment(MasterCounter.SECONDARIES_REFUSED);
      Secondaries.refuse(fd, Errno.EACCES, reason);
      return;
    }
    relay.open(
        new SessionDescription(
            secondary
                ? SessionDescription.Protocol.VIRTNVME
                : SessionDescription.Protocol.VHOST_USER_BLK,
            ctrlr,
            controller.seat(),
            controller.bdevId(),
            spec.numQueues() == 0 ? QUEUE_COUNT_DEFAULT : spec.numQueues(),
            spec.readOnly() || bdevs.require(spec.devName(), null).spec().readOnly(),
            spec.packedRing()),
        fd);
  }

  /** A secondary reads the whole disk, behind the back of the guest: no group may be enough. */
  private static boolean isTrusted(final int uid) {
    return uid == 0 || uid == Processes.currentUid();
  }

  void delete(final String ctrlr) {
    final Controller controller = byName.get(ctrlr);
    if (controller == null) {
      throw new RpcException(
          RpcException.ENODEV,
          "there is no controller " + ctrlr + "; vhost_get_controllers lists those there are");
    }
    final List<FrontEndSession> sessions = relay.sessionsOf(ctrlr);
    if (!sessions.isEmpty()) {
      throw new RpcException(
          RpcException.EBUSY,
          "controller "
              + ctrlr
              + " has "
              + sessions.size()
              + " front-end(s) connected; unplug the disk or stop the virtual machine first");
    }
    if (controller.listener() != null) {
      controller.listener().close();
      store.remove(storeName(ctrlr));
    }
    byName.remove(ctrlr);
    LOG.info("controller {} deleted", ctrlr);
  }

  /**
   * Ends all listening.
   *
   * @param remove also the names of the sockets; otherwise a successor replaces them
   */
  void close(final boolean remove) {
    for (final Controller controller : byName.values()) {
      if (controller.listener() != null && remove) {
        controller.listener().close();
        store.remove(storeName(controller.spec().ctrlr()));
      } else if (controller.listener() != null) {
        controller.listener().stop();
      }
    }
    byName.clear();
  }
}
