package io.virtnvme.ipc.vhostuser;

import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Header of a vhost-user message, little endian ("Message Specification"). A message is a byte
 * array that begins with the header; the payload follows at {@link #PAYLOAD_OFFSET}. Any thread.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                           request                             |
 *  +---+-+-+-------------------------------------------------------+  4
 *  |ver|R|N|                      zero                             |  R = reply, N = need reply
 *  +---+-+-+-------------------------------------------------------+  8
 *  |                   size (payload, bytes)                       |
 *  +---------------------------------------------------------------+ 12
 *  |                          payload ...
 * </pre>
 */
public final class VhostUserMessage {
  public static final int REQUEST_OFFSET = 0;
  public static final int FLAGS_OFFSET = REQUEST_OFFSET + Integer.BYTES;
  public static final int SIZE_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int PAYLOAD_OFFSET = SIZE_OFFSET + Integer.BYTES;
  public static final int HEADER_LENGTH = PAYLOAD_OFFSET;

  /** Flags: the version is in the lower two bits. */
  public static final int VERSION_MASK = 0x3;

  public static final int VERSION = 0x1;
  public static final int REPLY_FLAG = 0x4;
  public static final int NEED_REPLY_FLAG = 0x8;

  /** Longest payload that any front-end sends to a block device: 32 memory regions. */
  public static final int PAYLOAD_LENGTH_MAX = 4096;

  private VhostUserMessage() {}

  /** A request with a zeroed payload; {@code flags} beside the version, such as NEED_REPLY_FLAG. */
  public static byte[] request(
      final VhostUserRequest request, final int flags, final int payloadLength) {
    return message(request.code(), VERSION | flags, payloadLength);
  }

  /** A request whose payload is one 64-bit number. */
  public static byte[] requestU64(
      final VhostUserRequest request, final int flags, final long value) {
    final byte[] message = request(request, flags, Long.BYTES);
    LittleEndian.putLong(message, PAYLOAD_OFFSET, value);
    return message;
  }

  /** A request of the back-end without payload. */
  public static byte[] backendRequest(final VhostUserBackendRequest request, final int flags) {
    return message(request.code(), VERSION | flags, 0);
  }

  /**
   * A reply with a zeroed payload: the request's code, and the reply flag alone beside the version.
   */
  public static byte[] reply(final int requestCode, final int payloadLength) {
    return message(requestCode, VERSION | REPLY_FLAG, payloadLength);
  }

  /** A reply whose payload is one 64-bit number. */
  public static byte[] replyU64(final int requestCode, final long value) {
    final byte[] message = reply(requestCode, Long.BYTES);
    LittleEndian.putLong(message, PAYLOAD_OFFSET, value);
    return message;
  }

  private static byte[] message(final int code, final int flags, final int payloadLength) {
    final byte[] message = new byte[HEADER_LENGTH + payloadLength];
    LittleEndian.putInt(message, REQUEST_OFFSET, code);
    LittleEndian.putInt(message, FLAGS_OFFSET, flags);
    LittleEndian.putInt(message, SIZE_OFFSET, payloadLength);
    return message;
  }

  public static int requestCode(final byte[] message) {
    return LittleEndian.getInt(message, REQUEST_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, FLAGS_OFFSET);
  }

  /** What the header says; the array may be shorter or longer when the peer is hostile. */
  public static int payloadLength(final byte[] message) {
    return LittleEndian.getInt(message, SIZE_OFFSET);
  }

  /** The payload of a message whose payload is one 64-bit number. */
  public static long u64(final byte[] message) {
    return LittleEndian.getLong(message, PAYLOAD_OFFSET);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return Field.structure(
        "vhost-user header",
        HEADER_LENGTH,
        new Field("request", REQUEST_OFFSET, Integer.BYTES),
        new Field("flags", FLAGS_OFFSET, Integer.BYTES),
        new Field("size", SIZE_OFFSET, Integer.BYTES));
  }
}
