package io.virtnvme.ipc.vhostuser;

import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE and SET_VRING_ENABLE ("A vring state
 * description"); and the meaning of the one 64-bit number of SET_VRING_KICK, _CALL and _ERR.
 * Methods take the whole message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |            index              |              num              |
 *  +-------------------------------+-------------------------------+ 8
 * </pre>
 */
public final class VringState {
  public static final int INDEX_OFFSET = 0;
  public static final int NUM_OFFSET = INDEX_OFFSET + Integer.BYTES;
  public static final int LENGTH = NUM_OFFSET + Integer.BYTES;

  /** SET_VRING_KICK, _CALL, _ERR: bits with the index of the ring. */
  public static final long FD_INDEX_MASK = 0xFF;

  /** SET_VRING_KICK, _CALL, _ERR: no descriptor comes along. */
  public static final long NO_FD_FLAG = 0x100;

  private VringState() {}

  public static int index(final byte[] message) {
    return LittleEndian.getInt(message, VhostUserMessage.PAYLOAD_OFFSET + INDEX_OFFSET);
  }

  public static int num(final byte[] message) {
    return LittleEndian.getInt(message, VhostUserMessage.PAYLOAD_OFFSET + NUM_OFFSET);
  }

  /** Fills the payload; for GET_VRING_BASE's reply too. */
  public static void put(final byte[] message, final int index, final int num) {
    LittleEndian.putInt(message, VhostUserMessage.PAYLOAD_OFFSET + INDEX_OFFSET, index);
    LittleEndian.putInt(message, VhostUserMessage.PAYLOAD_OFFSET + NUM_OFFSET, num);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return Field.structure(
        "vring state",
        LENGTH,
        new Field("index", INDEX_OFFSET, Integer.BYTES),
        new Field("num", NUM_OFFSET, Integer.BYTES));
  }
}
