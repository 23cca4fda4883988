package io.virtnvme.tools.nbd;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/** An NBD server that does what a test says, for one client after the other. */
public final class ScriptedServer implements AutoCloseable {
  private static final int WRITE_ZEROES_FLAGS = 0x1 | 0x4 | 0x40;

  /** What is said to a client. */
  @FunctionalInterface
  public interface Script {
    void run(DataInputStream in, DataOutputStream out) throws IOException;
  }

  private final ServerSocketChannel listener;
  private final NbdAddress address;
  private final Script script;

  /** Listens in a folder until it is closed. */
  public ScriptedServer(final Path folder, final Script script) throws IOException {
    final UnixDomainSocketAddress at = UnixDomainSocketAddress.of(folder.resolve("nbd"));
    this.script = script;
    this.address = new NbdAddress(at, "disk");
    listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(at);
    final Thread thread = new Thread(this::serve, "scripted-server");
    thread.setDaemon(true);
    thread.start();
  }

  public NbdAddress address() {
    return address;
  }

  private void serve() {
    while (listener.isOpen()) {
      try (SocketChannel client = listener.accept()) {
        final DataOutputStream out =
            new DataOutputStream(new BufferedOutputStream(Channels.newOutputStream(client)));
        script.run(
            new DataInputStream(new BufferedInputStream(Channels.newInputStream(client))), out);
        out.flush();
      } catch (final IOException e) {
        // The client is gone, or the test is over.
      }
    }
  }

  /** The handshake up to the client's option. */
  public static void greet(final DataInputStream in, final DataOutputStream out)
      throws IOException {
    out.writeLong(NbdProtocol.INIT_MAGIC);
    out.writeLong(NbdProtocol.OPTION_MAGIC);
    out.writeShort(NbdProtocol.FLAG_FIXED_NEWSTYLE | NbdProtocol.FLAG_NO_ZEROES);
    out.flush();
    in.readInt();
    in.readLong();
    in.readInt();
    in.readNBytes(in.readInt());
  }

  /** An answer to the option. */
  public static void answer(final DataOutputStream out, final int type, final byte[] data)
      throws IOException {
    out.writeLong(NbdProtocol.OPTION_REPLY_MAGIC);
    out.writeInt(NbdProtocol.OPTION_GO);
    out.writeInt(type);
    out.writeInt(data.length);
    out.write(data);
    out.flush();
  }

  /** A whole handshake. */
  public static void accept(
      final DataInputStream in,
      final DataOutputStream out,
      final long lengthBytes,
      final int flags,
      final int blockBytes,
      final int payloadBytesMax)
      throws IOException {
    greet(in, out);
    answer(out, NbdProtocol.REPLY_INFO, exportInfo(lengthBytes, flags));
    answer(out, NbdProtocol.REPLY_INFO, blockSizeInfo(blockBytes, payloadBytesMax));
    answer(out, NbdProtocol.REPLY_ACK, new byte[0]);
  }

  static byte[] exportInfo(final long lengthBytes, final int flags) {
    return java.nio.ByteBuffer.allocate(12)
        .putShort((short) NbdProtocol.INFO_EXPORT)
        .putLong(lengthBytes)
        .putShort((short) flags)
        .array();
  }

  static byte[] blockSizeInfo(final int least, final int most) {
    return java.nio.ByteBuffer.allocate(14)
        .putShort((short) NbdProtocol.INFO_BLOCK_SIZE)
        .putInt(least)
        .putInt(4096)
        .putInt(most)
        .array();
  }

  /** A request of a client. */
  record Request(int command, long cookie, long offset, int length) {}

  static Request readRequest(final DataInputStream in) throws IOException {
    final int magic = in.readInt();
    final int flags = in.readUnsignedShort();
    if (magic != NbdProtocol.REQUEST_MAGIC || flags != 0) {
      throw new IOException("no request");
    }
    return new Request(in.readUnsignedShort(), in.readLong(), in.readLong(), in.readInt());
  }

  static void reply(final DataOutputStream out, final int error, final long cookie)
      throws IOException {
    out.writeInt(NbdProtocol.REPLY_MAGIC);
    out.writeInt(error);
    out.writeLong(cookie);
  }

  /** A request that was not carried out yet, and what it writes. */
  private static final class Pending {
    private final Request request;
    private final byte[] data;

    Pending(final Request request, final byte[] data) {
      this.request = request;
      this.data = data;
    }

    void run(final byte[] disk, final DataOutputStream out) throws IOException {
      final int offset = (int) request.offset();
      reply(out, 0, request.cookie());
      switch (request.command()) {
        case NbdProtocol.COMMAND_WRITE, NbdProtocol.COMMAND_WRITE_ZEROES ->
            System.arraycopy(data, 0, disk, offset, request.length());
        case NbdProtocol.COMMAND_READ -> out.write(disk, offset, request.length());
        default -> out.flush();
      }
    }
  }

  /**
   * A server that works, and carries out the requests that came together in reverse order.
   *
   * @param log takes the command of each request
   */
  static Script sound(
      final byte[] disk, final int flags, final int payloadBytesMax, final List<Integer> log) {
    return (in, out) -> {
      accept(in, out, disk.length, flags, 512, payloadBytesMax);
      final Deque<Pending> pending = new ArrayDeque<>();
      while (true) {
        final Request request = readRequest(in);
        log.add(request.command());
        if (request.command() == NbdProtocol.COMMAND_DISCONNECT) {
          return;
        }
        if (request.length() > payloadBytesMax
            || request.offset() % 512 != 0
            || request.length() % 512 != 0) {
          throw new IOException("not what it may send: " + request);
        }
        final boolean isWrite = request.command() == NbdProtocol.COMMAND_WRITE;
        pending.push(
            new Pending(
                request, isWrite ? in.readNBytes(request.length()) : new byte[request.length()]));
        if (in.available() == 0 || pending.size() == 16) {
          while (!pending.isEmpty()) {
            pending.pop().run(disk, out);
          }
          out.flush();
        }
      }
    };
  }

  /** A server that works. */
  public static Script sound(final byte[] disk, final List<Integer> log) {
    return sound(disk, WRITE_ZEROES_FLAGS, 32 << 20, log);
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
