package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.UnixSocket;

/**
 * A vfio-user client without a VM: connects, sends commands and waits for each reply within a time
 * limit. For tests, load and measurements. Used by one thread.
 */
public final class VfioUserClient implements AutoCloseable {
  private static final int MESSAGE_LENGTH_MAX = 64 * 1024;
  private static final int REGION_INFO_LENGTH_MAX = 1024;
  private static final int[] NO_FDS = {};

  private final int socketFd;
  private final String socketPath;
  private final int timeoutMs;
  private final FdMessage fdMessage = new FdMessage();
  private final long buffer = Mem.allocate(MESSAGE_LENGTH_MAX);
  private final byte[] doorbellWrite =
      VfioUserMessage.command(
          VfioUserCommand.REGION_WRITE,
          0,
          VfioUserMessage.NO_REPLY_FLAG,
          RegionAccess.LENGTH + Integer.BYTES);
  private int[] replyFds = NO_FDS;
  private int lastId;

  /**
   * A region as the server describes it.
   *
   * @param flags of {@link RegionInfo}
   * @param lengthBytes its length
   * @param mapOffset offset in the file of the part that can be mapped
   * @param areaOffset offset in the region of that part
   * @param areaLength its length, 0 for none
   * @param fd the file; the caller's, -1 for none
   */
  public record Region(
      int flags, long lengthBytes, long mapOffset, long areaOffset, long areaLength, int fd) {}

  private VfioUserClient(final int socketFd, final String socketPath, final int timeoutMs) {
    this.socketFd = socketFd;
    this.socketPath = socketPath;
    this.timeoutMs = timeoutMs;
  }

  /**
   * Connects; says nothing yet.
   *
   * @param socketPath of the server's socket, {@code cntrl} in the listener's directory
   * @param timeoutMs limit of each wait
   * @throws VfioUserClientException when nobody listens
   */
  public static VfioUserClient connect(final String socketPath, final int timeoutMs) {
    final int fd;
    try {
      fd = UnixSocket.connectStream(socketPath);
    } catch (final SysException e) {
      throw new VfioUserClientException("no server: " + e.getMessage(), e.errno());
    }
    Fds.setNonBlocking(fd, true);
    return new VfioUserClient(fd, socketPath, timeoutMs);
  }

  /** The connected socket, for tests that send what they like. */
  public int fd() {
    return socketFd;
  }

  public int peerPid() {
    return UnixSocket.peerPid(socketFd);
  }

  /** False once the server has hung up. */
  public boolean isConnected() {
    final long result =
        fdMessage.receiveBytes(socketFd, buffer, 1, FdMessage.PEEK | FdMessage.DONT_WAIT);
    return result > 0 || (result < 0 && isTransient((int) -result));
  }

  /** A command with a fresh id. */
  public byte[] command(final VfioUserCommand command, final int payloadLength) {
    lastId = (lastId + 1) & 0xFFFF;
    return VfioUserMessage.command(command, lastId, 0, payloadLength);
  }

  /** Negotiates version 0.0; what the server can take. */
  public VersionCapabilities negotiate() {
    final byte[] message =
        VersionPayload.withText(
            command(VfioUserCommand.VERSION, 0),
            new VersionCapabilities(8, 1 << 20, 65535, 4096, true).text());
    VersionPayload.put(message, VersionPayload.VERSION_MAJOR, VersionPayload.VERSION_MINOR);
    final byte[] reply = call(message);
    if (VersionPayload.major(reply) != 0 || VersionPayload.minor(reply) != 0) {
      throw new VfioUserClientException(
          socketPath
              + " speaks version "
              + VersionPayload.major(reply)
              + "."
              + VersionPayload.minor(reply),
          0);
    }
    return VersionCapabilities.parse(VersionPayload.text(reply));
  }

  /** Makes a piece of a file the device's memory at an address, for reading and writing. */
  public void mapDma(final int fd, final long fileOffset, final long address, final long size) {
    final byte[] message = command(VfioUserCommand.DMA_MAP, DmaMap.LENGTH);
    DmaMap.put(
        message, DmaMap.LENGTH, DmaMap.READ_FLAG | DmaMap.WRITE_FLAG, fileOffset, address, size);
    call(message, fd);
  }

  /** Takes a region back that was mapped; nothing of the device uses it any more. */
  public void unmapDma(final long address, final long size) {
    final byte[] message = command(VfioUserCommand.DMA_UNMAP, DmaUnmap.LENGTH);
    DmaUnmap.put(message, DmaUnmap.LENGTH, 0, address, size);
    call(message);
  }

  /** Asks for a region with its capabilities. */
  public Region region(final int index) {
    final byte[] message = command(VfioUserCommand.DEVICE_GET_REGION_INFO, RegionInfo.LENGTH);
    RegionInfo.put(message, REGION_INFO_LENGTH_MAX, 0, index, 0, 0, 0);
    final byte[] reply = call(message);
    final int[] fds = takeFds();
    final int cap = RegionInfo.capOffset(reply);
    final boolean sparse =
        (RegionInfo.flags(reply) & RegionInfo.CAPS_FLAG) != 0
            && VfioUserMessage.payloadLength(reply) >= cap + SparseMmap.LENGTH
            && SparseMmap.id(reply, cap) == SparseMmap.ID
            && SparseMmap.areaCount(reply, cap) > 0;
    return new Region(
        RegionInfo.flags(reply),
        RegionInfo.size(reply),
        RegionInfo.offset(reply) + (sparse ? SparseMmap.areaOffset(reply, cap) : 0),
        sparse ? SparseMmap.areaOffset(reply, cap) : 0,
        sparse ? SparseMmap.areaSize(reply, cap) : 0,
        fds.length == 0 ? -1 : fds[0]);
  }

  /** How many interrupts of a kind there are. */
  public int irqCount(final int index) {
    final byte[] message = command(VfioUserCommand.DEVICE_GET_IRQ_INFO, IrqInfo.LENGTH);
    IrqInfo.put(message, IrqInfo.LENGTH, 0, index, 0);
    return IrqInfo.count(call(message));
  }

  /** Gives eventfds to interrupts from {@code start} on; without any, takes one back. */
  public void setIrqs(final int index, final int start, final int... eventFds) {
    final byte[] message = command(VfioUserCommand.DEVICE_SET_IRQS, IrqSet.LENGTH);
    IrqSet.put(
        message,
        IrqSet.LENGTH,
        IrqSet.DATA_EVENTFD_FLAG | IrqSet.ACTION_TRIGGER_FLAG,
        index,
        start,
        Math.max(1, eventFds.length));
    call(message, eventFds);
  }

  /** Resets the function. */
  public void reset() {
    call(command(VfioUserCommand.DEVICE_RESET, 0));
  }

  /** Reads 1..8 bytes of a region, little endian. */
  public long read(final int region, final long offset, final int width) {
    final byte[] message = command(VfioUserCommand.REGION_READ, RegionAccess.LENGTH);
    RegionAccess.put(message, offset, region, width);
    final byte[] reply = call(message);
    long value = 0;
    for (int i = 0; i < width; i++) {
      value |= (reply[RegionAccess.DATA_OFFSET + i] & 0xFFL) << (8 * i);
    }
    return value;
  }

  /** Writes 1..8 bytes of a region, little endian. */
  public void write(final int region, final long offset, final int width, final long value) {
    final byte[] message = command(VfioUserCommand.REGION_WRITE, RegionAccess.LENGTH + width);
    RegionAccess.put(message, offset, region, width);
    for (int i = 0; i < width; i++) {
      message[RegionAccess.DATA_OFFSET + i] = (byte) (value >>> (8 * i));
    }
    call(message);
  }

  /** Writes four bytes of BAR0 without waiting; allocates nothing. */
  public void postDoorbell(final int offset, final int value) {
    RegionAccess.put(doorbellWrite, offset, PciRegion.BAR0, Integer.BYTES);
    LittleEndian.putInt(doorbellWrite, RegionAccess.DATA_OFFSET, value);
    send(doorbellWrite, NO_FDS);
  }

  /**
   * Sends a command and waits for its reply, which must not refuse it. The reply's descriptors are
   * in {@link #takeFds}.
   *
   * @throws VfioUserClientException when it is refused, or no reply comes
   */
  public byte[] call(final byte[] message, final int... fds) {
    send(message, fds);
    final byte[] reply = receive(message);
    if (VfioUserMessage.isRefusal(reply)) {
      throw new VfioUserClientException(
          socketPath
              + " refused "
              + name(message)
              + ": "
              + Errno.text(VfioUserMessage.error(reply)),
          VfioUserMessage.error(reply));
    }
    return reply;
  }

  /** The descriptors of the last reply; the caller owns them. */
  public int[] takeFds() {
    final int[] taken = replyFds;
    replyFds = NO_FDS;
    return taken;
  }

  /** Sends a message and waits for nothing. */
  public void send(final byte[] message, final int... fds) {
    Mem.copyIn(message, 0, buffer, message.length);
    long sent = fdMessage.send(socketFd, buffer, message.length, fds, fds.length);
    final long deadlineNs = System.nanoTime() + timeoutMs * 1_000_000L;
    while (sent == -Errno.EAGAIN && System.nanoTime() - deadlineNs < 0) {
      // Nobody has read for a while: a slave is being replaced.
      Thread.onSpinWait();
      sent = fdMessage.send(socketFd, buffer, message.length, fds, fds.length);
    }
    if (sent != message.length) {
      throw new VfioUserClientException(
          "cannot send "
              + name(message)
              + " to "
              + socketPath
              + ": "
              + (sent < 0 ? Errno.text((int) -sent) : "only " + sent + " bytes taken"),
          0);
    }
  }

  /** The next message that comes; must be the reply to a command. */
  public byte[] receive(final byte[] command) {
    for (final int fd : takeFds()) {
      Fds.close(fd);
    }
    final long deadlineNs = System.nanoTime() + timeoutMs * 1_000_000L;
    receiveFully(command, 0, VfioUserMessage.HEADER_LENGTH, deadlineNs);
    final byte[] header = new byte[VfioUserMessage.HEADER_LENGTH];
    Mem.copyOut(buffer, header, 0, header.length);
    final int size = VfioUserMessage.size(header);
    if (!VfioUserMessage.isReply(header)
        || VfioUserMessage.id(header) != VfioUserMessage.id(command)
        || VfioUserMessage.commandCode(header) != VfioUserMessage.commandCode(command)
        || size < header.length
        || size > MESSAGE_LENGTH_MAX) {
      throw new VfioUserClientException(
          "bad reply to "
              + name(command)
              + " "
              + VfioUserMessage.id(command)
              + " from "
              + socketPath
              + ": id="
              + VfioUserMessage.id(header)
              + " command="
              + VfioUserMessage.commandCode(header)
              + " size="
              + size
              + " flags=0x"
              + Integer.toHexString(VfioUserMessage.flags(header)),
          0);
    }
    receiveFully(command, header.length, size, deadlineNs);
    final byte[] reply = new byte[size];
    Mem.copyOut(buffer, reply, 0, size);
    return reply;
  }

  private void receiveFully(
      final byte[] command, final int from, final int to, final long deadlineNs) {
    int at = from;
    while (at < to) {
      final long leftMs = (deadlineNs - System.nanoTime() + 999_999) / 1_000_000;
      if (leftMs <= 0) {
        throw new VfioUserClientException(
            "no answer to " + name(command) + " from " + socketPath + " in " + timeoutMs + " ms",
            Errno.ETIMEDOUT);
      }
      if (!Fds.awaitReadable(socketFd, (int) leftMs)) {
        continue;
      }
      final long received = fdMessage.receive(socketFd, buffer + at, to - at, FdMessage.DONT_WAIT);
      if (received == 0 || (received < 0 && !isTransient((int) -received))) {
        throw new VfioUserClientException(
            socketPath + " hung up instead of answering " + name(command), Errno.EPIPE);
      }
      final int[] fds = fdMessage.takeFds();
      if (fds.length > 0) {
        replyFds = fds;
      }
      at += (int) Math.max(0, received);
    }
  }

  private static boolean isTransient(final int errno) {
    return errno == Errno.EAGAIN || errno == Errno.EINTR;
  }

  private static String name(final byte[] message) {
    return String.valueOf(VfioUserCommand.of(VfioUserMessage.commandCode(message)));
  }

  @Override
  public void close() {
    for (final int fd : takeFds()) {
      Fds.close(fd);
    }
    fdMessage.close();
    Mem.free(buffer);
    Fds.close(socketFd);
  }
}
