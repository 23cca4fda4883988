package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Payload of VERSION, in both directions ("VFIO_USER_VERSION"): the numbers, then JSON text with a
 * terminating zero. Methods take the whole message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |        major (16 bits)        |        minor (16 bits)        |
 *  +---------------------------------------------------------------+  4
 *  |                            JSON ...                           |
 * </pre>
 */
public final class VersionPayload {
  public static final int MAJOR_OFFSET = 0;
  public static final int MINOR_OFFSET = MAJOR_OFFSET + Short.BYTES;
  public static final int LENGTH = MINOR_OFFSET + Short.BYTES;

  /** The major version that is spoken here; minor is 0. */
  public static final int VERSION_MAJOR = 0;

  public static final int VERSION_MINOR = 0;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private VersionPayload() {}

  public static int major(final byte[] message) {
    return LittleEndian.getUnsignedShort(message, BASE + MAJOR_OFFSET);
  }

  public static int minor(final byte[] message) {
    return LittleEndian.getUnsignedShort(message, BASE + MINOR_OFFSET);
  }

  /** Fills the fields. */
  public static void put(final byte[] message, final int major, final int minor) {
    LittleEndian.putShort(message, BASE + MAJOR_OFFSET, major);
    LittleEndian.putShort(message, BASE + MINOR_OFFSET, minor);
  }

  /** A VERSION reply or the payload of a command: the text is given its terminating zero. */
  public static byte[] withText(final byte[] header, final String json) {
    final byte[] text = json.getBytes(StandardCharsets.UTF_8);
    final byte[] message =
        Arrays.copyOf(header, VfioUserMessage.HEADER_LENGTH + LENGTH + text.length + 1);
    System.arraycopy(text, 0, message, BASE + LENGTH, text.length);
    LittleEndian.putInt(message, VfioUserMessage.SIZE_OFFSET, message.length);
    return message;
  }

  /** The JSON text up to its terminating zero, or to the end of the message; empty without one. */
  public static String text(final byte[] message) {
    int end = BASE + LENGTH;
    while (end < message.length && message[end] != 0) {
      end++;
    }
    return new String(message, BASE + LENGTH, end - BASE - LENGTH, StandardCharsets.UTF_8);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("version", LENGTH)
        .field("major", MAJOR_OFFSET, Short.BYTES)
        .field("minor", MINOR_OFFSET, Short.BYTES)
        .text();
  }
}
