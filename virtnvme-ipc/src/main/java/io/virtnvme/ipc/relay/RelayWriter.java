package io.virtnvme.ipc.relay;

import java.nio.charset.StandardCharsets;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Builds one relay message: {@link #begin}, then the body in order, then {@link RelayChannel#send}.
 * Control plane; one thread.
 *
 * <pre>
 *  0               8              16              24
 *  +-------+-------+---------------+---------------+  0
 *  | type  | length|      id       |   sequence    |   length: of the whole message, header included
 *  +-------+-------+---------------+---------------+ 24
 *  | body ...
 * </pre>
 */
public final class RelayWriter {
  public static final int TYPE_OFFSET = 0;
  public static final int LENGTH_OFFSET = TYPE_OFFSET + Integer.BYTES;
  public static final int ID_OFFSET = LENGTH_OFFSET + Integer.BYTES;
  public static final int SEQUENCE_OFFSET = ID_OFFSET + Long.BYTES;
  public static final int HEADER_LENGTH = SEQUENCE_OFFSET + Long.BYTES;

  /** Longest message; both ends set their socket buffers accordingly. */
  public static final int MESSAGE_LENGTH_MAX = 160 * 1024;

  private final UnsafeBuffer buffer;
  private int length;
  private int[] fds = new int[16];
  private int fdCount;

  RelayWriter(final long address) {
    buffer = new UnsafeBuffer(address, MESSAGE_LENGTH_MAX);
  }

  public RelayWriter begin(final RelayMessageType type, final long id, final long sequence) {
    buffer.putInt(TYPE_OFFSET, type.code());
    buffer.putLong(ID_OFFSET, id);
    buffer.putLong(SEQUENCE_OFFSET, sequence);
    length = HEADER_LENGTH;
    fdCount = 0;
    return this;
  }

  public RelayWriter putInt(final int value) {
    buffer.putInt(length, value);
    length += Integer.BYTES;
    return this;
  }

  public RelayWriter putLong(final long value) {
    buffer.putLong(length, value);
    length += Long.BYTES;
    return this;
  }

  public RelayWriter putBytes(final byte[] bytes) {
    putInt(bytes.length);
    buffer.putBytes(length, bytes);
    length += bytes.length;
    return this;
  }

  public RelayWriter putString(final String text) {
    return putBytes(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Adds a descriptor; the sender keeps its own and closes it when it likes, after the send. */
  public RelayWriter putFd(final int fd) {
    if (fdCount == fds.length) {
      fds = java.util.Arrays.copyOf(fds, fds.length * 2);
    }
    fds[fdCount++] = fd;
    return this;
  }

  int finish() {
    buffer.putInt(LENGTH_OFFSET, length);
    return length;
  }

  int[] fds() {
    return fds;
  }

  int fdCount() {
    return fdCount;
  }
}
