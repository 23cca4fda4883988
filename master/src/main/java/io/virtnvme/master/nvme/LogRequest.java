package io.virtnvme.master.nvme;

/**
 * A part of a log page that is to be read; reading changes nothing in the device.
 *
 * @param id log page identifier, 0..255
 * @param namespaceId unsigned; 0xFFFFFFFF for the controller
 * @param offsetBytes where it begins; a multiple of 4, not negative
 * @param lengthBytes 4 to {@link #LENGTH_MAX}, a multiple of 4
 */
public record LogRequest(int id, int namespaceId, long offsetBytes, int lengthBytes) {
  /** What one question may ask for: some commands, one after another, in the device's thread. */
  public static final int LENGTH_MAX = 64 * 1024;

  public LogRequest {
    if (id < 0
        || id > 0xFF
        || offsetBytes < 0
        || offsetBytes % Integer.BYTES != 0
        || lengthBytes < Integer.BYTES
        || lengthBytes > LENGTH_MAX
        || lengthBytes % Integer.BYTES != 0) {
      throw new IllegalArgumentException(
          "no part of a log page: id="
              + id
              + " offsetBytes="
              + offsetBytes
              + " lengthBytes="
              + lengthBytes);
    }
  }
}
