package io.virtnvme.ipc.relay;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * An NVMe controller as the master describes it to slaves, beside what every session has.
 * Immutable.
 *
 * @param subsystemNqn NVMe qualified name of its subsystem, at most 223 bytes
 * @param serialNumber at most 20 ASCII characters
 * @param modelNumber at most 40 ASCII characters
 * @param controllerId CNTLID, unique among the subsystem's controllers
 * @param namespaceCountMax NN: the highest namespace id that there may be
 * @param mappableDoorbells the front-end may map the doorbells
 * @param shadowDoorbells Doorbell Buffer Config is offered
 * @param ioQueueCountMax pairs of I/O queues, 1..64
 * @param queueEntryCountMax entries of one queue, 2..65536
 * @param namespaces by ascending namespace id
 */
public record NvmeDescription(
    String subsystemNqn,
    String serialNumber,
    String modelNumber,
    int controllerId,
    int namespaceCountMax,
    boolean mappableDoorbells,
    boolean shadowDoorbells,
    int ioQueueCountMax,
    int queueEntryCountMax,
    List<Namespace> namespaces) {
  /** More than any master allows. */
  private static final int NAMESPACE_COUNT_LIMIT = 1024;

  /**
   * A namespace.
   *
   * @param nsid 1..{@link #namespaceCountMax}
   * @param bdevId the block device behind it
   * @param uuid never null
   * @param nguid 32 lower-case hexadecimal digits, or empty for the one made from the uuid
   * @param eui64 16 lower-case hexadecimal digits, or empty for the one made from the uuid
   */
  public record Namespace(int nsid, long bdevId, UUID uuid, String nguid, String eui64) {}

  public NvmeDescription {
    namespaces = List.copyOf(namespaces);
  }

  /** The same controller with other namespaces. */
  public NvmeDescription withNamespaces(final List<Namespace> others) {
    return new NvmeDescription(
        subsystemNqn,
        serialNumber,
        modelNumber,
        controllerId,
        namespaceCountMax,
        mappableDoorbells,
        shadowDoorbells,
        ioQueueCountMax,
        queueEntryCountMax,
        others);
  }

  void write(final RelayWriter writer) {
    writer
        .putString(subsystemNqn)
        .putString(serialNumber)
        .putString(modelNumber)
        .putInt(controllerId)
        .putInt(namespaceCountMax)
        .putInt(mappableDoorbells ? 1 : 0)
        .putInt(shadowDoorbells ? 1 : 0)
        .putInt(ioQueueCountMax)
        .putInt(queueEntryCountMax);
    writeNamespaces(writer, namespaces);
  }

  static NvmeDescription read(final RelayReader reader) {
    return new NvmeDescription(
        reader.getString(),
        reader.getString(),
        reader.getString(),
        reader.getInt(),
        reader.getInt(),
        reader.getInt() != 0,
        reader.getInt() != 0,
        reader.getInt(),
        reader.getInt(),
        readNamespaces(reader));
  }

  /** Appends a list of namespaces to a message. */
  public static void writeNamespaces(final RelayWriter writer, final List<Namespace> namespaces) {
    writer.putInt(namespaces.size());
    for (final Namespace namespace : namespaces) {
      writer
          .putInt(namespace.nsid)
          .putLong(namespace.bdevId)
          .putLong(namespace.uuid.getMostSignificantBits())
          .putLong(namespace.uuid.getLeastSignificantBits())
          .putString(namespace.nguid)
          .putString(namespace.eui64);
    }
  }

  /**
   * Reads what {@link #writeNamespaces} wrote.
   *
   * @throws RelayFormatException when it is malformed
   */
  public static List<Namespace> readNamespaces(final RelayReader reader) {
    final int count = reader.getInt();
    if (count < 0 || count > NAMESPACE_COUNT_LIMIT) {
      throw new RelayFormatException("count of namespaces out of range: " + count);
    }
    final List<Namespace> found = new ArrayList<>(count);
    int before = 0;
    for (int i = 0; i < count; i++) {
      final int nsid = reader.getInt();
      if (nsid <= before) {
        throw new RelayFormatException(
            "namespace ids out of order: nsid=" + nsid + " after=" + before);
      }
      before = nsid;
      found.add(
          new Namespace(
              nsid,
              reader.getLong(),
              new UUID(reader.getLong(), reader.getLong()),
              reader.getString(),
              reader.getString()));
    }
    return found;
  }
}
