package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.master.relay.EventLoop;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;

/**
 * The connection to one slave. What cannot be sent at once waits in order; a slave that takes
 * nothing for too long, or lets too much gather, is stuck. Conductor thread.
 */
final class SlaveLink implements AutoCloseable {
  private static final int WAITING_MAX = 16 * 1024;
  private static final long RETRY_NS = TimeUnit.MILLISECONDS.toNanos(2);

  /** Builds one message, with what is true at the moment of sending. */
  @FunctionalInterface
  interface Message {
    /** Begins and fills the message; false when it need not be sent any more. */
    boolean write(RelayChannel channel);
  }

  private final EventLoop loop;
  private final RelayChannel channel;
  private final long stuckLimitNs;
  private final Runnable onStuck;
  private final ArrayDeque<Message> waiting = new ArrayDeque<>();
  private long stuckSinceNs;
  private boolean retrying;
  private boolean closed;

  SlaveLink(
      final EventLoop loop,
      final RelayChannel channel,
      final long stuckLimitNs,
      final Runnable onStuck) {
    this.loop = loop;
    this.channel = channel;
    this.stuckLimitNs = stuckLimitNs;
    this.onStuck = onStuck;
  }

  int fd() {
    return channel.fd();
  }

  void tell(final Message message) {
    if (closed) {
      return;
    }
    waiting.add(message);
    if (!retrying) {
      send();
    }
  }

  private void send() {
    while (!closed && !waiting.isEmpty()) {
      if (waiting.peek().write(channel) && !channel.send()) {
        retry();
        return;
      }
      waiting.remove();
      stuckSinceNs = 0;
    }
  }

  /** A slave that is gone looks the same here; its hang-up is noticed elsewhere. */
  private void retry() {
    final long nowNs = loop.nowNs();
    if (stuckSinceNs == 0) {
      stuckSinceNs = nowNs;
    }
    if (nowNs - stuckSinceNs > stuckLimitNs || waiting.size() > WAITING_MAX) {
      onStuck.run();
      return;
    }
    retrying = true;
    loop.after(
        RETRY_NS,
        () -> {
          retrying = false;
          send();
        });
  }

  /** Whether messages wait in this process, which would be lost with it. */
  boolean isWaiting() {
    return !waiting.isEmpty();
  }

  RelayReader receive() {
    return channel.receive();
  }

  boolean isClosed() {
    return closed;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      waiting.clear();
      loop.unwatch(channel.fd());
      channel.close();
    }
  }
}
