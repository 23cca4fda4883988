package io.virtnvme.ipc.relay;

import java.util.List;

/**
 * One front-end connection to a controller, as the master describes it to slaves. Immutable.
 *
 * @param protocol what is spoken on the front-end's socket
 * @param controller the controller's name; the listener's directory for NVMe
 * @param seat the seat whose slave serves it
 * @param bdevId the block device behind it; that of the first namespace for NVMe, 0 without one
 * @param queueCountMax how many queues the front-end may use; I/O queue pairs for NVMe
 * @param readOnly the guest sees a read-only disk
 * @param packed offer packed rings
 * @param nvme what an NVMe controller has besides; null for other protocols
 */
public record SessionDescription(
    Protocol protocol,
    String controller,
    int seat,
    long bdevId,
    int queueCountMax,
    boolean readOnly,
    boolean packed,
    NvmeDescription nvme) {
  /** Protocols of front-ends; the code is on the wire. */
  public enum Protocol {
    VHOST_USER_BLK(1),
    /** Since relay 2.1; followed by a {@link NvmeDescription}. */
    VFIO_USER_NVME(2),
    /** Since relay 2.3. */
    VIRTNVME(3);

    private final int code;

    Protocol(final int code) {
      this.code = code;
    }

    static Protocol of(final int code) {
      for (final Protocol protocol : values()) {
        if (protocol.code == code) {
          return protocol;
        }
      }
      throw new RelayFormatException("unknown front-end protocol: code=" + code);
    }
  }

  public SessionDescription {
    if ((nvme != null) != (protocol == Protocol.VFIO_USER_NVME)) {
      throw new IllegalArgumentException(
          "an NVMe description belongs to that protocol alone: protocol=" + protocol);
    }
  }

  /** A session of a protocol that has nothing of its own. */
  public SessionDescription(
      final Protocol protocol,
      final String controller,
      final int seat,
      final long bdevId,
      final int queueCountMax,
      final boolean readOnly,
      final boolean packed) {
    this(protocol, controller, seat, bdevId, queueCountMax, readOnly, packed, null);
  }

  /** A session of an NVMe controller. */
  public static SessionDescription ofNvme(
      final String controller, final int seat, final NvmeDescription nvme) {
    return new SessionDescription(
        Protocol.VFIO_USER_NVME,
        controller,
        seat,
        firstBdev(nvme.namespaces()),
        nvme.ioQueueCountMax(),
        false,
        false,
        nvme);
  }

  private static long firstBdev(final List<NvmeDescription.Namespace> namespaces) {
    return namespaces.isEmpty() ? 0 : namespaces.get(0).bdevId();
  }

  /** The same NVMe controller with other namespaces. */
  public SessionDescription withNamespaces(final List<NvmeDescription.Namespace> namespaces) {
    return ofNvme(controller, seat, nvme.withNamespaces(namespaces));
  }

  /** Whether the session serves a block device. */
  public boolean uses(final long someBdevId) {
    return nvme == null
        ? bdevId == someBdevId
        : nvme.namespaces().stream().anyMatch(namespace -> namespace.bdevId() == someBdevId);
  }

  public void write(final RelayWriter writer) {
    writer
        .putInt(protocol.code)
        .putString(controller)
        .putInt(seat)
        .putLong(bdevId)
        .putInt(queueCountMax)
        .putInt(readOnly ? 1 : 0)
        .putInt(packed ? 1 : 0);
    if (nvme != null) {
      nvme.write(writer);
    }
  }

  public static SessionDescription read(final RelayReader reader) {
    final Protocol protocol = Protocol.of(reader.getInt());
    return new SessionDescription(
        protocol,
        reader.getString(),
        reader.getInt(),
        reader.getLong(),
        reader.getInt(),
        reader.getInt() != 0,
        reader.getInt() != 0,
        protocol == Protocol.VFIO_USER_NVME ? NvmeDescription.read(reader) : null);
  }
}
