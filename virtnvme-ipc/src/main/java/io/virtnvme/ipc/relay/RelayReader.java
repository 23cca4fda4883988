package io.virtnvme.ipc.relay;

import java.nio.charset.StandardCharsets;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Reads one relay message in the order in which it was written. Every read is checked against the
 * received length; a message that is too short throws {@link RelayFormatException}.
 */
public final class RelayReader {
  private final UnsafeBuffer buffer;
  private int length;
  private int position;
  private int[] fds = new int[0];

  RelayReader(final long address) {
    buffer = new UnsafeBuffer(address, RelayWriter.MESSAGE_LENGTH_MAX);
  }

  void wrap(final int receivedLength, final int[] receivedFds) {
    fds = receivedFds;
    length = receivedLength;
    position = RelayWriter.HEADER_LENGTH;
    if (receivedLength < RelayWriter.HEADER_LENGTH
        || buffer.getInt(RelayWriter.LENGTH_OFFSET) != receivedLength) {
      throw new RelayFormatException("bad length: received=" + receivedLength);
    }
  }

  /** Null for a type that this build does not know. */
  public RelayMessageType type() {
    return RelayMessageType.of(buffer.getInt(RelayWriter.TYPE_OFFSET));
  }

  public long id() {
    return buffer.getLong(RelayWriter.ID_OFFSET);
  }

  public long sequence() {
    return buffer.getLong(RelayWriter.SEQUENCE_OFFSET);
  }

  private int advance(final int count) {
    if (count < 0 || count > length - position) {
      throw new RelayFormatException(
          "message too short: type="
              + type()
              + " length="
              + length
              + " position="
              + position
              + " wanted="
              + count);
    }
    final int start = position;
    position += count;
    return start;
  }

  public int getInt() {
    return buffer.getInt(advance(Integer.BYTES));
  }

  public long getLong() {
    return buffer.getLong(advance(Long.BYTES));
  }

  public byte[] getBytes() {
    final int count = getInt();
    final int start = advance(count);
    final byte[] bytes = new byte[count];
    buffer.getBytes(start, bytes);
    return bytes;
  }

  public String getString() {
    return new String(getBytes(), StandardCharsets.UTF_8);
  }

  public boolean hasRemaining() {
    return position < length;
  }

  public int fdCount() {
    return fds.length;
  }

  /**
   * Takes over the descriptors that came with the message: the caller closes them. Empty when they
   * were taken before.
   */
  public int[] takeFds() {
    final int[] taken = fds;
    fds = new int[0];
    return taken;
  }
}
