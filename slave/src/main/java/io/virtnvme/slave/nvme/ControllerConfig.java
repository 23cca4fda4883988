package io.virtnvme.slave.nvme;

/**
 * What a controller is, given when its session begins and the same for every successor.
 *
 * @param subsystemNqn at most 223 bytes
 * @param serial at most 20 ASCII characters
 * @param model at most 40 ASCII characters
 * @param controllerId 0..0xFFEF
 * @param pciVendorId as in the PCI configuration space
 * @param pciSubsystemVendorId as in the PCI configuration space
 * @param queuePairsMax I/O queue pairs, 1..{@link #QUEUE_PAIRS_LIMIT}
 * @param queueEntriesMax entries of an I/O queue, 2..{@link #QUEUE_ENTRIES_LIMIT}
 * @param vectorCount interrupt vectors of the device, 1..2048
 * @param namespaceIdMax greatest namespace id, 1..{@link #NAMESPACE_ID_LIMIT}
 */
public record ControllerConfig(
    String subsystemNqn,
    String serial,
    String model,
    int controllerId,
    int pciVendorId,
    int pciSubsystemVendorId,
    int queuePairsMax,
    int queueEntriesMax,
    int vectorCount,
    int namespaceIdMax) {
  public static final int QUEUE_PAIRS_LIMIT = 128;
  public static final int QUEUE_ENTRIES_LIMIT = 1024;
  public static final int NAMESPACE_ID_LIMIT = 256;

  /** Entries of an admin queue: what AQA can say. */
  public static final int ADMIN_ENTRIES_LIMIT = 4096;

  /** Bytes that one command may transfer: MDTS says the same. */
  public static final int TRANSFER_BYTES_MAX = 1 << 20;

  /**
   * Bytes that one Write Zeroes or Verify may cover: a reactor must not be held up for long. Powers
   * of two, as the identify data says them.
   */
  public static final int WRITE_ZEROES_BYTES_MAX = 16 << 20;

  /** Interrupt vectors of a PCI function at most (MSI-X). */
  public static final int VECTORS_LIMIT = 2048;

  /** Asynchronous Event Requests that may be outstanding: AERL says the same. */
  public static final int EVENT_REQUESTS_MAX = 4;

  public ControllerConfig {
    requireText("subsystem NQN", subsystemNqn, 223);
    requireText("serial", serial, 20);
    requireText("model", model, 40);
    requireRange("controller id", controllerId, 0, 0xFFEF);
    requireRange("PCI vendor id", pciVendorId, 0, 0xFFFF);
    requireRange("PCI subsystem vendor id", pciSubsystemVendorId, 0, 0xFFFF);
    requireRange("queue pairs", queuePairsMax, 1, QUEUE_PAIRS_LIMIT);
    requireRange("queue entries", queueEntriesMax, 2, QUEUE_ENTRIES_LIMIT);
    requireRange("vectors", vectorCount, 1, VECTORS_LIMIT);
    requireRange("greatest namespace id", namespaceIdMax, 1, NAMESPACE_ID_LIMIT);
  }

  private static void requireText(final String what, final String text, final int charsMax) {
    if (text.length() > charsMax || !text.chars().allMatch(c -> c >= 0x20 && c <= 0x7E)) {
      throw new IllegalArgumentException(
          what + " is not printable ASCII of at most " + charsMax + " characters: " + text);
    }
  }

  private static void requireRange(
      final String what, final int value, final int min, final int max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(what + "=" + value + ", allowed " + min + ".." + max);
    }
  }
}
