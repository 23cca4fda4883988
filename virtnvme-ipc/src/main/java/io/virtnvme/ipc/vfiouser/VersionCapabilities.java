package io.virtnvme.ipc.vfiouser;

import java.util.Map;

/**
 * What one side can take, as the JSON text of VERSION says it ("VFIO_USER_VERSION"). Immutable.
 *
 * @param maxMsgFds descriptors that it takes in one message
 * @param maxDataXferSize bytes of one region read or write
 * @param maxDmaMaps regions that may be mapped at a time
 * @param pgsizes page sizes of DMA regions, or'ed
 * @param writeMultiple it understands REGION_WRITE_MULTI
 */
public record VersionCapabilities(
    long maxMsgFds, long maxDataXferSize, long maxDmaMaps, long pgsizes, boolean writeMultiple) {
  /** What the specification says for a peer that says nothing. */
  public static final VersionCapabilities DEFAULT =
      new VersionCapabilities(1, 1 << 20, 65535, 4096, false);

  /**
   * Reads the text of a VERSION message; an empty text means the defaults.
   *
   * @throws IllegalArgumentException when it is no JSON object, or a value is of the wrong type or
   *     negative; the message says which
   */
  public static VersionCapabilities parse(final String text) {
    if (text.isBlank()) {
      return DEFAULT;
    }
    final Object capabilities = object(JsonLite.parse(text), "the text").get("capabilities");
    if (capabilities == null) {
      return DEFAULT;
    }
    final Map<String, Object> values = object(capabilities, "capabilities");
    return new VersionCapabilities(
        number(values, "max_msg_fds", DEFAULT.maxMsgFds),
        number(values, "max_data_xfer_size", DEFAULT.maxDataXferSize),
        number(values, "max_dma_maps", DEFAULT.maxDmaMaps),
        number(values, "pgsizes", DEFAULT.pgsizes),
        truth(values, "write_multiple", DEFAULT.writeMultiple));
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> object(final Object value, final String what) {
    if (!(value instanceof Map)) {
      throw new IllegalArgumentException(what + " is no JSON object: " + value);
    }
    return (Map<String, Object>) value;
  }

  private static long number(
      final Map<String, Object> values, final String name, final long otherwise) {
    final Object value = values.get(name);
    if (value == null) {
      return otherwise;
    }
    if (value instanceof Long count && count >= 0) {
      return count;
    }
    throw new IllegalArgumentException(name + " is no count: " + value);
  }

  private static boolean truth(
      final Map<String, Object> values, final String name, final boolean otherwise) {
    final Object value = values.get(name);
    if (value == null) {
      return otherwise;
    }
    if (value instanceof Boolean yes) {
      return yes;
    }
    throw new IllegalArgumentException(name + " is neither true nor false: " + value);
  }

  /** The JSON text. */
  public String text() {
    return "{\"capabilities\":{\"max_msg_fds\":"
        + maxMsgFds
        + ",\"max_data_xfer_size\":"
        + maxDataXferSize
        + ",\"max_dma_maps\":"
        + maxDmaMaps
        + ",\"pgsizes\":"
        + pgsizes
        + (writeMultiple ? ",\"write_multiple\":true" : "")
        + "}}";
  }
}
