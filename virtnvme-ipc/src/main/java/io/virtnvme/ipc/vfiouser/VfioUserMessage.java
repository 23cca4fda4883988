package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Header of a vfio-user message ("Header"). A message is a byte array that begins with the header;
 * the payload follows at {@link #PAYLOAD_OFFSET}. Any thread.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-------------------------------+-------------------------------+  0
 *  |          message id           |            command            |
 *  +-------------------------------+-------------------------------+  4
 *  |               size (of the message, header included)          |
 *  +-------+-+-+---------------------------------------------------+  8
 *  | type  |N|E|                    zero                           |  N = no reply, E = error
 *  +-------+-+-+---------------------------------------------------+ 12
 *  |                            error                              |
 *  +---------------------------------------------------------------+ 16
 *  |                          payload ...
 * </pre>
 */
public final class VfioUserMessage {
  public static final int ID_OFFSET = 0;
  public static final int COMMAND_OFFSET = ID_OFFSET + Short.BYTES;
  public static final int SIZE_OFFSET = COMMAND_OFFSET + Short.BYTES;
  public static final int FLAGS_OFFSET = SIZE_OFFSET + Integer.BYTES;
  public static final int ERROR_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int PAYLOAD_OFFSET = ERROR_OFFSET + Integer.BYTES;
  public static final int HEADER_LENGTH = PAYLOAD_OFFSET;

  /** Flags: what kind of message; {@link #TYPE_COMMAND} or {@link #TYPE_REPLY}. */
  public static final int TYPE_MASK = 0xF;

  public static final int TYPE_COMMAND = 0;
  public static final int TYPE_REPLY = 1;
  public static final int NO_REPLY_FLAG = 0x10;
  public static final int ERROR_FLAG = 0x20;

  private VfioUserMessage() {}

  /**
   * A command with a zeroed payload.
   *
   * @param id 16 bits, comes back in the reply
   * @param flags {@link #NO_REPLY_FLAG} or 0
   */
  public static byte[] command(
      final VfioUserCommand command, final int id, final int flags, final int payloadLength) {
    return message(id, command.code(), TYPE_COMMAND | flags, payloadLength);
  }

  /** A reply to a command with a zeroed payload. */
  public static byte[] reply(final byte[] command, final int payloadLength) {
    return message(id(command), commandCode(command), TYPE_REPLY, payloadLength);
  }

  /** A reply that refuses a command: the header alone, as the specification has it. */
  public static byte[] refusal(final byte[] command, final int errno) {
    final byte[] reply = message(id(command), commandCode(command), TYPE_REPLY | ERROR_FLAG, 0);
    LittleEndian.putInt(reply, ERROR_OFFSET, errno);
    return reply;
  }

  private static byte[] message(
      final int id, final int code, final int flags, final int payloadLength) {
    final byte[] message = new byte[HEADER_LENGTH + payloadLength];
    LittleEndian.putShort(message, ID_OFFSET, id);
    LittleEndian.putShort(message, COMMAND_OFFSET, code);
    LittleEndian.putInt(message, SIZE_OFFSET, message.length);
    LittleEndian.putInt(message, FLAGS_OFFSET, flags);
    return message;
  }

  public static int id(final byte[] message) {
    return LittleEndian.getUnsignedShort(message, ID_OFFSET);
  }

  public static int commandCode(final byte[] message) {
    return LittleEndian.getUnsignedShort(message, COMMAND_OFFSET);
  }

  /** What the header says; the array may be shorter or longer when the peer is hostile. */
  public static int size(final byte[] message) {
    return LittleEndian.getInt(message, SIZE_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, FLAGS_OFFSET);
  }

  public static boolean isReply(final byte[] message) {
    return (flags(message) & TYPE_MASK) == TYPE_REPLY;
  }

  public static boolean wantsReply(final byte[] message) {
    return (flags(message) & NO_REPLY_FLAG) == 0;
  }

  /** The errno of a reply that refuses, which may name none (0); 0 for other replies. */
  public static int error(final byte[] message) {
    return (flags(message) & ERROR_FLAG) == 0 ? 0 : LittleEndian.getInt(message, ERROR_OFFSET);
  }

  public static boolean isRefusal(final byte[] message) {
    return (flags(message) & ERROR_FLAG) != 0;
  }

  /** Bytes behind the header. */
  public static int payloadLength(final byte[] message) {
    return message.length - HEADER_LENGTH;
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("vfio-user header", HEADER_LENGTH)
        .field("message id", ID_OFFSET, Short.BYTES)
        .field("command", COMMAND_OFFSET, Short.BYTES)
        .field("size", SIZE_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .field("error", ERROR_OFFSET, Integer.BYTES)
        .text();
  }
}
