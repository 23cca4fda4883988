package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.vfiouser.DmaMap;
import io.virtnvme.ipc.vfiouser.DmaUnmap;
import io.virtnvme.ipc.vfiouser.IrqSet;
import io.virtnvme.ipc.vfiouser.PciIrq;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.RegionAccess;
import io.virtnvme.ipc.vfiouser.RegionInfo;
import io.virtnvme.ipc.vfiouser.SparseMmap;
import io.virtnvme.ipc.vfiouser.VersionCapabilities;
import io.virtnvme.ipc.vfiouser.VersionPayload;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.function.Consumer;
import java.util.function.LongConsumer;

/**
 * The vfio-user front-end, as QEMU plays it: negotiates, gives memory and interrupts, maps the
 * doorbells, and carries the driver's register accesses. One command at a time but for doorbells.
 * When it is cut off, its machine is started anew: vfio-user knows no second connection.
 */
final class SimNvmeFrontEnd implements NvmeRegisters {
  /** A command, and what is done with its reply. */
  @SuppressWarnings("ArrayRecordComponent") // never changed
  private record Step(byte[] message, int[] fds, Consumer<Connection.Reply> onReply) {}

  private static final int REGION_INFO_ARGSZ = 1024;

  private final World world;
  private final SimNvmeGuest guest;
  private final Deque<Step> script = new ArrayDeque<>();
  private Connection connection;
  private Step awaited;
  private Mapping doorbells;
  private int lastId;

  SimNvmeFrontEnd(final World world, final SimNvmeGuest guest) {
    this.world = world;
    this.guest = guest;
  }

  boolean isSettled() {
    return connection != null
        && !connection.broken
        && script.isEmpty()
        && awaited == null
        && connection.messages.isEmpty();
  }

  void hangUp() {
    if (connection != null) {
      connection.hungUp = true;
      cutOff();
    }
  }

  private void cutOff() {
    connection.closeReplies();
    connection = null;
    awaited = null;
    script.clear();
    if (doorbells != null) {
      doorbells.close();
      doorbells = null;
    }
    guest.powerOff();
  }

  /** One action. */
  void step() {
    if (connection != null && connection.broken) {
      world.trace().note("cut off", connection.sessionId);
      cutOff();
    }
    if (connection == null) {
      connect();
    } else if (awaited != null) {
      final Connection.Reply reply = connection.replies.poll();
      if (reply != null) {
        final Step answered = awaited;
        awaited = null;
        if (VfioUserMessage.isRefusal(reply.bytes)
            || VfioUserMessage.id(reply.bytes) != VfioUserMessage.id(answered.message)) {
          throw new Violation(
              "refused, or a reply to another command: "
                  + VfioUserCommand.of(VfioUserMessage.commandCode(answered.message))
                  + " errno="
                  + VfioUserMessage.error(reply.bytes));
        }
        answered.onReply.accept(reply);
        Letter.closeAll(reply.fds);
      }
    } else if (!script.isEmpty()) {
      awaited = script.remove();
      send(awaited.message, awaited.fds);
    }
  }

  private void send(final byte[] message, final int[] fds) {
    connection.messages.add(
        new Connection.Message(message, Arrays.stream(fds).map(Fds::duplicate).toArray()));
  }

  private void ask(
      final byte[] message, final Consumer<Connection.Reply> onReply, final int... fds) {
    script.add(new Step(message, fds, onReply));
  }

  private byte[] command(final VfioUserCommand command, final int payloadLength) {
    lastId = (lastId + 1) & 0xFFFF;
    return VfioUserMessage.command(command, lastId, 0, payloadLength);
  }

  private void connect() {
    connection = new Connection();
    world.connect(connection);
    guest.powerOn();
    final byte[] version =
        VersionPayload.withText(
            command(VfioUserCommand.VERSION, 0),
            new VersionCapabilities(8, 1 << 20, 65535, 4096, true).text());
    VersionPayload.put(version, VersionPayload.VERSION_MAJOR, VersionPayload.VERSION_MINOR);
    ask(version, reply -> guest.predecessorEnded());
    map(guest.memory.queues, () -> {});
    map(guest.memory.data, () -> {});
    map(guest.memory.extra, () -> {});
    if (world.plan().nvme().mappedDoorbells()) {
      final byte[] info = command(VfioUserCommand.DEVICE_GET_REGION_INFO, RegionInfo.LENGTH);
      RegionInfo.put(info, REGION_INFO_ARGSZ, 0, PciRegion.BAR0, 0, 0, 0);
      ask(info, this::mapDoorbells);
    }
    final byte[] irqs = command(VfioUserCommand.DEVICE_SET_IRQS, IrqSet.LENGTH);
    IrqSet.put(
        irqs,
        IrqSet.LENGTH,
        IrqSet.DATA_EVENTFD_FLAG | IrqSet.ACTION_TRIGGER_FLAG,
        PciIrq.MSIX,
        0,
        guest.vectorFds.length);
    ask(irqs, reply -> guest.bringUp(), guest.vectorFds);
  }

  private void mapDoorbells(final Connection.Reply reply) {
    final int capability = RegionInfo.capOffset(reply.bytes);
    if (reply.fds.length != 1 || capability == 0) {
      throw new Violation("the doorbells cannot be mapped");
    }
    doorbells =
        Mapping.map(
            reply.fds[0],
            RegionInfo.offset(reply.bytes) + SparseMmap.areaOffset(reply.bytes, capability),
            SparseMmap.areaSize(reply.bytes, capability));
  }

  private void map(final SimGuest.Region region, final Runnable after) {
    final byte[] message = command(VfioUserCommand.DMA_MAP, DmaMap.LENGTH);
    DmaMap.put(
        message,
        DmaMap.LENGTH,
        DmaMap.READ_FLAG | DmaMap.WRITE_FLAG,
        0,
        region.guestAddress,
        region.mapping.lengthBytes());
    ask(message, reply -> after.run(), region.fd);
  }

  private void unmap(final SimGuest.Region region, final Runnable after) {
    final byte[] message = command(VfioUserCommand.DMA_UNMAP, DmaUnmap.LENGTH);
    DmaUnmap.put(message, DmaUnmap.LENGTH, 0, region.guestAddress, region.mapping.lengthBytes());
    ask(message, reply -> after.run());
  }

  @Override
  public void write(final int offset, final int width, final long value, final Runnable whenDone) {
    ask(writeMessage(0, offset, width, value), reply -> whenDone.run());
  }

  private byte[] writeMessage(
      final int flags, final int offset, final int width, final long value) {
    lastId = (lastId + 1) & 0xFFFF;
    final byte[] message =
        VfioUserMessage.command(
            VfioUserCommand.REGION_WRITE, lastId, flags, RegionAccess.LENGTH + width);
    RegionAccess.put(message, offset, PciRegion.BAR0, width);
    for (int i = 0; i < width; i++) {
      message[RegionAccess.DATA_OFFSET + i] = (byte) (value >>> (8 * i));
    }
    return message;
  }

  @Override
  public void read(final int offset, final int width, final LongConsumer whenRead) {
    final byte[] message = command(VfioUserCommand.REGION_READ, RegionAccess.LENGTH);
    RegionAccess.put(message, offset, PciRegion.BAR0, width);
    ask(
        message,
        reply -> {
          long value = 0;
          for (int i = 0; i < width; i++) {
            value |= (reply.bytes[RegionAccess.DATA_OFFSET + i] & 0xFFL) << (8 * i);
          }
          whenRead.accept(value);
        });
  }

  @Override
  public void ring(final int offset, final int value) {
    if (doorbells != null) {
      Mem.putIntRelease(doorbells.address() + offset, value);
    } else {
      send(
          writeMessage(
              VfioUserMessage.NO_REPLY_FLAG, Doorbells.BASE_OFFSET + offset, Integer.BYTES, value),
          new int[0]);
    }
  }

  @Override
  public void reset(final Runnable whenDone) {
    ask(command(VfioUserCommand.DEVICE_RESET, 0), reply -> whenDone.run());
  }

  @Override
  public void moveQueues(final Runnable whenDone) {
    unmap(guest.memory.queues, () -> {});
    map(guest.memory.queues, whenDone);
  }

  @Override
  public void plug(final boolean isPlugged, final Runnable whenDone) {
    if (isPlugged) {
      map(guest.memory.extra, whenDone);
    } else {
      unmap(guest.memory.extra, whenDone);
    }
  }
}
