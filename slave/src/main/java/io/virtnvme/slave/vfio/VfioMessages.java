package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.vfiouser.DeviceInfo;
import io.virtnvme.ipc.vfiouser.PciIrq;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.RegionInfo;
import io.virtnvme.ipc.vfiouser.RegionIoFds;
import io.virtnvme.ipc.vfiouser.SparseMmap;
import io.virtnvme.ipc.vfiouser.VersionCapabilities;
import io.virtnvme.ipc.vfiouser.VersionPayload;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.slave.session.SessionException;

/**
 * What each message of a front-end means: from the state before it to the state after it and a
 * reply. Keeps nothing, so that a message handled twice gives the same. Control thread.
 *
 * <p>What a front-end may not ask is refused with an errno ({@link RefusedException}); what breaks
 * the protocol itself ends the connection ({@link SessionException}).
 */
final class VfioMessages {
  /** Bytes of one region access: a message of that length fits the master's relay. */
  static final int DATA_XFER_SIZE_MAX = 32 * 1024;

  /** Regions, mapped or not. */
  static final int REGION_COUNT_MAX = 128;

  /** What QEMU takes at most. */
  private static final int MSG_FDS_MAX = 16;

  private static final int PAGE_BYTES = 4096;
  private static final int DOORBELL_AREA_LENGTH = 0x1000;

  private final boolean mappableDoorbells;
  private final DmaMessages dma;
  private final IrqMessages irqs;
  private final AccessMessages accesses;

  /**
   * For one device.
   *
   * @param vectorCount interrupt vectors, 1..{@link VfioSlots#VECTOR_COUNT_MAX}
   */
  VfioMessages(final int vectorCount, final boolean mappableDoorbells) {
    this.mappableDoorbells = mappableDoorbells;
    this.dma = new DmaMessages();
    this.irqs = new IrqMessages(vectorCount);
    this.accesses = new AccessMessages(vectorCount);
  }

  /** Throws {@link SessionException} unless the message is a whole command. */
  static void requireHeader(final byte[] message) {
    if (message.length < VfioUserMessage.HEADER_LENGTH) {
      throw new SessionException("shorter than its header: bytes=" + message.length);
    }
    if (VfioUserMessage.size(message) != message.length) {
      throw new SessionException(
          "message length: header="
              + Integer.toUnsignedString(VfioUserMessage.size(message))
              + " bytes="
              + message.length);
    }
    final int flags = VfioUserMessage.flags(message);
    if ((flags & VfioUserMessage.TYPE_MASK) != VfioUserMessage.TYPE_COMMAND) {
      // Nothing was asked of the front-end, so it has nothing to reply to.
      throw new SessionException("no command: flags=0x" + Integer.toHexString(flags));
    }
  }

  /** Throws {@link RefusedException} unless the payload has so many bytes at least. */
  static void requirePayload(final byte[] message, final int lengthMin) {
    final int length = VfioUserMessage.payloadLength(message);
    if (length < lengthMin) {
      throw new RefusedException(
          Errno.EINVAL, "payload too short: bytes=" + length + ", at least " + lengthMin);
    }
  }

  /** Throws {@link RefusedException} unless the front-end has room for so many bytes of reply. */
  static void requireArgsz(final int argsz, final int lengthMin) {
    if (Integer.compareUnsigned(argsz, lengthMin) < 0) {
      throw new RefusedException(
          Errno.EINVAL,
          "argsz=" + Integer.toUnsignedString(argsz) + ", at least " + lengthMin + " are needed");
    }
  }

  /** The message's name for texts. */
  static String name(final byte[] message) {
    if (message.length < VfioUserMessage.HEADER_LENGTH) {
      return "message of " + message.length + " bytes";
    }
    final int code = VfioUserMessage.commandCode(message);
    final VfioUserCommand command = VfioUserCommand.of(code);
    return command == null ? "command " + code : command.name();
  }

  /** The change that a message asks for. */
  VfioChange handle(final VfioState state, final byte[] message, final int[] fds) {
    final VfioUserCommand command = VfioUserCommand.of(VfioUserMessage.commandCode(message));
    if (!state.negotiated() && command != VfioUserCommand.VERSION) {
      throw new SessionException("VERSION must come first");
    }
    if (command == null) {
      throw new RefusedException(Errno.EOPNOTSUPP, "unknown command");
    }
    final boolean takesFds =
        command == VfioUserCommand.DMA_MAP || command == VfioUserCommand.DEVICE_SET_IRQS;
    if (fds.length > 0 && !takesFds) {
      throw new RefusedException(Errno.EINVAL, "descriptors where none belong: " + fds.length);
    }
    return switch (command) {
      case VERSION -> version(state, message);
      case DMA_MAP -> dma.map(state, message, fds);
      case DMA_UNMAP -> dma.unmap(state, message);
      case DEVICE_GET_INFO -> deviceInfo(state, message);
      case DEVICE_GET_REGION_INFO -> regionInfo(state, message);
      case DEVICE_GET_REGION_IO_FDS -> regionIoFds(state, message);
      case DEVICE_GET_IRQ_INFO -> irqs.info(state, message);
      case DEVICE_SET_IRQS -> irqs.set(state, message, fds);
      case REGION_READ -> accesses.read(state, message);
      case REGION_WRITE -> accesses.write(state, message);
      case REGION_WRITE_MULTI -> accesses.writeMulti(state, message);
      case DEVICE_RESET -> accesses.reset(state, message);
      case DEVICE_FEATURE ->
          // VFIO's errno for a feature that a device does not have.
          throw new RefusedException(Errno.ENOTTY, "no optional feature is offered");
      case DMA_READ, DMA_WRITE ->
          throw new RefusedException(Errno.EOPNOTSUPP, "a command of servers came from a client");
      case MIG_DATA_READ, MIG_DATA_WRITE ->
          throw new RefusedException(Errno.EOPNOTSUPP, "migration is not offered");
    };
  }

  private static VfioChange version(final VfioState state, final byte[] message) {
    if (state.negotiated()) {
      throw new RefusedException(Errno.EINVAL, "VERSION was answered before");
    }
    requirePayload(message, VersionPayload.LENGTH);
    final int major = VersionPayload.major(message);
    if (major != VersionPayload.VERSION_MAJOR) {
      throw new RefusedException(
          Errno.EINVAL,
          "version " + major + "." + VersionPayload.minor(message) + " is not spoken, 0.0 is");
    }
    final VersionCapabilities theirs;
    try {
      theirs = VersionCapabilities.parse(VersionPayload.text(message));
    } catch (final IllegalArgumentException e) {
      throw new RefusedException(Errno.EINVAL, e.getMessage());
    }
    final int dataXferSize = (int) Math.min(DATA_XFER_SIZE_MAX, theirs.maxDataXferSize());
    final VersionCapabilities ours =
        new VersionCapabilities(
            MSG_FDS_MAX, dataXferSize, REGION_COUNT_MAX, PAGE_BYTES, theirs.writeMultiple());
    final byte[] reply = VersionPayload.withText(VfioUserMessage.reply(message, 0), ours.text());
    VersionPayload.put(reply, VersionPayload.VERSION_MAJOR, VersionPayload.VERSION_MINOR);
    return new VfioChange(state.withNegotiated(dataXferSize), reply);
  }

  private static VfioChange deviceInfo(final VfioState state, final byte[] message) {
    requirePayload(message, DeviceInfo.LENGTH);
    requireArgsz(DeviceInfo.argsz(message), DeviceInfo.LENGTH);
    final byte[] reply = VfioUserMessage.reply(message, DeviceInfo.LENGTH);
    DeviceInfo.put(
        reply,
        DeviceInfo.LENGTH,
        DeviceInfo.RESET_FLAG | DeviceInfo.PCI_FLAG,
        PciRegion.COUNT,
        PciIrq.COUNT);
    return new VfioChange(state, reply);
  }

  /** Bytes of a region; 0 when the device does not have it. */
  static int regionLength(final int index) {
    return switch (index) {
      case PciRegion.BAR0 -> PciConfigSpace.BAR0_LENGTH;
      case PciRegion.BAR4 -> PciConfigSpace.BAR4_LENGTH;
      case PciRegion.CONFIG -> PciConfigSpace.REGION_LENGTH;
      default -> 0;
    };
  }

  private VfioChange regionInfo(final VfioState state, final byte[] message) {
    requirePayload(message, RegionInfo.LENGTH);
    final int argsz = RegionInfo.argsz(message);
    requireArgsz(argsz, RegionInfo.LENGTH);
    final int index = RegionInfo.index(message);
    if (index < 0 || index >= PciRegion.COUNT) {
      throw new RefusedException(
          Errno.EINVAL, "no region " + Integer.toUnsignedString(index) + " of " + PciRegion.COUNT);
    }
    final boolean mappable = index == PciRegion.BAR0 && mappableDoorbells;
    final int wanted = RegionInfo.LENGTH + (mappable ? SparseMmap.LENGTH : 0);
    // A front-end whose buffer is too short asks again, and gets capability and descriptor then.
    final boolean fits = Integer.compareUnsigned(argsz, wanted) >= 0;
    final byte[] reply = VfioUserMessage.reply(message, fits ? wanted : RegionInfo.LENGTH);
    final int length = regionLength(index);
    RegionInfo.put(
        reply,
        wanted,
        (length > 0 ? RegionInfo.READ_FLAG | RegionInfo.WRITE_FLAG : 0)
            | (mappable ? RegionInfo.MMAP_FLAG : 0)
            | (mappable && fits ? RegionInfo.CAPS_FLAG : 0),
        index,
        mappable && fits ? RegionInfo.LENGTH : 0,
        length,
        0);
    final VfioChange change = new VfioChange(state, reply);
    if (mappable && fits) {
      SparseMmap.put(reply, RegionInfo.LENGTH, Doorbells.BASE_OFFSET, DOORBELL_AREA_LENGTH);
      change.withDoorbells();
    }
    return change;
  }

  private static VfioChange regionIoFds(final VfioState state, final byte[] message) {
    requirePayload(message, RegionIoFds.LENGTH);
    requireArgsz(RegionIoFds.argsz(message), RegionIoFds.LENGTH);
    final int index = RegionIoFds.index(message);
    if (RegionIoFds.flags(message) != 0 || index < 0 || index >= PciRegion.COUNT) {
      throw new RefusedException(
          Errno.EINVAL,
          "flags=0x" + Integer.toHexString(RegionIoFds.flags(message)) + " region=" + index);
    }
    // No part of any region is written to a descriptor instead.
    final byte[] reply = VfioUserMessage.reply(message, RegionIoFds.LENGTH);
    RegionIoFds.put(reply, RegionIoFds.LENGTH, 0, index, 0);
    return new VfioChange(state, reply);
  }
}
