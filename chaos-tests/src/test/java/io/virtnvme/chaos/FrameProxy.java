package io.virtnvme.chaos;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Stands between both ends of a migration and stops one kind of frame on its way, so that a test
 * can kill somebody just then. Two threads per connection; the test's thread chooses and waits.
 */
final class FrameProxy implements AutoCloseable {
  /** Types of frames, as they are on the wire. */
  static final int CHUNK = 5;

  static final int PREPARE = 10;
  static final int PREPARED = 11;
  static final int COMMIT = 12;
  static final int COMMITTED = 13;

  private static final int HEADER_LENGTH = 16;
  private static final int TYPE_OFFSET = 4;
  private static final int LENGTH_OFFSET = 8;

  private final ServerSocket listener;
  private volatile int targetPort;
  private volatile int stoppedType;
  private volatile int stoppedAfter;
  private volatile CountDownLatch stopped = new CountDownLatch(1);
  private volatile Socket source;
  private volatile Socket destination;

  FrameProxy() {
    try {
      listener = new ServerSocket(0, 4, InetAddress.getLoopbackAddress());
    } catch (final IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    daemon("accept", this::accept);
  }

  String address() {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  /** Where connections go from now on. */
  void target(final int port) {
    targetPort = port;
  }

  /** Stops the next connection at a frame of this type, when so many have passed; 0: not at all. */
  void stopAt(final int type, final int passed) {
    stopped = new CountDownLatch(1);
    stoppedAfter = passed;
    stoppedType = type;
  }

  /** Waits until a frame was stopped. */
  void awaitStop() {
    try {
      if (!stopped.await(60, TimeUnit.SECONDS)) {
        throw new AssertionError("no frame of type " + stoppedType);
      }
    } catch (final InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Ends the connection at both ends. */
  void cut() {
    closeQuietly(source);
    closeQuietly(destination);
  }

  private static void daemon(final String name, final Runnable body) {
    final Thread thread = new Thread(body, "proxy-" + name);
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() {
    try {
      while (true) {
        final Socket from = listener.accept();
        final Socket to = new Socket(InetAddress.getLoopbackAddress(), targetPort);
        source = from;
        destination = to;
        daemon("out", () -> pass(from, to));
        daemon("back", () -> pass(to, from));
      }
    } catch (final IOException e) {
      // Closed, or the destination is not there: then its source hears of it.
      cut();
    }
  }

  private void pass(final Socket from, final Socket to) {
    int passed = 0;
    try (from;
        to) {
      final DataInputStream in = new DataInputStream(from.getInputStream());
      final OutputStream out = to.getOutputStream();
      final byte[] frame = new byte[1 << 18];
      while (true) {
        in.readFully(frame, 0, HEADER_LENGTH);
        final ByteBuffer header = ByteBuffer.wrap(frame);
        final int type = header.getShort(TYPE_OFFSET);
        final int length = header.getInt(LENGTH_OFFSET);
        in.readFully(frame, HEADER_LENGTH, length);
        if (type == stoppedType && passed++ >= stoppedAfter) {
          stopped.countDown();
          // Nobody hears of anything, as when the cable is pulled; the test ends that.
          int heard = in.read(frame);
          while (heard >= 0) {
            heard = in.read(frame);
          }
          return;
        }
        out.write(frame, 0, HEADER_LENGTH + length);
      }
    } catch (final IOException e) {
      // One end is gone: so is the other.
      return;
    }
  }

  private static void closeQuietly(final Socket socket) {
    try {
      if (socket != null) {
        socket.close();
      }
    } catch (final IOException e) {
      // As good as closed.
      return;
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
    cut();
  }
}
