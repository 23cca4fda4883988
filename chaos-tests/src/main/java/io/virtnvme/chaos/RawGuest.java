package io.virtnvme.chaos;

import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.BACKEND_REQ;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.CONFIG;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.MQ;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.REPLY_ACK;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.maskOf;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vhostuser.ConfigSpace;
import io.virtnvme.ipc.vhostuser.MemoryTable;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringAddress;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.ipc.virtio.BlkConfig;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDriverQueue;
import io.virtnvme.ipc.virtio.RingDriver;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;

/**
 * A guest with one ring whose every byte the test can reach: memory, ring, each message. It starts
 * sound; the test does the rest. One thread.
 */
final class RawGuest implements AutoCloseable {
  static final long GUEST_BASE = 0x10_0000_0000L;
  static final int QUEUE_SIZE = 64;
  static final long MEMORY_BYTES = 4 << 20;
  private static final long DATA_OFFSET = 1 << 20;
  private static final int SEGMENT_MAX = 4;

  private final RawFrontEnd frontEnd;
  private final boolean packed;
  private final int memoryFd = Memfd.create("raw-guest", MEMORY_BYTES);
  private final Mapping memory = Mapping.map(memoryFd, 0, MEMORY_BYTES);
  private final int kickFd = EventFd.create();
  private final int callFd = EventFd.create();
  private final EventFd eventFd = new EventFd();
  private RingDriver queue;

  private RawGuest(final String socketPath, final boolean packed) {
    this.frontEnd = RawFrontEnd.connect(socketPath);
    this.packed = packed;
  }

  /** Connected and negotiated, with memory and queue, but no ring was set up. */
  static RawGuest negotiated(final String socketPath, final boolean packed) {
    final RawGuest guest = new RawGuest(socketPath, packed);
    guest.negotiate();
    return guest;
  }

  /** Connected with a ring that runs. */
  static RawGuest running(final String socketPath, final boolean packed) {
    final RawGuest guest = negotiated(socketPath, packed);
    guest.sendMemory(MEMORY_BYTES);
    guest.startRing(guest.addressMessage(0));
    return guest;
  }

  RawFrontEnd frontEnd() {
    return frontEnd;
  }

  private void negotiate() {
    final long offered = frontEnd.callU64(VhostUserRequest.GET_FEATURES);
    final long features =
        offered
            & VirtioFeature.of(
                VirtioFeature.VERSION_1,
                VirtioFeature.PROTOCOL_FEATURES,
                VirtioFeature.RING_INDIRECT_DESC,
                packed ? VirtioFeature.RING_PACKED : VirtioFeature.VERSION_1);
    final long protocol =
        frontEnd.callU64(VhostUserRequest.GET_PROTOCOL_FEATURES)
            & maskOf(MQ, REPLY_ACK, CONFIG, BACKEND_REQ);
    frontEnd.send(VhostUserMessage.requestU64(VhostUserRequest.SET_PROTOCOL_FEATURES, 0, protocol));
    frontEnd.sendAcknowledged(VhostUserMessage.request(VhostUserRequest.SET_OWNER, 0, 0));
    frontEnd.sendAcknowledged(
        VhostUserMessage.requestU64(VhostUserRequest.SET_FEATURES, 0, features));
    queue =
        packed
            ? new PackedDriverQueue(memory.address(), GUEST_BASE, QUEUE_SIZE, features, SEGMENT_MAX)
            : new SplitDriverQueue(memory.address(), GUEST_BASE, QUEUE_SIZE, features, SEGMENT_MAX);
  }

  /** Gives the back-end a table that says the memory is so long. */
  void sendMemory(final long lengthBytes) {
    frontEnd.sendAcknowledged(memoryMessage(lengthBytes), memoryFd);
  }

  byte[] memoryMessage(final long lengthBytes) {
    final byte[] message =
        VhostUserMessage.request(VhostUserRequest.SET_MEM_TABLE, 0, MemoryTable.length(1));
    MemoryTable.putCount(message, 1);
    MemoryTable.putRegion(message, 0, GUEST_BASE, lengthBytes, memory.address(), 0);
    return message;
  }

  int memoryFd() {
    return memoryFd;
  }

  /** SET_VRING_ADDR for the queue, moved by so many bytes from where it is. */
  byte[] addressMessage(final long shiftBytes) {
    final byte[] message =
        VhostUserMessage.request(VhostUserRequest.SET_VRING_ADDR, 0, VringAddress.LENGTH);
    VringAddress.put(
        message,
        0,
        0,
        toHost(queue.descriptorGuestAddress()) + shiftBytes,
        toHost(queue.deviceAreaGuestAddress()) + shiftBytes,
        toHost(queue.driverAreaGuestAddress()) + shiftBytes,
        0);
    return message;
  }

  static byte[] stateMessage(final VhostUserRequest request, final int index, final int value) {
    final byte[] message = VhostUserMessage.request(request, 0, VringState.LENGTH);
    VringState.put(message, index, value);
    return message;
  }

  /** Sets the ring up and enables it; every message is acknowledged. */
  void startRing(final byte[] address) {
    prepareRing();
    frontEnd.sendAcknowledged(address);
    frontEnd.sendAcknowledged(stateMessage(VhostUserRequest.SET_VRING_ENABLE, 0, 1));
  }

  /** Everything that a ring needs but its addresses and permission. */
  void prepareRing() {
    frontEnd.sendAcknowledged(stateMessage(VhostUserRequest.SET_VRING_NUM, 0, QUEUE_SIZE));
    frontEnd.sendAcknowledged(
        stateMessage(VhostUserRequest.SET_VRING_BASE, 0, queue.initialBase()));
    frontEnd.sendAcknowledged(
        VhostUserMessage.requestU64(VhostUserRequest.SET_VRING_KICK, 0, 0), kickFd);
    frontEnd.sendAcknowledged(callMessage(), callFd);
  }

  byte[] callMessage() {
    return VhostUserMessage.requestU64(VhostUserRequest.SET_VRING_CALL, 0, 0);
  }

  int callFd() {
    return callFd;
  }

  RingDriver queue() {
    return queue;
  }

  long toHost(final long guestAddress) {
    return guestAddress - GUEST_BASE + memory.address();
  }

  /** Guest address of memory that holds no ring, for data. */
  static long dataGuestAddress() {
    return GUEST_BASE + DATA_OFFSET;
  }

  long dataHostAddress() {
    return toHost(dataGuestAddress());
  }

  void kick() {
    eventFd.signal(kickFd);
  }

  /** Puts one request with one segment in the ring, for the device to see; its token. */
  int submit(
      final int type,
      final long sector,
      final long guestAddress,
      final int length,
      final boolean deviceWrites) {
    final int token = queue.begin(type, sector);
    if (length != 0) {
      queue.data(guestAddress, length, deviceWrites);
    }
    if (token == DriverQueue.NONE || !queue.add()) {
      throw new AssertionError("no room in the ring");
    }
    queue.publish();
    kick();
    return token;
  }

  /** One request from start to end; its status byte. */
  int transfer(final int type, final long sector, final int length, final boolean deviceWrites) {
    final int token = submit(type, sector, dataGuestAddress(), length, deviceWrites);
    return awaitStatus(token);
  }

  /** The status of a request, which must be the next to complete. */
  int awaitStatus(final int token) {
    Waiting.until(
        "request " + token + " completes", RawFrontEnd.LIMIT, () -> queue.poll() == token);
    final int status = queue.status(token);
    queue.reclaim(token);
    return status;
  }

  /** The disk's capacity as the configuration space tells it, in sectors of 512 bytes. */
  long capacitySectors() {
    final byte[] reply = frontEnd.call(configMessage(BlkConfig.CAPACITY_OFFSET, Long.BYTES));
    return ByteBuffer.wrap(reply).order(ByteOrder.LITTLE_ENDIAN).getLong(ConfigSpace.bytesIndex());
  }

  /** GET_CONFIG of a range. */
  static byte[] configMessage(final int offset, final int length) {
    final byte[] message =
        VhostUserMessage.request(VhostUserRequest.GET_CONFIG, 0, ConfigSpace.length(length));
    ConfigSpace.put(message, offset, length, 0);
    return message;
  }

  boolean isHungUpWithin(final Duration limit) {
    return frontEnd.isHungUpWithin(limit);
  }

  /** Cuts the memory short; this process must not touch what is cut off. */
  void cutMemory(final long lengthBytes) {
    Fds.truncate(memoryFd, lengthBytes);
  }

  void fillData(final int length, final byte value) {
    Mem.fill(dataHostAddress(), length, value);
  }

  @Override
  public void close() {
    frontEnd.close();
    Fds.close(kickFd);
    Fds.close(callFd);
    Fds.close(memoryFd);
    memory.close();
    eventFd.free();
  }
}
