package io.virtnvme.tools.nbd;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.tools.BlockStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * One connection to a server of the NBD protocol: fixed newstyle negotiation with {@code
 * NBD_OPT_GO}, simple replies, several requests in flight; those that overlap are put in order.
 * Nothing that the server says is used before it is checked, and nothing is allocated by its size.
 * One thread.
 */
public final class NbdClient implements BlockStore {
  private static final int DEPTH = 16;
  private static final int SLOT_MASK = DEPTH - 1;
  private static final int SLOT_BITS = 4;

  /** No cookie. */
  private static final long FREE = 0;

  /** What every server takes (NBD protocol, "Block size constraints"). */
  private static final int PAYLOAD_BYTES_MAX = 32 << 20;

  private static final int BLOCK_BYTES_MAX = 1 << 16;
  private static final int ANSWERS_MAX = 64;
  private static final int ANSWER_BYTES_MAX = 1 << 16;
  private static final int EXPORT_INFO_LENGTH = 12;
  private static final int BLOCK_SIZE_INFO_LENGTH = 14;
  private static final byte[] ZEROES = new byte[1 << 16];

  private final PatientChannel channel;
  private final long[] cookies = new long[DEPTH];
  private final long[] begins = new long[DEPTH];
  private final long[] ends = new long[DEPTH];
  private final byte[] answer = new byte[ANSWER_BYTES_MAX];
  private long lastSequence;
  private int inFlightCount;
  private long lengthBytes = -1;
  private int flags;
  private int blockBytes = 1;
  private int payloadBytesMax = PAYLOAD_BYTES_MAX;

  private NbdClient(final PatientChannel channel) {
    this.channel = channel;
  }

  /**
   * Connects to an export.
   *
   * @param connectMs until the server's host has answered, ms
   * @param silenceMs until the server has answered, at any time, ms
   * @throws IOException which says what is in the way
   */
  public static NbdClient connect(
      final NbdAddress address, final int connectMs, final int silenceMs) throws IOException {
    final PatientChannel channel = PatientChannel.connect(address.socket(), connectMs, silenceMs);
    try {
      final NbdClient client = new NbdClient(channel);
      client.negotiate(address.export());
      return client;
    } catch (final IOException e) {
      channel.close();
      throw e;
    }
  }

  private void negotiate(final String export) throws IOException {
    final ByteBuffer greeting = channel.next(Long.BYTES + Long.BYTES + Short.BYTES);
    final long magic = greeting.getLong();
    final long style = greeting.getLong();
    final int serverFlags = greeting.getShort();
    if (magic != NbdProtocol.INIT_MAGIC
        || style != NbdProtocol.OPTION_MAGIC
        || (serverFlags & NbdProtocol.FLAG_FIXED_NEWSTYLE) == 0) {
      throw new IOException(
          "no NBD server with fixed newstyle negotiation: it began with 0x"
              + Long.toHexString(magic)
              + " 0x"
              + Long.toHexString(style));
    }
    final byte[] name = export.getBytes(StandardCharsets.UTF_8);
    channel
        .room(2 * Integer.BYTES + Long.BYTES)
        .putInt(serverFlags & (NbdProtocol.FLAG_FIXED_NEWSTYLE | NbdProtocol.FLAG_NO_ZEROES))
        .putLong(NbdProtocol.OPTION_MAGIC)
        .putInt(NbdProtocol.OPTION_GO);
    channel
        .room(2 * Integer.BYTES)
        .putInt(Integer.BYTES + name.length + 2 * Short.BYTES)
        .putInt(name.length);
    channel.write(name, 0, name.length);
    channel.room(2 * Short.BYTES).putShort((short) 1).putShort((short) NbdProtocol.INFO_BLOCK_SIZE);
    channel.flush();
    for (int count = 0; !takeAnswer(export); count++) {
      if (count == ANSWERS_MAX) {
        throw new IOException("the server does not end its answer");
      }
    }
    if (lengthBytes < 0) {
      throw new IOException("the server does not say how long its export is");
    }
  }

  /** Takes one answer to NBD_OPT_GO; whether it was the last. */
  private boolean takeAnswer(final String export) throws IOException {
    final ByteBuffer header = channel.next(NbdProtocol.OPTION_REPLY_LENGTH);
    final long magic = header.getLong();
    final int option = header.getInt();
    final int type = header.getInt();
    final int length = header.getInt();
    if (magic != NbdProtocol.OPTION_REPLY_MAGIC
        || option != NbdProtocol.OPTION_GO
        || length < 0
        || length > ANSWER_BYTES_MAX) {
      throw new IOException(
          "no answer to an option: magic=0x"
              + Long.toHexString(magic)
              + " option="
              + option
              + " length="
              + length);
    }
    channel.read(answer, 0, length);
    if ((type & NbdProtocol.REPLY_ERROR) != 0) {
      throw refusal(export, type, length);
    }
    if (type == NbdProtocol.REPLY_INFO && length >= Short.BYTES) {
      final ByteBuffer info = ByteBuffer.wrap(answer, 0, length);
      final int what = info.getShort();
      if (what == NbdProtocol.INFO_EXPORT && length == EXPORT_INFO_LENGTH) {
        onExport(info.getLong(), info.getShort());
      } else if (what == NbdProtocol.INFO_BLOCK_SIZE && length == BLOCK_SIZE_INFO_LENGTH) {
        final int least = info.getInt();
        // The preferred size: chunks have theirs.
        info.getInt();
        onBlockSizes(least, info.getInt());
      }
    }
    return type == NbdProtocol.REPLY_ACK;
  }

  private IOException refusal(final String export, final int type, final int length) {
    final String said = new String(answer, 0, length, StandardCharsets.UTF_8);
    final String why =
        switch (type) {
          case NbdProtocol.REPLY_UNKNOWN -> "it has no export '" + export + "'";
          case NbdProtocol.REPLY_TLS_REQUIRED -> "it wants TLS, which is not there for NBD";
          case NbdProtocol.REPLY_UNSUPPORTED -> "it does not know NBD_OPT_GO";
          default -> "error 0x" + Integer.toHexString(type);
        };
    return new IOException(
        "the server refuses: "
            + why
            + (said.isEmpty() ? "" : " (" + said.replaceAll("\\p{Cntrl}", "?") + ")"));
  }

  private void onExport(final long length, final int newFlags) throws IOException {
    if (length < 0 || (newFlags & NbdProtocol.FLAG_HAS_FLAGS) == 0) {
      throw new IOException(
          "no export: length=" + length + " flags=0x" + Integer.toHexString(newFlags));
    }
    lengthBytes = length;
    flags = newFlags;
  }

  private void onBlockSizes(final int least, final int most) throws IOException {
    // All bits set: no limit is known.
    final long max = Integer.toUnsignedLong(most);
    if (least < 1 || least > BLOCK_BYTES_MAX || Integer.bitCount(least) != 1 || max < least) {
      throw new IOException("no block sizes: min=" + least + " max=" + max);
    }
    blockBytes = least;
    payloadBytesMax = (int) Math.min(max, PAYLOAD_BYTES_MAX) / least * least;
  }

  @Override
  public long lengthBytes() {
    return lengthBytes;
  }

  @Override
  public int blockBytes() {
    return blockBytes;
  }

  @Override
  public boolean isReadOnly() {
    return (flags & NbdProtocol.FLAG_READ_ONLY) != 0;
  }

  @Override
  public boolean canFlush() {
    return (flags & NbdProtocol.FLAG_SEND_FLUSH) != 0;
  }

  @Override
  public void write(final long offset, final byte[] bytes, final int from, final int length)
      throws IOException {
    for (int done = 0; done < length; ) {
      final int part = Math.min(payloadBytesMax, length - done);
      request(NbdProtocol.COMMAND_WRITE, offset + done, part);
      channel.write(bytes, from + done, part);
      done += part;
    }
  }

  /** A server that knows no better is sent zeroes. */
  @Override
  public void zero(final long offset, final long length) throws IOException {
    final boolean isCommand = (flags & NbdProtocol.FLAG_SEND_WRITE_ZEROES) != 0;
    final int partMax = isCommand ? payloadBytesMax : ZEROES.length;
    for (long done = 0; done < length; ) {
      final int part = (int) Math.min(partMax, length - done);
      if (isCommand) {
        request(NbdProtocol.COMMAND_WRITE_ZEROES, offset + done, part);
      } else {
        write(offset + done, ZEROES, 0, part);
      }
      done += part;
    }
  }

  /** Returns when everything was written. */
  public void drain() throws IOException {
    channel.flush();
    while (inFlightCount > 0) {
      takeReply();
    }
  }

  @Override
  public void flush() throws IOException {
    drain();
    if (canFlush()) {
      request(NbdProtocol.COMMAND_FLUSH, 0, 0);
      drain();
    }
  }

  @Override
  public void read(final long offset, final byte[] bytes, final int length) throws IOException {
    drain();
    for (int done = 0; done < length; ) {
      final int part = Math.min(payloadBytesMax, length - done);
      request(NbdProtocol.COMMAND_READ, offset + done, part);
      channel.flush();
      takeReply();
      channel.read(bytes, done, part);
      done += part;
    }
  }

  private void request(final int command, final long offset, final int length) throws IOException {
    final int slot = freeSlot(offset, offset + length);
    final long cookie = ++lastSequence << SLOT_BITS | slot;
    cookies[slot] = cookie;
    begins[slot] = offset;
    ends[slot] = offset + length;
    inFlightCount++;
    channel
        .room(NbdProtocol.REQUEST_LENGTH)
        .putInt(NbdProtocol.REQUEST_MAGIC)
        .putShort((short) 0)
        .putShort((short) command)
        .putLong(cookie)
        .putLong(offset)
        .putInt(length);
  }

  /** A server may take requests in any order, so what overlaps waits. */
  private int freeSlot(final long begin, final long end) throws IOException {
    while (true) {
      int free = -1;
      boolean overlaps = false;
      for (int slot = 0; slot < DEPTH; slot++) {
        if (cookies[slot] == FREE) {
          free = slot;
        } else {
          overlaps |= begins[slot] < end && ends[slot] > begin;
        }
      }
      if (free >= 0 && !overlaps) {
        return free;
      }
      channel.flush();
      takeReply();
    }
  }

  private void takeReply() throws IOException {
    final ByteBuffer reply = channel.next(NbdProtocol.REPLY_LENGTH);
    final int magic = reply.getInt();
    final int error = reply.getInt();
    final long cookie = reply.getLong();
    final int slot = (int) (cookie & SLOT_MASK);
    if (magic != NbdProtocol.REPLY_MAGIC || cookie == FREE || cookies[slot] != cookie) {
      throw new IOException(
          "no reply to anything: magic=0x"
              + Integer.toHexString(magic)
              + " cookie=0x"
              + Long.toHexString(cookie));
    }
    cookies[slot] = FREE;
    inFlightCount--;
    if (error != 0) {
      throw new IOException(
          "the server fails: offset="
              + begins[slot]
              + " length="
              + (ends[slot] - begins[slot])
              + ": "
              + Errno.text(error));
    }
  }

  /** Ends the connection; what was not flushed may be lost. */
  @Override
  public void close() throws IOException {
    try {
      if (inFlightCount == 0) {
        request(NbdProtocol.COMMAND_DISCONNECT, 0, 0);
        channel.flush();
      }
    } catch (final IOException e) {
      // It is gone as well.
      return;
    } finally {
      channel.close();
    }
  }
}
