package io.virtnvme.chaos.guest;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;

/**
 * One virtio-serial port of a guest, at whose other end a shell takes one command at a time (see
 * {@code guest/init}). A daemon thread reads it; when the guest has moved to another QEMU the same
 * port goes on with that one's socket, in mid-line if need be.
 */
final class GuestPort {
  private static final int OUTPUT_LENGTH_MAX = 32 * 1024 * 1024;
  private static final int LINE_LENGTH_MAX = 1024 * 1024;
  private static final int BUFFER_LENGTH = 64 * 1024;
  private static final String READY = "##READY";
  private static final String PID = "##PID ";
  private static final String EXIT = "##EXIT ";

  private final int index;
  private final ByteArrayOutputStream line = new ByteArrayOutputStream();
  private CompletableFuture<Void> ready = new CompletableFuture<>();
  private SocketChannel channel;
  private SocketChannel successor;
  private Job current;
  private long jobCount;
  private RuntimeException failure;

  GuestPort(final int index, final SocketChannel channel) {
    this.index = index;
    this.channel = channel;
    final Thread reader = new Thread(this::read, "guest-port-" + index);
    reader.setDaemon(true);
    reader.start();
  }

  /** Completes when the shell at the other end listens. */
  synchronized CompletableFuture<Void> ready() {
    return ready;
  }

  /**
   * Called before the guest starts anew: the present command ends with the given exception, and the
   * port is ready when the new shell listens.
   */
  synchronized void expectRestart(final RuntimeException cause) {
    ready = new CompletableFuture<>();
    if (current != null) {
      current.result.completeExceptionally(cause);
      current = null;
    }
  }

  synchronized boolean isFree() {
    return failure == null && (current == null || current.isDone());
  }

  /** Sends a command; the port must be free. */
  Job submit(final String command) {
    final Job job;
    final SocketChannel target;
    synchronized (this) {
      if (failure != null) {
        throw failure;
      }
      if (current != null && !current.isDone()) {
        throw new IllegalStateException("port is busy: port=" + index);
      }
      job = new Job(index + "-" + ++jobCount);
      current = job;
      target = channel;
    }
    final String escaped = command.replace("\\", "\\\\").replace("\n", "\\n");
    final ByteBuffer bytes = StandardCharsets.UTF_8.encode(job.token + " " + escaped + "\n");
    try {
      while (bytes.hasRemaining()) {
        target.write(bytes);
      }
    } catch (final IOException e) {
      // The other end is gone: the watcher of that QEMU says why, to this job as well.
    }
    return job;
  }

  /** What to read once the present channel ends; called before its QEMU is told to quit. */
  synchronized void continueWith(final SocketChannel next) {
    successor = next;
  }

  /** Every present and later command of this port ends with the given exception. */
  void fail(final RuntimeException cause) {
    final Job job;
    final CompletableFuture<Void> awaited;
    synchronized (this) {
      failure = cause;
      job = current;
      awaited = ready;
    }
    awaited.completeExceptionally(cause);
    if (job != null) {
      job.result.completeExceptionally(cause);
    }
  }

  synchronized void close() throws IOException {
    channel.close();
    if (successor != null) {
      successor.close();
    }
  }

  private void read() {
    final ByteBuffer buffer = ByteBuffer.allocate(BUFFER_LENGTH);
    do {
      try {
        while (currentChannel().read(buffer.clear()) >= 0) {
          consume(buffer.flip());
        }
      } catch (final IOException e) {
        // The end of this QEMU, wanted or not: whoever ended it, or watches it, knows which and
        // tells the jobs.
      }
    } while (advance());
  }

  private synchronized SocketChannel currentChannel() {
    return channel;
  }

  private synchronized boolean advance() {
    if (successor == null) {
      return false;
    }
    channel = successor;
    successor = null;
    return true;
  }

  private void consume(final ByteBuffer buffer) {
    while (buffer.hasRemaining()) {
      final byte value = buffer.get();
      if (value != '\n') {
        line.write(value);
      }
      if (value == '\n' || line.size() >= LINE_LENGTH_MAX) {
        onLine(line.toString(StandardCharsets.UTF_8));
        line.reset();
      }
    }
  }

  private synchronized void onLine(final String text) {
    // A guest that was reset may have left half a line before the new shell's word.
    if (!ready.isDone() && text.endsWith(READY)) {
      ready.complete(null);
      return;
    }
    final Job job = current;
    if (job == null) {
      return;
    }
    final String pidPrefix = PID + job.token + " ";
    final String exitPrefix = EXIT + job.token + " ";
    if (text.startsWith(pidPrefix)) {
      job.pid.complete(Integer.parseInt(text.substring(pidPrefix.length())));
    } else if (text.startsWith(exitPrefix)) {
      job.finish(Integer.parseInt(text.substring(exitPrefix.length())));
    } else {
      job.append(text);
    }
  }

  /** One command: written by the reader thread, awaited by any. */
  static final class Job {
    private final String token;
    private final StringBuilder output = new StringBuilder();
    private final CompletableFuture<Integer> pid = new CompletableFuture<>();
    private final CompletableFuture<CommandResult> result = new CompletableFuture<>();

    private Job(final String token) {
      this.token = token;
    }

    /** The id of the process group in the guest; completes when the command has started. */
    CompletableFuture<Integer> pid() {
      return pid;
    }

    CompletableFuture<CommandResult> result() {
      return result;
    }

    boolean isDone() {
      return result.isDone();
    }

    synchronized String outputSoFar() {
      return output.toString();
    }

    private synchronized void append(final String text) {
      if (output.length() < OUTPUT_LENGTH_MAX) {
        output.append(text).append('\n');
      }
    }

    /**
     * The agent puts one line end before its last line, so that output without one at its end stays
     * apart: not ours to keep.
     */
    private synchronized void finish(final int exitStatus) {
      final int length = output.length();
      if (length > 0 && output.charAt(length - 1) == '\n') {
        output.setLength(length - 1);
      }
      result.complete(new CommandResult(exitStatus, output.toString()));
    }
  }
}
