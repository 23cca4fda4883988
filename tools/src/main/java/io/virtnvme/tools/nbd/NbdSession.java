package io.virtnvme.tools.nbd;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * One NBD client, from the handshake to its disconnection: fixed newstyle negotiation, simple
 * replies, reads only (NBD protocol, "Fixed newstyle negotiation", "Transmission phase").
 * Everything that comes is checked; what is malformed ends this connection. One thread.
 */
final class NbdSession {
  /** Bytes of one read, at most: what clients may count on. */
  static final int READ_BYTES_MAX = 32 << 20;

  static final int TRANSMISSION_FLAGS =
      NbdProtocol.FLAG_HAS_FLAGS
          | NbdProtocol.FLAG_READ_ONLY
          | NbdProtocol.FLAG_SEND_FLUSH
          | NbdProtocol.FLAG_CAN_MULTI_CONN;

  private static final int OPTION_BYTES_MAX = 8192;
  private static final int OLD_ZEROES = 124;
  private static final byte[] NOTHING = {};

  private final DataInputStream in;
  private final DataOutputStream out;
  private final NbdExport export;
  private boolean zeroesWanted;
  private byte[] buffer = NOTHING;

  NbdSession(final DataInputStream in, final DataOutputStream out, final NbdExport export) {
    this.in = in;
    this.out = out;
    this.export = export;
  }

  /** Serves until the client disconnects. An IOException when it hangs up or breaks the rules. */
  void serve() throws IOException {
    if (negotiate()) {
      transmit();
    }
  }

  private boolean negotiate() throws IOException {
    out.writeLong(NbdProtocol.INIT_MAGIC);
    out.writeLong(NbdProtocol.OPTION_MAGIC);
    out.writeShort(NbdProtocol.FLAG_FIXED_NEWSTYLE | NbdProtocol.FLAG_NO_ZEROES);
    out.flush();
    final int clientFlags = in.readInt();
    if ((clientFlags & ~(NbdProtocol.FLAG_FIXED_NEWSTYLE | NbdProtocol.FLAG_NO_ZEROES)) != 0) {
      throw new IOException("unknown client flags: 0x" + Integer.toHexString(clientFlags));
    }
    zeroesWanted = (clientFlags & NbdProtocol.FLAG_NO_ZEROES) == 0;
    while (true) {
      final long magic = in.readLong();
      final int option = in.readInt();
      final int length = in.readInt();
      if (magic != NbdProtocol.OPTION_MAGIC || length < 0 || length > OPTION_BYTES_MAX) {
        throw new IOException(
            "no option: magic=0x" + Long.toHexString(magic) + " length=" + length);
      }
      final byte[] data = new byte[length];
      in.readFully(data);
      switch (option) {
        case NbdProtocol.OPTION_EXPORT_NAME -> {
          return startByName(data);
        }
        case NbdProtocol.OPTION_ABORT -> {
          reply(option, NbdProtocol.REPLY_ACK, NOTHING);
          return false;
        }
        case NbdProtocol.OPTION_LIST -> list(data);
        case NbdProtocol.OPTION_INFO, NbdProtocol.OPTION_GO -> {
          if (describe(option, data) && option == NbdProtocol.OPTION_GO) {
            return true;
          }
        }
        default -> reply(option, NbdProtocol.REPLY_UNSUPPORTED, NOTHING);
      }
    }
  }

  private boolean isOurs(final String name) {
    return name.isEmpty() || name.equals(export.name());
  }

  /** The old way has no answer for a wrong name but to hang up. */
  private boolean startByName(final byte[] data) throws IOException {
    final String name = new String(data, StandardCharsets.UTF_8);
    if (!isOurs(name)) {
      throw new IOException("unknown export: " + name);
    }
    out.writeLong(export.lengthBytes());
    out.writeShort(TRANSMISSION_FLAGS);
    out.write(new byte[zeroesWanted ? OLD_ZEROES : 0]);
    out.flush();
    return true;
  }

  private void list(final byte[] data) throws IOException {
    if (data.length != 0) {
      reply(NbdProtocol.OPTION_LIST, NbdProtocol.REPLY_INVALID, NOTHING);
      return;
    }
    final byte[] name = export.name().getBytes(StandardCharsets.UTF_8);
    out.writeLong(NbdProtocol.OPTION_REPLY_MAGIC);
    out.writeInt(NbdProtocol.OPTION_LIST);
    out.writeInt(NbdProtocol.REPLY_SERVER);
    out.writeInt(Integer.BYTES + name.length);
    out.writeInt(name.length);
    out.write(name);
    reply(NbdProtocol.OPTION_LIST, NbdProtocol.REPLY_ACK, NOTHING);
  }

  /**
   * NBD_OPT_INFO and NBD_OPT_GO; whether the export was named. What is asked for is not looked at.
   */
  private boolean describe(final int option, final byte[] data) throws IOException {
    final int nameLength = data.length < Integer.BYTES ? -1 : intAt(data, 0);
    if (nameLength < 0 || nameLength > data.length - Integer.BYTES - Short.BYTES) {
      reply(option, NbdProtocol.REPLY_INVALID, NOTHING);
      return false;
    }
    if (!isOurs(new String(data, Integer.BYTES, nameLength, StandardCharsets.UTF_8))) {
      reply(option, NbdProtocol.REPLY_UNKNOWN, NOTHING);
      return false;
    }
    infoHeader(option, Short.BYTES + Long.BYTES + Short.BYTES);
    out.writeShort(NbdProtocol.INFO_EXPORT);
    out.writeLong(export.lengthBytes());
    out.writeShort(TRANSMISSION_FLAGS);
    infoHeader(option, Short.BYTES + 3 * Integer.BYTES);
    out.writeShort(NbdProtocol.INFO_BLOCK_SIZE);
    out.writeInt(1);
    out.writeInt(Math.max(export.blockBytes(), 4096));
    out.writeInt(READ_BYTES_MAX);
    reply(option, NbdProtocol.REPLY_ACK, NOTHING);
    return true;
  }

  private static int intAt(final byte[] data, final int index) {
    return ByteBuffer.wrap(data).getInt(index);
  }

  private void infoHeader(final int option, final int length) throws IOException {
    out.writeLong(NbdProtocol.OPTION_REPLY_MAGIC);
    out.writeInt(option);
    out.writeInt(NbdProtocol.REPLY_INFO);
    out.writeInt(length);
  }

  private void reply(final int option, final int type, final byte[] data) throws IOException {
    out.writeLong(NbdProtocol.OPTION_REPLY_MAGIC);
    out.writeInt(option);
    out.writeInt(type);
    out.writeInt(data.length);
    out.write(data);
    out.flush();
  }

  private void transmit() throws IOException {
    while (true) {
      final int magic = in.readInt();
      in.readUnsignedShort();
      final int command = in.readUnsignedShort();
      final long handle = in.readLong();
      final long offset = in.readLong();
      final long length = in.readInt() & 0xFFFF_FFFFL;
      if (magic != NbdProtocol.REQUEST_MAGIC) {
        throw new IOException("no request: magic=0x" + Integer.toHexString(magic));
      }
      switch (command) {
        case NbdProtocol.COMMAND_READ -> read(handle, offset, length);
        // Nothing is ever written, so all of it is on stable storage.
        case NbdProtocol.COMMAND_FLUSH -> simpleReply(0, handle);
        case NbdProtocol.COMMAND_DISCONNECT -> {
          return;
        }
        case NbdProtocol.COMMAND_WRITE -> {
          discard(length);
          simpleReply(NbdProtocol.EPERM, handle);
        }
        default -> simpleReply(NbdProtocol.EINVAL, handle);
      }
      out.flush();
    }
  }

  private void discard(final long length) throws IOException {
    if (length > READ_BYTES_MAX) {
      throw new IOException("a write of " + length + " bytes, and writes are refused anyway");
    }
    long left = length;
    while (left > 0) {
      final long skipped = in.skip(left);
      if (skipped <= 0 && in.read() < 0) {
        throw new EOFException("hung up in the middle of a write");
      }
      left -= Math.max(skipped, 1);
    }
  }

  private void read(final long handle, final long offset, final long length) throws IOException {
    final long end = export.lengthBytes();
    if (length == 0 || length > READ_BYTES_MAX || offset < 0 || length > end - offset) {
      simpleReply(NbdProtocol.EINVAL, handle);
      return;
    }
    final int count = (int) length;
    if (buffer.length < count) {
      buffer = new byte[count];
    }
    final int errno = export.read(offset, count, buffer);
    // The errors of NBD are few; all others mean that the medium cannot be read.
    simpleReply(errno == 0 ? 0 : NbdProtocol.EIO, handle);
    if (errno == 0) {
      out.write(buffer, 0, count);
    }
  }

  private void simpleReply(final int error, final long handle) throws IOException {
    out.writeInt(NbdProtocol.REPLY_MAGIC);
    out.writeInt(error);
    out.writeLong(handle);
  }
}
