package io.virtnvme.tools.migrate;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32C;

/**
 * One end of a connection, as frames in network byte order. One thread. Nothing that the other end
 * sends is used before it is checked, and nothing is allocated by its size.
 *
 * <pre>
 *  0   +-------------------------------+
 *      | magic "VNMG"                  |
 *  4   +---------------+---------------+
 *      | type          | 0             |
 *  8   +---------------+---------------+
 *      | length of the payload         |
 *  12  +-------------------------------+
 *      | CRC32C of 4..12 and payload   |
 *  16  +-------------------------------+
 *      | payload                       |
 * </pre>
 */
final class Wire implements Closeable {
  static final int MAGIC = 0x564E_4D47;
  static final int HEADER_LENGTH = 16;

  private static final int TYPE_OFFSET = 4;
  private static final int LENGTH_OFFSET = 8;
  private static final int CRC_OFFSET = 12;
  private static final int TEXT_BYTES_MAX = 1024;

  private static final int STREAM_BYTES = 1 << 18;

  private final Closeable connection;
  private final InputStream in;
  private final OutputStream out;
  private final CRC32C crc = new CRC32C();
  private final byte[] sentBytes = new byte[HEADER_LENGTH + FrameType.PAYLOAD_MAX];
  private final byte[] receivedBytes = new byte[HEADER_LENGTH + FrameType.PAYLOAD_MAX];
  private final ByteBuffer sent = ByteBuffer.wrap(sentBytes);
  private final ByteBuffer received = ByteBuffer.wrap(receivedBytes);

  /** Over a connection, which {@link #close} ends. */
  Wire(final Closeable connection, final InputStream in, final OutputStream out) {
    this.connection = connection;
    this.in = new BufferedInputStream(in, STREAM_BYTES);
    this.out = new BufferedOutputStream(out, STREAM_BYTES);
  }

  static Wire over(final Socket socket) throws IOException {
    return new Wire(socket, socket.getInputStream(), socket.getOutputStream());
  }

  /** Where the payload of the next frame is to be put; valid until {@link #send}. */
  ByteBuffer payload() {
    return sent.clear().position(HEADER_LENGTH);
  }

  /**
   * Sends what was put into {@link #payload}.
   *
   * @return bytes of the frame
   */
  int send(final FrameType type) throws IOException {
    final int length = sent.position() - HEADER_LENGTH;
    if (!type.fits(length)) {
      throw new IllegalStateException("frame " + type + " of " + length + " bytes");
    }
    sent.putInt(0, MAGIC);
    sent.putInt(TYPE_OFFSET, type.code() << Short.SIZE);
    sent.putInt(LENGTH_OFFSET, length);
    sent.putInt(CRC_OFFSET, checksum(sentBytes, length));
    out.write(sentBytes, 0, HEADER_LENGTH + length);
    return HEADER_LENGTH + length;
  }

  /** Sends a frame without a payload. */
  void sendEmpty(final FrameType type) throws IOException {
    payload();
    send(type);
    flush();
  }

  /** Tells the other end why it goes no further, if it still hears. */
  void sendError(final String text) throws IOException {
    final byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    payload().put(bytes, 0, Math.min(bytes.length, TEXT_BYTES_MAX));
    send(FrameType.ERROR);
    flush();
  }

  void flush() throws IOException {
    out.flush();
  }

  private int checksum(final byte[] frame, final int length) {
    crc.reset();
    crc.update(frame, TYPE_OFFSET, CRC_OFFSET - TYPE_OFFSET);
    crc.update(frame, HEADER_LENGTH, length);
    return (int) crc.getValue();
  }

  /**
   * Receives the next frame; its payload is {@link #content} until the next call.
   *
   * @return its type; null at the end of the connection between two frames
   * @throws ProtocolException when it is no frame, or not the bytes that were sent
   */
  FrameType receive() throws IOException {
    final int first = in.readNBytes(receivedBytes, 0, HEADER_LENGTH);
    if (first == 0) {
      return null;
    }
    if (first < HEADER_LENGTH) {
      throw new EOFException("the connection ended within a frame");
    }
    final int magic = received.getInt(0);
    final int typeWord = received.getInt(TYPE_OFFSET);
    final int length = received.getInt(LENGTH_OFFSET);
    final FrameType type = FrameType.of(typeWord >>> Short.SIZE);
    if (magic != MAGIC) {
      throw new ProtocolException(
          "this is no virtnvme migration: first word 0x" + Integer.toHexString(magic));
    }
    if (type == null || (typeWord & 0xFFFF) != 0 || !type.fits(length)) {
      throw new ProtocolException(
          "no such frame: type 0x" + Integer.toHexString(typeWord) + " length=" + length);
    }
    if (in.readNBytes(receivedBytes, HEADER_LENGTH, length) < length) {
      throw new EOFException("the connection ended within a frame");
    }
    if (checksum(receivedBytes, length) != received.getInt(CRC_OFFSET)) {
      throw new ProtocolException("frame " + type + " was changed on its way: wrong checksum");
    }
    received.limit(HEADER_LENGTH + length).position(HEADER_LENGTH);
    return type;
  }

  /** The payload of the frame received last. */
  ByteBuffer content() {
    return received;
  }

  /**
   * Receives the one frame that may come now.
   *
   * @throws ProtocolException when another one comes; an ERROR with what it says
   * @throws EOFException at the end of the connection
   */
  void expect(final FrameType wanted) throws IOException {
    final FrameType type = receive();
    if (type == null) {
      throw new EOFException("the other end hung up");
    }
    if (type == FrameType.ERROR) {
      throw new ProtocolException("the other end says: " + text());
    }
    if (type != wanted) {
      throw new ProtocolException("frame " + type + " came instead of " + wanted);
    }
  }

  /**
   * Looks whether the other end has something to say while it should only listen.
   *
   * @throws ProtocolException with what it says
   */
  void expectNothing() throws IOException {
    if (in.available() > 0) {
      expect(FrameType.ERROR);
    }
  }

  /** The text of an ERROR, without what a terminal would obey. */
  String text() {
    return StandardCharsets.UTF_8.decode(content()).toString().replaceAll("\\p{Cntrl}", "?");
  }

  /** Ends the connection; what was not flushed is lost. Any thread. */
  @Override
  public void close() throws IOException {
    connection.close();
  }
}
