package io.virtnvme.slave.session;

import io.virtnvme.ipc.vhostuser.ConfigSpace;
import io.virtnvme.ipc.vhostuser.InflightArea;
import io.virtnvme.ipc.vhostuser.LogArea;
import io.virtnvme.ipc.vhostuser.MemoryTable;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.virtio.BlkConfig;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.util.Arrays;
import java.util.List;

/**
 * The meaning of each message of a vhost-user front-end to a block device, except those about one
 * ring ({@link RingMessages}). A function of state and message, so that a message may be handled
 * again by the successor of a slave that died over it. Refuses with {@link SessionException}.
 * Control thread.
 */
final class MessageHandler {
  private static final int BASELINE_REGION_COUNT = 8;

  private final BlkDevice device;
  private final RingMessages rings;

  MessageHandler(final BlkDevice device) {
    this.device = device;
    this.rings = new RingMessages(device.queueCount());
  }

  /** The change that a message asks for; its header was checked. Descriptors stay the caller's. */
  Change handle(final SessionState state, final byte[] message, final int[] fds) {
    final int code = VhostUserMessage.requestCode(message);
    final VhostUserRequest request = VhostUserRequest.of(code);
    if (request == null) {
      throw new SessionException("unknown request: code=" + code);
    }
    return switch (request) {
      case GET_FEATURES -> tell(state, message, fds, device.features());
      case GET_PROTOCOL_FEATURES -> tell(state, message, fds, device.protocolFeatures());
      case GET_QUEUE_NUM -> tell(state, message, fds, device.queueCount());
      case GET_MAX_MEM_SLOTS -> tell(state, message, fds, FdSlots.REGION_COUNT_MAX);
      case GET_STATUS -> tell(state, message, fds, state.status());
      case SET_FEATURES -> setFeatures(state, u64(message, fds));
      case SET_PROTOCOL_FEATURES -> Change.to(state.withProtocolFeatures(u64(message, fds)));
      case SET_OWNER -> {
        requireShape(message, fds, 0, 0);
        yield Change.to(state);
      }
      case RESET_OWNER -> {
        // Deprecated; the specification recommends to ignore it or to disable all rings.
        requireShape(message, fds, 0, 0);
        yield Change.to(state.withRings(ring -> ring.withEnabled(false)));
      }
      case RESET_DEVICE -> resetDevice(state, message, fds);
      case SET_STATUS -> setStatus(state, u64(message, fds));
      case SET_MEM_TABLE -> setMemoryTable(state, message, fds);
      case ADD_MEM_REG -> addRegion(state, message, fds);
      case REM_MEM_REG -> removeRegion(state, message, fds);
      case SET_LOG_BASE -> setLog(state, message, fds);
      case SET_LOG_FD -> {
        requireShape(message, fds, 0, 1);
        FdKinds.requireEvent(fds[0], "log event");
        yield Change.to(state.withLogNotify(true)).withSlots(FdSlots.LOG_NOTIFY);
      }
      case SET_BACKEND_REQ_FD -> {
        requireShape(message, fds, 0, 1);
        FdKinds.requireSocket(fds[0], "back-end request channel");
        yield Change.to(state.withBackendRequest(true)).withSlots(FdSlots.BACKEND_REQUEST);
      }
      case GET_CONFIG -> getConfig(state, message, fds);
      case SET_CONFIG -> setConfig(state, message, fds);
      case GET_INFLIGHT_FD -> getInflight(state, message, fds);
      case SET_INFLIGHT_FD -> setInflight(state, message, fds);
      case SET_VRING_NUM,
          SET_VRING_ADDR,
          SET_VRING_BASE,
          GET_VRING_BASE,
          SET_VRING_KICK,
          SET_VRING_CALL,
          SET_VRING_ERR,
          SET_VRING_ENABLE ->
          rings.handle(request, state, message, fds);
      case SEND_RARP,
          NET_SET_MTU,
          IOTLB_MSG,
          SET_VRING_ENDIAN,
          CREATE_CRYPTO_SESSION,
          CLOSE_CRYPTO_SESSION,
          POSTCOPY_ADVISE,
          POSTCOPY_LISTEN,
          POSTCOPY_END,
          GPU_SET_SOCKET,
          VRING_KICK,
          GET_SHARED_OBJECT,
          SET_DEVICE_STATE_FD,
          CHECK_DEVICE_STATE ->
          throw new SessionException("not supported by this device: request=" + request);
    };
  }

  static void requireShape(
      final byte[] message, final int[] fds, final int payloadLength, final int fdCount) {
    final int length = message.length - VhostUserMessage.PAYLOAD_OFFSET;
    if (length != payloadLength) {
      throw new SessionException(
          "wrong payload length: bytes=" + length + " expected=" + payloadLength);
    }
    requireFds(fds, fdCount);
  }

  private static void requireFds(final int[] fds, final int fdCount) {
    if (fds.length != fdCount) {
      throw new SessionException(
          "wrong number of descriptors: count=" + fds.length + " expected=" + fdCount);
    }
  }

  private static void requireProtocol(
      final SessionState state, final VhostUserProtocolFeature feature) {
    if (!feature.isIn(state.protocolFeatures())) {
      throw new SessionException("protocol feature was not negotiated: feature=" + feature);
    }
  }

  private static long u64(final byte[] message, final int[] fds) {
    requireShape(message, fds, Long.BYTES, 0);
    return VhostUserMessage.u64(message);
  }

  private static Change tell(
      final SessionState state, final byte[] message, final int[] fds, final long value) {
    requireShape(message, fds, 0, 0);
    return Change.to(state)
        .withReply(VhostUserMessage.replyU64(VhostUserMessage.requestCode(message), value));
  }

  private static Change setFeatures(final SessionState state, final long features) {
    SessionState next = state.withFeatures(features);
    if (SessionRules.isPacked(features) != SessionRules.isPacked(state.features())) {
      if (state.hasCompleteRing()) {
        throw new SessionException(
            "the layout of rings cannot change while they run: features=0x"
                + Long.toHexString(features));
      }
      if (state.inflight() != null && state.inflight().own()) {
        // What it holds is of the other layout; a new one is made before any ring runs.
        next = next.withInflight(null);
      }
    }
    // "Ring states": without protocol features there is no SET_VRING_ENABLE.
    return Change.to(
        VirtioFeature.has(features, VirtioFeature.PROTOCOL_FEATURES)
            ? next
            : next.withRings(ring -> ring.withEnabled(true)));
  }

  private static Change resetDevice(
      final SessionState state, final byte[] message, final int[] fds) {
    requireShape(message, fds, 0, 0);
    // The memory map is kept: a front-end with memory slots sends only what changes in it.
    return Change.to(
        state.withRings(RingState::reset).withInflight(null).withStatus(0).withWriteback(true));
  }

  private static Change setStatus(final SessionState state, final long status) {
    if (status < 0 || status > SessionRules.STATUS_MAX) {
      throw new SessionException(
          "device status out of range: status=" + Long.toUnsignedString(status));
    }
    final SessionState next = state.withStatus((int) status);
    // Virtio 1.2, 2.1.2: zero resets the device. The front-end sets rings up again from the start.
    return Change.to(
        status == 0 ? next.withRings(ring -> ring.withKick(RingState.Kick.NONE)) : next);
  }

  private static RegionState region(final byte[] message, final int index) {
    return new RegionState(
        MemoryTable.guestAddress(message, index),
        MemoryTable.userAddress(message, index),
        MemoryTable.size(message, index),
        MemoryTable.mmapOffset(message, index));
  }

  private static Change setMemoryTable(
      final SessionState state, final byte[] message, final int[] fds) {
    final int length = message.length - VhostUserMessage.PAYLOAD_OFFSET;
    if (length < MemoryTable.REGIONS_OFFSET) {
      throw new SessionException("memory table too short: bytes=" + length);
    }
    final int count = MemoryTable.count(message);
    if (count < 0 || count > FdSlots.REGION_COUNT_MAX) {
      throw new SessionException(
          "too many memory regions: count="
              + Integer.toUnsignedString(count)
              + " max="
              + FdSlots.REGION_COUNT_MAX);
    }
    // Some front-ends always send the structure with room for eight regions.
    final boolean padded =
        count < BASELINE_REGION_COUNT && length == MemoryTable.length(BASELINE_REGION_COUNT);
    requireShape(message, fds, padded ? length : MemoryTable.length(count), count);
    final RegionState[] regions = new RegionState[FdSlots.REGION_COUNT_MAX];
    final int[] slots = new int[count];
    for (int i = 0; i < count; i++) {
      regions[i] = region(message, i);
      slots[i] = i;
    }
    return Change.to(state.withRegions(Arrays.asList(regions))).withSlots(slots);
  }

  private static Change addRegion(final SessionState state, final byte[] message, final int[] fds) {
    requireProtocol(state, VhostUserProtocolFeature.CONFIGURE_MEM_SLOTS);
    requireShape(message, fds, MemoryTable.SINGLE_LENGTH, 1);
    final RegionState region = region(message, 0);
    final List<RegionState> regions = state.regions();
    // There already if a predecessor handled this message and died before it could say so.
    final int known = regions.indexOf(region);
    final int slot = known >= 0 ? known : regions.indexOf(null);
    if (slot < 0) {
      throw new SessionException("all memory slots are in use: count=" + regions.size());
    }
    return Change.to(state.withRegion(slot, region)).withSlots(slot);
  }

  private static Change removeRegion(
      final SessionState state, final byte[] message, final int[] fds) {
    requireProtocol(state, VhostUserProtocolFeature.CONFIGURE_MEM_SLOTS);
    // Older front-ends send the region's descriptor along; it is closed unused.
    requireShape(message, fds, MemoryTable.SINGLE_LENGTH, Math.min(fds.length, 1));
    final RegionState region = region(message, 0);
    final int[] noSlots = new int[fds.length];
    Arrays.fill(noSlots, Answer.EMPTY);
    for (int slot = 0; slot < state.regions().size(); slot++) {
      final RegionState known = state.regions().get(slot);
      if (known != null && known.isSamePlace(region)) {
        return Change.to(state.withRegion(slot, null)).withSlots(noSlots);
      }
      if (known != null && known.overlaps(region)) {
        throw new SessionException("no such memory region: " + region + ", but there is " + known);
      }
    }
    // Nothing of it is mapped, which is what was asked for: see addRegion.
    return Change.to(state).withSlots(noSlots);
  }

  private static Change setLog(final SessionState state, final byte[] message, final int[] fds) {
    requireProtocol(state, VhostUserProtocolFeature.LOG_SHMFD);
    requireShape(message, fds, LogArea.LENGTH, 1);
    return Change.to(state.withLog(new AreaState(LogArea.size(message), LogArea.offset(message))))
        .withSlots(FdSlots.LOG)
        .withReply(VhostUserMessage.replyU64(VhostUserMessage.requestCode(message), 0));
  }

  /**
   * How many bytes a config message is about; throws if the message does not carry them all. Some
   * front-ends always send room for the longest configuration.
   */
  private static int configSize(final byte[] message, final int[] fds) {
    requireFds(fds, 0);
    final int length = message.length - VhostUserMessage.PAYLOAD_OFFSET;
    if (length < ConfigSpace.BYTES_OFFSET) {
      throw new SessionException("config message too short: bytes=" + length);
    }
    final int offset = ConfigSpace.offset(message);
    final int size = ConfigSpace.size(message);
    if (offset < 0
        || offset > ConfigSpace.SIZE_MAX
        || size < 0
        || size > ConfigSpace.SIZE_MAX - offset
        || (length != ConfigSpace.length(size)
            && length != ConfigSpace.length(ConfigSpace.SIZE_MAX))) {
      throw new SessionException(
          "config range: offset="
              + Integer.toUnsignedString(offset)
              + " size="
              + Integer.toUnsignedString(size)
              + " payload="
              + length
              + " max="
              + ConfigSpace.SIZE_MAX);
    }
    return size;
  }

  private Change getConfig(final SessionState state, final byte[] message, final int[] fds) {
    requireProtocol(state, VhostUserProtocolFeature.CONFIG);
    final int size = configSize(message, fds);
    // The reply has to be as long as the request.
    final byte[] reply =
        VhostUserMessage.reply(
            VhostUserMessage.requestCode(message),
            message.length - VhostUserMessage.PAYLOAD_OFFSET);
    final int offset = ConfigSpace.offset(message);
    ConfigSpace.put(reply, offset, size, ConfigSpace.flags(message));
    System.arraycopy(
        device.config(state.writeback()), offset, reply, ConfigSpace.bytesIndex(), size);
    return Change.to(state).withReply(reply);
  }

  private static Change setConfig(final SessionState state, final byte[] message, final int[] fds) {
    requireProtocol(state, VhostUserProtocolFeature.CONFIG);
    final int size = configSize(message, fds);
    final int offset = ConfigSpace.offset(message);
    final int flags = ConfigSpace.flags(message);
    final int index = BlkConfig.WRITEBACK_OFFSET - offset;
    final boolean covers = index >= 0 && index < size;
    if (flags == ConfigSpace.FLAG_WRITABLE && (!covers || size != 1)) {
      throw new SessionException(
          "only the writeback byte of the configuration may be written: offset="
              + offset
              + " size="
              + size);
    }
    if (flags != ConfigSpace.FLAG_WRITABLE && flags != ConfigSpace.FLAG_MIGRATION) {
      throw new SessionException(
          "unknown flags of SET_CONFIG: flags=0x" + Integer.toHexString(flags));
    }
    // Of a migrated configuration only the cache mode is state; the rest describes our own disk.
    return Change.to(
        covers ? state.withWriteback(message[ConfigSpace.bytesIndex() + index] != 0) : state);
  }

  private static int inflightLength(final byte[] message, final int[] fds, final int fdCount) {
    final int length = message.length - VhostUserMessage.PAYLOAD_OFFSET;
    requireShape(
        message,
        fds,
        length == InflightArea.PACKED_LENGTH ? length : InflightArea.PADDED_LENGTH,
        fdCount);
    return length;
  }

  private static void requireNoCompleteRing(final SessionState state) {
    if (state.hasCompleteRing()) {
      throw new SessionException(
          "the inflight region cannot change while rings run: stop them by GET_VRING_BASE first");
    }
  }

  private static Change getInflight(
      final SessionState state, final byte[] message, final int[] fds) {
    requireProtocol(state, VhostUserProtocolFeature.INFLIGHT_SHMFD);
    final int length = inflightLength(message, fds, 0);
    requireNoCompleteRing(state);
    final int queueCount = InflightArea.queueCount(message);
    final int queueSize = InflightArea.queueSize(message);
    final boolean packed = SessionRules.isPacked(state.features());
    final long bytes =
        queueSize == 0 ? 0 : queueCount * InflightState.strideBytes(packed, queueSize);
    final byte[] reply = VhostUserMessage.reply(VhostUserMessage.requestCode(message), length);
    InflightArea.put(reply, bytes, 0, queueCount, queueSize);
    return Change.to(state)
        .withReply(reply)
        .withNewInflight(new InflightState(false, bytes, 0, queueCount, queueSize), true);
  }

  private static Change setInflight(
      final SessionState state, final byte[] message, final int[] fds) {
    requireProtocol(state, VhostUserProtocolFeature.INFLIGHT_SHMFD);
    inflightLength(message, fds, 1);
    requireNoCompleteRing(state);
    final int queueSize = InflightArea.queueSize(message);
    if (queueSize == 0) {
      throw new SessionException("inflight region: queue size=0");
    }
    final InflightState inflight =
        new InflightState(
            false,
            InflightArea.mmapSize(message),
            InflightArea.mmapOffset(message),
            InflightArea.queueCount(message),
            queueSize);
    final boolean packed = SessionRules.isPacked(state.features());
    if (inflight.neededBytes(packed) > inflight.lengthBytes()) {
      throw new SessionException(
          "inflight region too short: bytes="
              + inflight.lengthBytes()
              + " needed="
              + inflight.neededBytes(packed)
              + " queues="
              + inflight.queueCount()
              + " queue size="
              + queueSize
              + " packed="
              + packed);
    }
    return Change.to(state.withInflight(inflight)).withSlots(FdSlots.INFLIGHT);
  }
}
