package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.vhostuser.InflightArea;
import io.virtnvme.ipc.vhostuser.MemoryTable;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringAddress;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.ipc.virtio.RingDriver;
import io.virtnvme.ipc.virtio.UsedRing;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * The vhost-user front-end, as QEMU plays it: sets a session up, stops and starts rings, changes
 * the memory map, keeps the inflight region, and connects again when it is cut off.
 */
final class SimFrontEnd implements AutoCloseable {
  /** Something to send, and what is done with the reply (null: none comes). */
  private record Step(
      Supplier<Connection.Message> message, Consumer<Connection.Reply> onReply, Runnable after) {}

  private static final int BURST = 8;

  private final World world;
  private final Plan plan;
  private final SimGuest guest;
  private final Deque<Step> script = new ArrayDeque<>();
  private final int[] bases;
  private Connection connection;
  private Step awaited;
  private Fault.Kind wanted;
  private boolean unplugging;
  private boolean plugged = true;
  private int inflightFd = -1;
  private long inflightLength;

  SimFrontEnd(final World world, final SimGuest guest) {
    this.world = world;
    this.plan = world.plan();
    this.guest = guest;
    this.bases = new int[plan.queueCount()];
    for (int i = 0; i < bases.length; i++) {
      bases[i] = guest.drivers[i].initialBase();
    }
  }

  /** Asks for a change of rings or memory, as soon as nothing else is going on. */
  void want(final Fault.Kind kind) {
    if (wanted == null) {
      wanted = kind;
    }
  }

  /** Whether nothing is going on and nothing is wanted. */
  boolean isSettled() {
    return connection != null
        && !connection.broken
        && script.isEmpty()
        && awaited == null
        && wanted == null
        && connection.messages.isEmpty();
  }

  void hangUp() {
    if (connection != null) {
      connection.hungUp = true;
      connection.closeReplies();
      connection = null;
    }
  }

  /** One action. */
  void step() {
    if (connection != null && connection.broken) {
      world.trace().note("cut off", connection.sessionId);
      connection.closeReplies();
      connection = null;
    }
    if (connection == null) {
      connect();
    } else if (awaited != null) {
      readReply();
    } else if (!script.isEmpty()) {
      // Messages without a reply go out one after the other.
      for (int i = 0; i < BURST && awaited == null && !script.isEmpty(); i++) {
        send(script.remove());
      }
    } else if (wanted != null) {
      begin();
    }
  }

  private void send(final Step next) {
    final Connection.Message message = next.message().get();
    connection.messages.add(
        new Connection.Message(
            message.bytes, Arrays.stream(message.fds).map(Fds::duplicate).toArray()));
    if (next.onReply() != null) {
      awaited = next;
    } else {
      next.after().run();
    }
  }

  private void readReply() {
    final Connection.Reply reply = connection.replies.poll();
    if (reply == null) {
      return;
    }
    final Step answered = awaited;
    awaited = null;
    answered.onReply().accept(reply);
    answered.after().run();
  }

  private void connect() {
    connection = new Connection();
    world.connect(connection);
    script.clear();
    awaited = null;
    guest.paused(false);
    if (unplugging) {
      // The new session is never told of that memory.
      unplugged();
    }
    if (plugged && wanted != Fault.Kind.PLUG) {
      guest.extraAllowed(true);
    }
    tell(VhostUserRequest.SET_OWNER);
    tell(VhostUserRequest.SET_FEATURES, guest.features());
    tell(
        VhostUserRequest.SET_PROTOCOL_FEATURES,
        VhostUserProtocolFeature.maskOf(
                VhostUserProtocolFeature.MQ,
                VhostUserProtocolFeature.REPLY_ACK,
                VhostUserProtocolFeature.CONFIG)
            | (plan.frontEndsRegion() ? VhostUserProtocolFeature.INFLIGHT_SHMFD.mask() : 0)
            | (plan.memorySlots() ? VhostUserProtocolFeature.CONFIGURE_MEM_SLOTS.mask() : 0));
    if (plan.memorySlots()) {
      region(VhostUserRequest.ADD_MEM_REG, guest.rings, () -> {});
      if (plugged) {
        region(VhostUserRequest.ADD_MEM_REG, guest.extra, () -> {});
      }
    } else {
      table(() -> {});
    }
    askRegion(false);
    setUpRings(true);
  }

  private void begin() {
    final Fault.Kind kind = wanted;
    switch (kind) {
      case PAUSE -> {
        stopRings(() -> {});
        resumeRings();
        wanted = null;
      }
      case NEW_REGION -> {
        stopRings(this::dropRegion);
        askRegion(true);
        resumeRings();
        wanted = null;
      }
      case RESET -> {
        stopRings(
            () -> {
              dropRegion();
              guest.resetRings();
              for (int i = 0; i < bases.length; i++) {
                bases[i] = guest.drivers[i].initialBase();
              }
            });
        askRegion(true);
        setUpRings(false);
        wanted = null;
      }
      case PLUG -> changeMemory();
      default -> wanted = null;
    }
    if (wanted == null) {
      world.trace().note(kind.name());
    }
  }

  private void changeMemory() {
    if (!plugged) {
      wanted = null;
      plugged = true;
      final Runnable after = () -> guest.extraAllowed(true);
      guest.checkPoison();
      if (plan.memorySlots()) {
        region(VhostUserRequest.ADD_MEM_REG, guest.extra, after);
      } else {
        table(after);
      }
      return;
    }
    guest.extraAllowed(false);
    if (guest.usesExtra()) {
      return;
    }
    wanted = null;
    plugged = false;
    unplugging = true;
    if (plan.memorySlots()) {
      region(VhostUserRequest.REM_MEM_REG, guest.extra, this::unplugged);
    } else {
      table(this::unplugged);
    }
  }

  private void unplugged() {
    unplugging = false;
    guest.poisonExtra();
  }

  /** The region that the rings have is done with. */
  private void dropRegion() {
    Fds.close(inflightFd);
    inflightFd = -1;
  }

  private void stopRings(final Runnable after) {
    guest.paused(true);
    for (int i = 0; i < bases.length; i++) {
      final int queue = i;
      final boolean last = i == bases.length - 1;
      ask(
          () -> state(VhostUserRequest.GET_VRING_BASE, queue, 0),
          reply -> bases[queue] = VringState.num(reply.bytes),
          last ? after : () -> {});
    }
  }

  private void resumeRings() {
    for (int i = 0; i < bases.length; i++) {
      final int queue = i;
      tell(() -> state(VhostUserRequest.SET_VRING_BASE, queue, bases[queue]));
      eventFd(VhostUserRequest.SET_VRING_KICK, queue, guest.kickFds[queue]);
    }
    tell(() -> new Connection.Message(owner(), new int[0]), () -> guest.paused(false));
  }

  private static byte[] owner() {
    return VhostUserMessage.request(VhostUserRequest.SET_OWNER, 0, 0);
  }

  private void setUpRings(final boolean again) {
    for (int i = 0; i < bases.length; i++) {
      final int queue = i;
      tell(() -> state(VhostUserRequest.SET_VRING_NUM, queue, plan.queueSize()));
      tell(() -> state(VhostUserRequest.SET_VRING_BASE, queue, again ? base(queue) : bases[queue]));
      tell(
          () -> {
            final byte[] message =
                VhostUserMessage.request(VhostUserRequest.SET_VRING_ADDR, 0, VringAddress.LENGTH);
            final RingDriver driver = guest.drivers[queue];
            VringAddress.put(
                message,
                queue,
                0,
                user(driver.descriptorGuestAddress()),
                user(driver.deviceAreaGuestAddress()),
                user(driver.driverAreaGuestAddress()),
                0);
            return new Connection.Message(message, new int[0]);
          });
      eventFd(VhostUserRequest.SET_VRING_KICK, queue, guest.kickFds[queue]);
      eventFd(VhostUserRequest.SET_VRING_CALL, queue, guest.callFds[queue]);
      tell(() -> state(VhostUserRequest.SET_VRING_ENABLE, queue, 1));
    }
    tell(() -> new Connection.Message(owner(), new int[0]), () -> guest.paused(false));
  }

  /** After a cut: of a split ring the used index; of a packed one nothing newer is known. */
  private int base(final int queue) {
    return plan.packed()
        ? bases[queue]
        : Mem.getUnsignedShort(
            guest.rings.host(guest.drivers[queue].deviceAreaGuestAddress())
                + UsedRing.INDEX_OFFSET);
  }

  private long user(final long guestAddress) {
    return guestAddress - guest.rings.guestAddress + guest.rings.userAddress;
  }

  private void askRegion(final boolean fresh) {
    if (!plan.frontEndsRegion()) {
      return;
    }
    if (fresh || inflightFd < 0) {
      ask(
          () -> inflight(VhostUserRequest.GET_INFLIGHT_FD, 0, new int[0]),
          reply -> {
            inflightLength = InflightArea.mmapSize(reply.bytes);
            inflightFd = reply.fds[0];
          },
          () -> {});
    }
    tell(() -> inflight(VhostUserRequest.SET_INFLIGHT_FD, inflightLength, new int[] {inflightFd}));
  }

  private Connection.Message inflight(
      final VhostUserRequest request, final long lengthBytes, final int[] fds) {
    final byte[] message = VhostUserMessage.request(request, 0, InflightArea.PADDED_LENGTH);
    InflightArea.put(message, lengthBytes, 0, plan.queueCount(), plan.queueSize());
    return new Connection.Message(message, fds);
  }

  private void region(
      final VhostUserRequest request, final SimGuest.Region region, final Runnable after) {
    ask(
        () -> {
          final byte[] message =
              VhostUserMessage.request(
                  request, VhostUserMessage.NEED_REPLY_FLAG, MemoryTable.SINGLE_LENGTH);
          MemoryTable.putRegion(
              message, 0, region.guestAddress, region.mapping.lengthBytes(), region.userAddress, 0);
          return new Connection.Message(
              message,
              request == VhostUserRequest.REM_MEM_REG ? new int[0] : new int[] {region.fd});
        },
        SimFrontEnd::requireDone,
        after);
  }

  private void table(final Runnable after) {
    ask(
        () -> {
          final List<SimGuest.Region> regions = new ArrayList<>(List.of(guest.rings));
          if (plugged) {
            regions.add(guest.extra);
          }
          final byte[] message =
              VhostUserMessage.request(
                  VhostUserRequest.SET_MEM_TABLE,
                  VhostUserMessage.NEED_REPLY_FLAG,
                  MemoryTable.length(regions.size()));
          MemoryTable.putCount(message, regions.size());
          for (int i = 0; i < regions.size(); i++) {
            MemoryTable.putRegion(
                message,
                i,
                regions.get(i).guestAddress,
                regions.get(i).mapping.lengthBytes(),
                regions.get(i).userAddress,
                0);
          }
          return new Connection.Message(
              message, regions.stream().mapToInt(region -> region.fd).toArray());
        },
        SimFrontEnd::requireDone,
        after);
  }

  private static void requireDone(final Connection.Reply reply) {
    if (VhostUserMessage.u64(reply.bytes) != 0) {
      throw new Violation("a change of the memory map was refused");
    }
  }

  private static Connection.Message state(
      final VhostUserRequest request, final int queue, final int value) {
    final byte[] message = VhostUserMessage.request(request, 0, VringState.LENGTH);
    VringState.put(message, queue, value);
    return new Connection.Message(message, new int[0]);
  }

  private void eventFd(final VhostUserRequest request, final int queue, final int fd) {
    tell(
        () ->
            new Connection.Message(VhostUserMessage.requestU64(request, 0, queue), new int[] {fd}));
  }

  private void tell(final VhostUserRequest request) {
    tell(() -> new Connection.Message(VhostUserMessage.request(request, 0, 0), new int[0]));
  }

  private void tell(final VhostUserRequest request, final long value) {
    tell(() -> new Connection.Message(VhostUserMessage.requestU64(request, 0, value), new int[0]));
  }

  private void tell(final Supplier<Connection.Message> message) {
    tell(message, () -> {});
  }

  private void tell(final Supplier<Connection.Message> message, final Runnable after) {
    script.add(new Step(message, null, after));
  }

  private void ask(
      final Supplier<Connection.Message> message,
      final Consumer<Connection.Reply> onReply,
      final Runnable after) {
    script.add(new Step(message, onReply, after));
  }

  /** After everything has ended. */
  void checkEnd() {
    if (!plugged) {
      guest.checkPoison();
    }
  }

  @Override
  public void close() {
    hangUp();
    Fds.close(inflightFd);
  }
}
