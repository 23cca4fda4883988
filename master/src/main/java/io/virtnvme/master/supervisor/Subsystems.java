package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.relay.DescriptorStore;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.relay.Listener;
import io.virtnvme.master.relay.Relay;
import io.virtnvme.master.relay.SessionState;
import io.virtnvme.master.rpc.NvmfListenerSpec;
import io.virtnvme.master.rpc.NvmfNamespaceSpec;
import io.virtnvme.master.rpc.NvmfSpecs;
import io.virtnvme.master.rpc.NvmfState;
import io.virtnvme.master.rpc.NvmfSubsystem;
import io.virtnvme.master.rpc.NvmfSubsystemInfo;
import io.virtnvme.master.rpc.NvmfSubsystemSpec;
import io.virtnvme.master.rpc.NvmfTransportSpec;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The NVMe subsystems: their namespaces, and a listening socket per listener. All namespaces of one
 * belong to one seat, because one slave serves a controller. Conductor thread.
 */
final class Subsystems {
  /** Name of the socket in a listener's directory, as vfio-user front-ends expect it. */
  static final String SOCKET_NAME = "cntrl";

  private static final Logger LOG = LoggerFactory.getLogger(Subsystems.class);

  private final EventLoop loop;
  private final Bdevs bdevs;
  private final Seats seats;
  private final Relay relay;
  private final DescriptorStore store;
  private final NamespaceNews news;
  private final Predicate<String> isExported;
  private final Runnable onChange;
  private final Map<String, Subsystem> byNqn = new LinkedHashMap<>();
  private NvmfTransportSpec transport;

  Subsystems(
      final EventLoop loop,
      final Bdevs bdevs,
      final Seats seats,
      final Relay relay,
      final DescriptorStore store,
      final NamespaceNews news,
      final Predicate<String> isExported,
      final Runnable onChange) {
    this.loop = loop;
    this.bdevs = bdevs;
    this.seats = seats;
    this.relay = relay;
    this.store = store;
    this.news = news;
    this.isExported = isExported;
    this.onChange = onChange;
  }

  void createTransport(final NvmfTransportSpec spec) {
    if (transport != null) {
      throw new RpcException(
          RpcException.EEXIST, "Transport type '" + NvmfSpecs.TRANSPORT + "' already exists");
    }
    transport = spec;
  }

  private Subsystem require(final String nqn) {
    final Subsystem subsystem = byNqn.get(nqn);
    if (subsystem == null) {
      throw new RpcException(
          RpcException.ENODEV,
          "there is no subsystem " + nqn + "; nvmf_get_subsystems lists those there are");
    }
    return subsystem;
  }

  void create(final NvmfSubsystemSpec spec) {
    if (byNqn.containsKey(spec.nqn())) {
      throw new RpcException(
          RpcException.EEXIST,
          "there is a subsystem " + spec.nqn() + " already; delete it or choose another name");
    }
    byNqn.put(spec.nqn(), new Subsystem(spec, seats.all().get(0).id()));
  }

  void delete(final String nqn) {
    final Subsystem subsystem = require(nqn);
    for (final String traddr : subsystem.doors().keySet()) {
      requireAlone(traddr);
    }
    for (final Subsystem.Door door : subsystem.doors().values()) {
      close(door, true);
    }
    byNqn.remove(nqn);
    LOG.info("subsystem {} deleted", nqn);
  }

  private void requireAlone(final String traddr) {
    if (!relay.sessionsOf(traddr).isEmpty()) {
      throw new RpcException(
          RpcException.EBUSY,
          "a front-end is connected at "
              + traddr
              + "; unplug the device or stop the virtual machine first");
    }
  }

  void allowAnyHost(final String nqn, final boolean allow) {
    final Subsystem subsystem = require(nqn);
    subsystem.spec(subsystem.spec().withAllowAnyHost(allow));
  }

  /** The subsystem of which a bdev is a namespace, or null. */
  String userOf(final String bdevName) {
    for (final Subsystem subsystem : byNqn.values()) {
      if (subsystem.namespaceOf(bdevName) != null) {
        return subsystem.nqn();
      }
    }
    return null;
  }

  /** Whether a bdev is a namespace of a subsystem that has others. */
  boolean isAmongOthers(final String bdevName) {
    final String user = userOf(bdevName);
    return user != null && byNqn.get(user).namespaces().size() > 1;
  }

  CompletableFuture<NvmfNamespaceSpec> addNamespace(
      final String nqn, final NvmfNamespaceSpec asked) {
    final Subsystem subsystem = require(nqn);
    final BdevEntry bdev = bdevs.require(asked.bdevName(), null);
    final NvmfNamespaceSpec spec = completed(subsystem, bdev, asked);
    place(subsystem, bdev);
    subsystem.namespaces().put(spec.nsid(), new Subsystem.Namespace(spec, bdev.id()));
    LOG.info("subsystem {}: bdev {} is namespace {}", nqn, spec.bdevName(), spec.nsid());
    return tellSessions(subsystem).thenApply(told -> spec);
  }

  private NvmfNamespaceSpec completed(
      final Subsystem subsystem, final BdevEntry bdev, final NvmfNamespaceSpec asked) {
    final String user = userOf(bdev.name());
    if (user != null) {
      throw new RpcException(
          RpcException.EBUSY, "bdev " + bdev.name() + " is a namespace of " + user + " already");
    }
    final int nsid = asked.nsid() == 0 ? subsystem.freeNsid() : asked.nsid();
    if (nsid == 0 || nsid > subsystem.spec().maxNamespaces()) {
      throw new RpcException(
          RpcException.EINVAL,
          "subsystem "
              + subsystem.nqn()
              + " has room for namespaces 1 to "
              + subsystem.spec().maxNamespaces()
              + (nsid == 0 ? ", all in use" : ", not for " + nsid)
              + "; max_namespaces of nvmf_create_subsystem says how many");
    }
    if (subsystem.namespaces().containsKey(nsid)) {
      throw new RpcException(
          RpcException.EEXIST,
          "subsystem "
              + subsystem.nqn()
              + " has a namespace "
              + nsid
              + " already; remove it first");
    }
    final UUID uuid = asked.uuid() == null ? bdev.spec().uuid() : asked.uuid();
    final String nguid = asked.nguid().isEmpty() ? NvmfSpecs.nguidOf(uuid) : asked.nguid();
    requireUnique(subsystem, "uuid", uuid.toString(), spec -> spec.uuid().toString());
    requireUnique(subsystem, "nguid", nguid, NvmfNamespaceSpec::nguid);
    if (!asked.eui64().isEmpty()) {
      requireUnique(subsystem, "eui64", asked.eui64(), NvmfNamespaceSpec::eui64);
    }
    return new NvmfNamespaceSpec(nsid, bdev.name(), uuid, nguid, asked.eui64());
  }

  /** A guest that finds an identifier twice in a subsystem takes one disk for the other. */
  private static void requireUnique(
      final Subsystem subsystem,
      final String what,
      final String value,
      final Function<NvmfNamespaceSpec, String> of) {
    for (final Subsystem.Namespace namespace : subsystem.namespaces().values()) {
      if (of.apply(namespace.spec()).equals(value)) {
        throw new RpcException(
            RpcException.EEXIST,
            "namespace "
                + namespace.spec().nsid()
                + " of "
                + subsystem.nqn()
                + " has the "
                + what
                + " "
                + value
                + "; choose another one");
      }
    }
  }

  /** Brings bdev and subsystem to one seat, by moving whichever of them nobody uses yet. */
  private void place(final Subsystem subsystem, final BdevEntry bdev) {
    if (bdev.seat() == subsystem.seat()) {
      return;
    }
    if (subsystem.namespaces().isEmpty() && sessionsOf(subsystem).isEmpty()) {
      subsystem.seat(bdev.seat());
    } else if (!isExported.test(bdev.name())) {
      bdevs.move(bdev, List.of(seats.seat(subsystem.seat())));
    } else {
      throw new RpcException(
          RpcException.EBUSY,
          "bdev "
              + bdev.name()
              + " is on seat "
              + bdev.seat()
              + ", where a controller exports it, and subsystem "
              + subsystem.nqn()
              + " on seat "
              + subsystem.seat()
              + ": one slave serves all namespaces of a controller; delete the other controller, or"
              + " use a bdev of its own");
    }
  }

  CompletableFuture<Void> removeNamespace(final String nqn, final int nsid) {
    final Subsystem subsystem = require(nqn);
    if (subsystem.namespaces().remove(nsid) == null) {
      throw new RpcException(
          RpcException.ENODEV,
          "subsystem "
              + nqn
              + " has no namespace "
              + nsid
              + "; it has "
              + subsystem.namespaces().keySet());
    }
    LOG.info("subsystem {}: namespace {} removed", nqn, nsid);
    return tellSessions(subsystem);
  }

  private List<FrontEndSession> sessionsOf(final Subsystem subsystem) {
    final List<FrontEndSession> found = new ArrayList<>();
    subsystem.doors().keySet().forEach(traddr -> found.addAll(relay.sessionsOf(traddr)));
    return found;
  }

  private CompletableFuture<Void> tellSessions(final Subsystem subsystem) {
    CompletableFuture<Void> all = CompletableFuture.completedFuture(null);
    for (final FrontEndSession session : sessionsOf(subsystem)) {
      if (session.state() != SessionState.CLOSING) {
        final CompletableFuture<Void> told = news.tell(session, subsystem.describeNamespaces());
        all = all.thenCombine(told, (a, b) -> null);
      }
    }
    return all;
  }

  void addListener(final String nqn, final NvmfListenerSpec spec) {
    final Subsystem subsystem = require(nqn);
    if (transport == null) {
      throw new RpcException(
          RpcException.ENODEV,
          "there is no transport " + NvmfSpecs.TRANSPORT + "; nvmf_create_transport makes it");
    }
    for (final Subsystem other : byNqn.values()) {
      if (other.doors().containsKey(spec.traddr())) {
        throw new RpcException(
            RpcException.EEXIST,
            "subsystem " + other.nqn() + " listens at " + spec.traddr() + " already");
      }
    }
    final Path path = Path.of(spec.traddr(), SOCKET_NAME);
    if (!Listener.fits(path)) {
      throw new RpcException(
          RpcException.EINVAL,
          "the socket's path would be too long: " + path + "; choose a shorter directory");
    }
    try {
      Files.createDirectories(path.getParent());
      subsystem.doors().put(spec.traddr(), new Subsystem.Door(spec, listen(nqn, spec, path)));
    } catch (final IOException e) {
      throw new RpcException(
          RpcException.EINVAL, "the socket " + path + " cannot be made: " + e.getMessage());
    }
    LOG.info("subsystem {} listens at {}", nqn, path);
  }

  /** The socket that the master before left with the service manager, or a new one. */
  private Listener listen(final String nqn, final NvmfListenerSpec spec, final Path path)
      throws IOException {
    final int kept = store.take(storeName(spec));
    Listener listener = null;
    if (kept >= 0) {
      listener = Listener.inherited(loop, path, kept, fd -> onConnected(nqn, spec.traddr(), fd));
    }
    if (listener == null) {
      listener = Listener.stream(loop, path, fd -> onConnected(nqn, spec.traddr(), fd));
    }
    listener.keepIn(store, storeName(spec));
    return listener;
  }

  private static String storeName(final NvmfListenerSpec spec) {
    return "nvmf-" + spec.traddr();
  }

  void removeListener(final String nqn, final String traddr) {
    final Subsystem subsystem = require(nqn);
    if (!subsystem.doors().containsKey(traddr)) {
      throw new RpcException(
          RpcException.ENODEV,
          "subsystem "
              + nqn
              + " does not listen at "
              + traddr
              + "; nvmf_get_subsystems shows where");
    }
    requireAlone(traddr);
    close(subsystem.doors().remove(traddr), true);
  }

  private void close(final Subsystem.Door door, final boolean remove) {
    if (door.listener() != null && remove) {
      door.listener().close();
      store.remove(storeName(door.spec()));
    } else if (door.listener() != null) {
      door.listener().stop();
    }
  }

  private void onConnected(final String nqn, final String traddr, final int fd) {
    final Subsystem subsystem = byNqn.get(nqn);
    final int controllerId = freeControllerId(subsystem);
    if (!subsystem.spec().allowAnyHost() || controllerId == 0) {
      LOG.warn(
          "connection to {} refused: {}",
          traddr,
          controllerId == 0
              ? "no controller id is free"
              : "a vfio-user front-end has no name by which it could be known; allow it with"
                  + " nvmf_subsystem_allow_any_host");
      Fds.close(fd);
      return;
    }
    relay.open(
        SessionDescription.ofNvme(traddr, subsystem.seat(), describe(subsystem, controllerId)), fd);
    onChange.run();
  }

  private int freeControllerId(final Subsystem subsystem) {
    final List<Integer> taken =
        sessionsOf(subsystem).stream()
            .map(session -> session.description().nvme().controllerId())
            .toList();
    for (int id = subsystem.spec().minCntlid(); id <= subsystem.spec().maxCntlid(); id++) {
      if (!taken.contains(id)) {
        return id;
      }
    }
    return 0;
  }

  private NvmeDescription describe(final Subsystem subsystem, final int controllerId) {
    final NvmfSubsystemSpec spec = subsystem.spec();
    final boolean mappable = !transport.disableMappableBar0();
    return new NvmeDescription(
        spec.nqn(),
        spec.serialNumber(),
        spec.modelNumber(),
        controllerId,
        spec.maxNamespaces(),
        mappable,
        // Who stores to mapped doorbells needs no others in its own memory.
        !mappable && !transport.disableShadowDoorbells(),
        transport.maxIoQueuePairs(),
        transport.maxQueueDepth(),
        subsystem.describeNamespaces());
  }

  /** Brings back what the registry says should exist; what cannot be served is logged and stays. */
  void restore(final NvmfState state) {
    transport = state.transport();
    for (final NvmfSubsystem wanted : state.subsystems()) {
      final Subsystem subsystem = new Subsystem(wanted.spec(), seatOf(wanted));
      byNqn.put(subsystem.nqn(), subsystem);
      for (final NvmfNamespaceSpec namespace : wanted.namespaces()) {
        restoreNamespace(subsystem, namespace);
      }
      for (final NvmfListenerSpec listener : wanted.listeners()) {
        try {
          addListener(subsystem.nqn(), listener);
        } catch (final RpcException e) {
          LOG.error("listener {} is not served: {}", listener.traddr(), e.getMessage());
          subsystem.doors().put(listener.traddr(), new Subsystem.Door(listener, null));
        }
      }
      // A change that was not recorded before the master before died never was; some of the slaves
      // may have heard of it.
      final var unused = tellSessions(subsystem);
    }
  }

  /** Where its sessions are served, else where its disks are. */
  private int seatOf(final NvmfSubsystem wanted) {
    for (final NvmfListenerSpec listener : wanted.listeners()) {
      for (final FrontEndSession session : relay.sessionsOf(listener.traddr())) {
        return session.description().seat();
      }
    }
    for (final NvmfNamespaceSpec namespace : wanted.namespaces()) {
      final BdevEntry bdev = bdevs.bdev(namespace.bdevName());
      if (bdev != null) {
        return bdev.seat();
      }
    }
    return seats.all().get(0).id();
  }

  private void restoreNamespace(final Subsystem subsystem, final NvmfNamespaceSpec spec) {
    final BdevEntry bdev = bdevs.bdev(spec.bdevName());
    if (bdev == null) {
      LOG.error(
          "namespace {} of {} is not served: bdev {} is gone",
          spec.nsid(),
          subsystem.nqn(),
          spec.bdevName());
      return;
    }
    try {
      place(subsystem, bdev);
      subsystem.namespaces().put(spec.nsid(), new Subsystem.Namespace(spec, bdev.id()));
    } catch (final RpcException e) {
      LOG.error(
          "namespace {} of {} is not served: {}", spec.nsid(), subsystem.nqn(), e.getMessage());
    }
  }

  /** All of it, as a configuration has it. */
  NvmfState state() {
    return new NvmfState(transport, byNqn.values().stream().map(Subsystem::describe).toList());
  }

  List<NvmfSubsystemInfo> infos() {
    final List<NvmfSubsystemInfo> infos = new ArrayList<>();
    for (final Subsystem subsystem : byNqn.values()) {
      final List<NvmfSubsystemInfo.Controller> controllers = new ArrayList<>();
      for (final FrontEndSession session : sessionsOf(subsystem)) {
        controllers.add(
            new NvmfSubsystemInfo.Controller(
                session.description().nvme().controllerId(),
                session.description().controller(),
                session.id(),
                session.usedQueueCount()));
      }
      infos.add(new NvmfSubsystemInfo(subsystem.describe(), subsystem.seat(), controllers));
    }
    return infos;
  }

  /**
   * Ends all listening.
   *
   * @param remove also the names of the sockets; otherwise a successor replaces them
   */
  void close(final boolean remove) {
    for (final Subsystem subsystem : byNqn.values()) {
      subsystem.doors().values().forEach(door -> close(door, remove));
    }
    byNqn.clear();
  }
}
