package io.virtnvme.ipc.vhostuser;

import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.CONFIG;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.CONFIGURE_MEM_SLOTS;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.INFLIGHT_SHMFD;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.MQ;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.REPLY_ACK;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.STATUS;
import static io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature.maskOf;

import io.virtnvme.ipc.disk.DiskFrontEnd;
import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.virtio.BlkConfig;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDriverQueue;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.UsedRing;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A vhost-user front-end without a VM: for load clients, benchmarks and tests, against any
 * vhost-user-blk back-end.
 *
 * <p>{@link #connect} negotiates, makes the guest memory (one memfd with the rings in front and
 * room for data behind), hands over eventfds and starts the rings; these calls block, within the
 * configured time limit per message. Afterwards the caller polls {@link #queue} without allocation
 * and calls {@link #kick} when the queue says so. One thread uses an instance.
 */
public final class VhostUserFrontEnd implements DiskFrontEnd {
  private static final long F_INDIRECT = VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC);
  private static final long F_EVENT_IDX = VirtioFeature.of(VirtioFeature.RING_EVENT_IDX);
  private static final long F_PROTOCOL = VirtioFeature.of(VirtioFeature.PROTOCOL_FEATURES);
  private static final long F_VERSION_1 = VirtioFeature.of(VirtioFeature.VERSION_1);
  private static final long F_RING_PACKED = VirtioFeature.of(VirtioFeature.RING_PACKED);
  private static final long DEVICE_FEATURES_MASK = (1L << 24) - 1;

  private static final int STATUS_ACKNOWLEDGE = 1;
  private static final int STATUS_DRIVER = 2;
  private static final int STATUS_DRIVER_OK = 4;
  private static final int STATUS_FEATURES_OK = 8;

  /** Not 0, so that a back-end which mixes up guest and user addresses is found out. */
  private static final long GUEST_BASE = 0x10_0000_0000L;

  private static final int INFLIGHT_LENGTH_MAX = 1 << 28;

  private final VhostUserFrontEndConfig config;
  private final Mapping memory;
  private final int memoryFd;
  private final List<DriverQueue> queues = new ArrayList<>();
  private final int[] kickFds;
  private final int[] callFds;
  private final EventFd eventFd = new EventFd();

  private VhostUserFrontEndConnection connection;
  private long features;
  private long protocolFeatures;
  private long dataOffset;
  private int inflightFd = -1;
  private long inflightLength;
  private long inflightOffset;
  private boolean started;
  private boolean closed;

  private VhostUserFrontEnd(final VhostUserFrontEndConfig config) {
    this.config = config;
    final String name = "virtnvme-front-end";
    memoryFd =
        config.hugePages()
            ? Memfd.createHuge(name, config.memoryBytes())
            : Memfd.create(name, config.memoryBytes());
    memory = Mapping.mapPopulated(memoryFd, 0, config.memoryBytes());
    kickFds = new int[config.queueCount()];
    callFds = new int[config.queueCount()];
    for (int i = 0; i < kickFds.length; i++) {
      kickFds[i] = EventFd.create();
      callFds[i] = EventFd.create();
    }
  }

  /**
   * Connects, negotiates and starts every ring.
   *
   * @throws VhostUserFrontEndException when nobody listens, the back-end lacks what was asked for,
   *     answers wrongly or not in time
   * @throws IllegalArgumentException for a configuration out of range
   */
  public static VhostUserFrontEnd connect(final VhostUserFrontEndConfig config) {
    config.conclude();
    final VhostUserFrontEnd frontEnd = new VhostUserFrontEnd(config);
    try {
      frontEnd.open();
      frontEnd.createQueues();
      frontEnd.start();
      return frontEnd;
    } catch (final RuntimeException e) {
      frontEnd.close();
      throw e;
    }
  }

  /**
   * Connects anew after the back-end went away, as QEMU does: same memory, rings and inflight
   * region; each split ring goes on from its used index, a packed one from what the inflight region
   * says. Requests that were in flight stay so: {@link #queue} brings their completions. Then kicks
   * every queue once, as kicks may have been lost.
   *
   * @throws VhostUserFrontEndException as {@link #connect}; also when the new back-end does not
   *     offer what was negotiated with the old one. May be called again.
   */
  public void reconnect() {
    disconnect();
    final long featuresBefore = features;
    open();
    final long featuresNow = features;
    if (featuresNow != featuresBefore) {
      features = featuresBefore;
      throw new VhostUserFrontEndException(
          "the back-end offers other features than before: before=0x"
              + Long.toHexString(featuresBefore)
              + " now=0x"
              + Long.toHexString(featuresNow),
          false);
    }
    start();
    for (int i = 0; i < kickFds.length; i++) {
      kick(i);
    }
  }

  @Override
  public boolean tryReconnect() {
    try {
      reconnect();
      return true;
    } catch (final VhostUserFrontEndException e) {
      if (e.disconnected()) {
        return false;
      }
      throw new IllegalStateException("cannot reconnect: " + e.getMessage(), e);
    }
  }

  @Override
  public long capacityBytes() {
    final byte[] config = readConfig(BlkConfig.LENGTH);
    return LittleEndian.getLong(config, BlkConfig.CAPACITY_OFFSET) * BlkRequest.SECTOR_BYTES;
  }

  /**
   * False once the back-end has hung up. A system call, so not for every turn of a polling loop.
   */
  @Override
  public boolean isConnected() {
    return connection != null && connection.isOpen();
  }

  /** Process that listens on the back-end's socket, as of the last connection. */
  @Override
  public int peerPid() {
    return connection.peerPid();
  }

  private void open() {
    connection = VhostUserFrontEndConnection.connect(config.socketPath(), config.timeoutMs());
    final long offered = connection.callForLong(VhostUserRequest.GET_FEATURES);
    final long wanted =
        (config.deviceFeatures() & DEVICE_FEATURES_MASK)
            | F_VERSION_1
            | F_PROTOCOL
            | (config.packed() ? F_RING_PACKED : 0)
            | (config.indirect() ? F_INDIRECT : 0)
            | (config.eventIdx() ? F_EVENT_IDX : 0);
    features = offered & wanted;
    require(F_VERSION_1, "virtio 1 (VIRTIO_F_VERSION_1)");
    require(F_PROTOCOL, "protocol features (VHOST_USER_F_PROTOCOL_FEATURES)");
    if (config.packed()) {
      require(F_RING_PACKED, "packed rings (VIRTIO_F_RING_PACKED)");
    }
    negotiateProtocol();
    connection.send(VhostUserMessage.request(VhostUserRequest.SET_OWNER, 0, 0));
    if (MQ.isIn(protocolFeatures)) {
      final long queueCountMax = connection.callForLong(VhostUserRequest.GET_QUEUE_NUM);
      if (config.queueCount() > queueCountMax) {
        throw new VhostUserFrontEndException(
            "too many queues for this back-end: wanted="
                + config.queueCount()
                + " most="
                + queueCountMax,
            false);
      }
    }
    status(STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    connection.send(VhostUserMessage.requestU64(VhostUserRequest.SET_FEATURES, 0, features));
    status(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
  }

  private void negotiateProtocol() {
    final long offered = connection.callForLong(VhostUserRequest.GET_PROTOCOL_FEATURES);
    final long wanted =
        maskOf(MQ, CONFIG, STATUS)
            | (config.replyAck() ? REPLY_ACK.mask() : 0)
            | (config.inflight() ? INFLIGHT_SHMFD.mask() : 0)
            | (config.memorySlots() ? CONFIGURE_MEM_SLOTS.mask() : 0);
    protocolFeatures = offered & wanted;
    connection.send(
        VhostUserMessage.requestU64(VhostUserRequest.SET_PROTOCOL_FEATURES, 0, protocolFeatures));
    connection.acknowledged(REPLY_ACK.isIn(protocolFeatures));
  }

  private void createQueues() {
    final int queueSize = config.queueSize();
    final int segmentMax = config.segmentMax();
    final long queueBytes =
        pageAlign(
            config.packed()
                ? PackedDriverQueue.length(queueSize, segmentMax)
                : SplitDriverQueue.length(queueSize, segmentMax));
    dataOffset = queueBytes * config.queueCount();
    if (dataOffset > config.memoryBytes()) {
      throw new IllegalArgumentException(
          "guest memory too small for the rings: bytes="
              + config.memoryBytes()
              + " needed="
              + dataOffset);
    }
    for (int i = 0; i < config.queueCount(); i++) {
      final long host = memory.address() + i * queueBytes;
      final long guest = GUEST_BASE + i * queueBytes;
      queues.add(
          config.packed()
              ? new PackedDriverQueue(host, guest, queueSize, features, segmentMax)
              : new SplitDriverQueue(host, guest, queueSize, features, segmentMax));
    }
  }

  private void start() {
    sendMemory();
    if (INFLIGHT_SHMFD.isIn(protocolFeatures)) {
      sendInflight();
    }
    for (int i = 0; i < queues.size(); i++) {
      startRing(i, queues.get(i));
    }
    status(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
    started = true;
  }

  private void sendMemory() {
    final boolean slots = CONFIGURE_MEM_SLOTS.isIn(protocolFeatures);
    final byte[] message =
        slots
            ? VhostUserMessage.request(VhostUserRequest.ADD_MEM_REG, 0, MemoryTable.SINGLE_LENGTH)
            : VhostUserMessage.request(VhostUserRequest.SET_MEM_TABLE, 0, MemoryTable.length(1));
    MemoryTable.putCount(message, slots ? 0 : 1);
    MemoryTable.putRegion(message, 0, GUEST_BASE, config.memoryBytes(), memory.address(), 0);
    connection.send(message, memoryFd);
  }

  private void sendInflight() {
    if (inflightFd < 0) {
      fetchInflight();
    }
    connection.send(
        inflightMessage(VhostUserRequest.SET_INFLIGHT_FD, inflightLength, inflightOffset),
        inflightFd);
  }

  private void fetchInflight() {
    final byte[] reply =
        connection.call(
            inflightMessage(VhostUserRequest.GET_INFLIGHT_FD, 0, 0), InflightArea.PADDED_LENGTH);
    final int[] fds = connection.takeFds();
    inflightLength = InflightArea.mmapSize(reply);
    inflightOffset = InflightArea.mmapOffset(reply);
    if (fds.length != 1 || inflightLength <= 0 || inflightLength > INFLIGHT_LENGTH_MAX) {
      for (final int fd : fds) {
        Fds.close(fd);
      }
      throw new VhostUserFrontEndException(
          "bad inflight region: bytes=" + inflightLength + " descriptors=" + fds.length, false);
    }
    inflightFd = fds[0];
  }

  /** Padded, as C front-ends send it. */
  private byte[] inflightMessage(
      final VhostUserRequest request, final long lengthBytes, final long offsetBytes) {
    final byte[] message = VhostUserMessage.request(request, 0, InflightArea.PADDED_LENGTH);
    InflightArea.put(message, lengthBytes, offsetBytes, config.queueCount(), config.queueSize());
    return message;
  }

  private void startRing(final int index, final DriverQueue queue) {
    connection.send(vringState(VhostUserRequest.SET_VRING_NUM, index, queue.queueSize()));
    connection.send(vringState(VhostUserRequest.SET_VRING_BASE, index, base(queue)));
    final byte[] address =
        VhostUserMessage.request(VhostUserRequest.SET_VRING_ADDR, 0, VringAddress.LENGTH);
    VringAddress.put(
        address,
        index,
        0,
        toHost(queue.descriptorGuestAddress()),
        toHost(queue.deviceAreaGuestAddress()),
        toHost(queue.driverAreaGuestAddress()),
        0);
    connection.send(address);
    connection.send(
        VhostUserMessage.requestU64(VhostUserRequest.SET_VRING_KICK, 0, index), kickFds[index]);
    connection.send(
        VhostUserMessage.requestU64(VhostUserRequest.SET_VRING_CALL, 0, index), callFds[index]);
    connection.send(vringState(VhostUserRequest.SET_VRING_ENABLE, index, 1));
  }

  /** QEMU restores the used index of a split ring; of a packed ring it knows nothing newer. */
  private int base(final DriverQueue queue) {
    if (!started || config.packed()) {
      return queue.initialBase();
    }
    return Mem.getUnsignedShortAcquire(
        toHost(queue.deviceAreaGuestAddress()) + UsedRing.INDEX_OFFSET);
  }

  private static byte[] vringState(
      final VhostUserRequest request, final int index, final int value) {
    final byte[] message = VhostUserMessage.request(request, 0, VringState.LENGTH);
    VringState.put(message, index, value);
    return message;
  }

  private void status(final int value) {
    if (STATUS.isIn(protocolFeatures)) {
      connection.send(VhostUserMessage.requestU64(VhostUserRequest.SET_STATUS, 0, value));
    }
  }

  /**
   * Reads the device's configuration space from its start.
   *
   * @param lengthBytes 1..256; some back-ends refuse more than their own structure has
   */
  public byte[] readConfig(final int lengthBytes) {
    if (!CONFIG.isIn(protocolFeatures)) {
      throw new VhostUserFrontEndException(
          "the back-end has no VHOST_USER_PROTOCOL_F_CONFIG", false);
    }
    final int length = ConfigSpace.length(lengthBytes);
    final byte[] request = VhostUserMessage.request(VhostUserRequest.GET_CONFIG, 0, length);
    ConfigSpace.put(request, 0, lengthBytes, 0);
    final byte[] reply = connection.call(request, length);
    return Arrays.copyOfRange(reply, ConfigSpace.bytesIndex(), reply.length);
  }

  /**
   * Stops every ring in good order; nothing may be in flight. The bases as the back-end gave them.
   */
  public int[] stop() {
    final int[] bases = new int[queues.size()];
    for (int i = 0; i < bases.length; i++) {
      final byte[] reply =
          connection.call(vringState(VhostUserRequest.GET_VRING_BASE, i, 0), VringState.LENGTH);
      bases[i] = VringState.num(reply);
    }
    status(0);
    return bases;
  }

  /** A request queue, 0..queueCount-1, polled by the caller. */
  @Override
  public DriverQueue queue(final int index) {
    return queues.get(index);
  }

  /** Wakes the back-end for a queue; no allocation. */
  @Override
  public void kick(final int index) {
    eventFd.signal(kickFds[index]);
  }

  /** The eventfd that the back-end signals when calls are enabled; non-blocking. */
  public int callFd(final int index) {
    return callFds[index];
  }

  /** Resets a queue's call eventfd; no allocation. */
  public void drainCall(final int index) {
    eventFd.drain(callFds[index]);
  }

  /** Feature bits in effect. */
  public long features() {
    return features;
  }

  /** Protocol feature bits in effect. */
  public long protocolFeatures() {
    return protocolFeatures;
  }

  /** Whether a conforming back-end can resume after its death: an inflight region is in use. */
  public boolean hasInflight() {
    return inflightFd >= 0;
  }

  /** Guest address of the first byte behind the rings. */
  @Override
  public long dataGuestAddress() {
    return GUEST_BASE + dataOffset;
  }

  /** Bytes behind the rings, free for data. */
  @Override
  public long dataBytes() {
    return config.memoryBytes() - dataOffset;
  }

  /** Where a guest address of this front-end's memory lies in this process; not checked. */
  @Override
  public long toHost(final long guestAddress) {
    return guestAddress - GUEST_BASE + memory.address();
  }

  private boolean hasFeature(final long feature) {
    return (features & feature) != 0;
  }

  private void require(final long feature, final String what) {
    if (!hasFeature(feature)) {
      throw new VhostUserFrontEndException(
          "the back-end at " + config.socketPath() + " does not offer " + what, false);
    }
  }

  private static long pageAlign(final long lengthBytes) {
    return (lengthBytes + 4095) & ~4095L;
  }

  private void disconnect() {
    if (connection != null) {
      connection.close();
      connection = null;
    }
  }

  /** Hangs up and gives back memory and descriptors. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    disconnect();
    for (int i = 0; i < kickFds.length; i++) {
      Fds.close(kickFds[i]);
      Fds.close(callFds[i]);
    }
    Fds.close(inflightFd);
    Fds.close(memoryFd);
    memory.close();
    eventFd.free();
  }
}
