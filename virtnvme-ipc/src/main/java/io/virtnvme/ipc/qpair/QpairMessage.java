package io.virtnvme.ipc.qpair;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The one message of a VirtNvme socket: the client asks for a queue pair, and is given it or told
 * why not. Everything after that is in shared memory; the connection lasts as long as the client.
 *
 * <pre>
 *  0               4               8       10      12              16
 *  +---------------+---------------+-------+-------+---------------+
 *  | magic "VNQP"  | whole length  |version| type  |  status       |
 *  +---------------+---------------+-------+-------+---------------+ 16
 *  |  entries      |  access       |  bytes of the pool            |  asked for
 *  +---------------+---------------+-------------------------------+ 32
 * </pre>
 *
 * <p>The reply is a header whose status is 0, with three descriptors: segment, eventfd that wakes
 * the slave, eventfd that wakes the client. Or its status is an errno, and a sentence follows.
 */
public final class QpairMessage {
  public static final int MAGIC = 0x50514E56;
  public static final int VERSION = 1;
  public static final int TYPE_ATTACH = 1;

  public static final int MAGIC_OFFSET = 0;
  public static final int LENGTH_OFFSET = MAGIC_OFFSET + Integer.BYTES;
  public static final int VERSION_OFFSET = LENGTH_OFFSET + Integer.BYTES;
  public static final int TYPE_OFFSET = VERSION_OFFSET + Short.BYTES;
  public static final int STATUS_OFFSET = TYPE_OFFSET + Short.BYTES;
  public static final int HEADER_LENGTH = STATUS_OFFSET + Integer.BYTES;

  public static final int ENTRY_COUNT_OFFSET = HEADER_LENGTH;
  public static final int ACCESS_OFFSET = ENTRY_COUNT_OFFSET + Integer.BYTES;
  public static final int POOL_LENGTH_OFFSET = ACCESS_OFFSET + Integer.BYTES;
  public static final int ATTACH_LENGTH = POOL_LENGTH_OFFSET + Long.BYTES;

  public static final int ACCESS_READ = 0;
  public static final int ACCESS_WRITE = 1;

  /** Descriptors of a reply, in their order. */
  public static final int FD_COUNT = 3;

  /** Longest sentence of a refusal. */
  static final int REPLY_LENGTH_MAX = 4096;

  private QpairMessage() {}

  private static byte[] header(final int lengthBytes, final int status) {
    final byte[] bytes = new byte[lengthBytes];
    LittleEndian.putInt(bytes, MAGIC_OFFSET, MAGIC);
    LittleEndian.putInt(bytes, LENGTH_OFFSET, lengthBytes);
    LittleEndian.putShort(bytes, VERSION_OFFSET, VERSION);
    LittleEndian.putShort(bytes, TYPE_OFFSET, TYPE_ATTACH);
    LittleEndian.putInt(bytes, STATUS_OFFSET, status);
    return bytes;
  }

  /** What the client sends. */
  public static byte[] attach(
      final int entryCount, final long poolLength, final boolean writeAccess) {
    final byte[] bytes = header(ATTACH_LENGTH, 0);
    LittleEndian.putInt(bytes, ENTRY_COUNT_OFFSET, entryCount);
    LittleEndian.putInt(bytes, ACCESS_OFFSET, writeAccess ? ACCESS_WRITE : ACCESS_READ);
    LittleEndian.putLong(bytes, POOL_LENGTH_OFFSET, poolLength);
    return bytes;
  }

  /** The queue pair goes with this. */
  public static byte[] attached() {
    return header(HEADER_LENGTH, 0);
  }

  /**
   * A refusal.
   *
   * @param errno positive
   */
  public static byte[] refused(final int errno, final String text) {
    final byte[] sentence = text.getBytes(StandardCharsets.UTF_8);
    final int length = Math.min(sentence.length, REPLY_LENGTH_MAX - HEADER_LENGTH);
    final byte[] bytes = header(HEADER_LENGTH + length, errno);
    System.arraycopy(sentence, 0, bytes, HEADER_LENGTH, length);
    return bytes;
  }

  /** The sentence of a refusal. */
  static String text(final byte[] reply) {
    return new String(
        Arrays.copyOfRange(reply, HEADER_LENGTH, reply.length), StandardCharsets.UTF_8);
  }

  /**
   * What is wrong with a header, or null.
   *
   * @param lengthMin bytes that the message has at least
   */
  public static String problem(final byte[] message, final int lengthMin) {
    if (message.length < lengthMin) {
      return "message too short: bytes=" + message.length + " expected=" + lengthMin;
    }
    if (LittleEndian.getInt(message, MAGIC_OFFSET) != MAGIC) {
      return "no VirtNvme message: magic=0x"
          + Integer.toHexString(LittleEndian.getInt(message, MAGIC_OFFSET));
    }
    final int version = LittleEndian.getUnsignedShort(message, VERSION_OFFSET);
    final int type = LittleEndian.getUnsignedShort(message, TYPE_OFFSET);
    if (version != VERSION || type != TYPE_ATTACH) {
      return "unknown message: version=" + version + " type=" + type + ", known 1 and 1";
    }
    return null;
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("VirtNvme attach message, version 1", ATTACH_LENGTH)
        .field("magic", MAGIC_OFFSET, Integer.BYTES)
        .field("length", LENGTH_OFFSET, Integer.BYTES)
        .field("version", VERSION_OFFSET, Short.BYTES)
        .field("type", TYPE_OFFSET, Short.BYTES)
        .field("status", STATUS_OFFSET, Integer.BYTES)
        .field("entry_count", ENTRY_COUNT_OFFSET, Integer.BYTES)
        .field("access", ACCESS_OFFSET, Integer.BYTES)
        .field("pool_length", POOL_LENGTH_OFFSET, Long.BYTES)
        .text();
  }
}
