package io.virtnvme.chaos;

import io.virtnvme.ipc.vhostuser.ConfigSpace;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A front-end that never stops talking, on a thread of its own: messages of several kinds, up to a
 * few ahead of their replies, each reply compared with what it must be. A reply too many, too few
 * or out of turn is found at once, since every request asks for another range of the configuration.
 */
final class Talker implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final int AHEAD_MAX = 4;
  private static final int CONFIG_LENGTH = 60;
  private static final long STOP_SECONDS = 30;

  private final RawGuest guest;
  private final Random random;
  private final AtomicLong answers = new AtomicLong();
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private final Thread thread = new Thread(this::run, "talker");
  private final ArrayDeque<byte[]> waiting = new ArrayDeque<>();
  private volatile boolean running = true;
  private byte[] wholeConfig;

  private Talker(final RawGuest guest, final long seed) {
    this.guest = guest;
    this.random = new Random(seed);
  }

  /** Connects, starts a ring and begins to talk. */
  static Talker start(final String socketPath, final long seed) {
    final Talker talker = new Talker(RawGuest.running(socketPath, false), seed);
    talker.wholeConfig = talker.guest.frontEnd().call(RawGuest.configMessage(0, CONFIG_LENGTH));
    talker.thread.setDaemon(true);
    talker.thread.start();
    return talker;
  }

  private void run() {
    try {
      while (running) {
        if (waiting.size() < 1 + random.nextInt(AHEAD_MAX)) {
          ask();
        } else {
          checkAnswer();
        }
      }
      while (!waiting.isEmpty()) {
        checkAnswer();
      }
      ended.complete(null);
    } catch (final RuntimeException | Error e) {
      ended.completeExceptionally(e);
    }
  }

  private void ask() {
    final byte[] request;
    int[] fds = {};
    switch (random.nextInt(4)) {
      case 0 -> {
        request = guest.callMessage();
        request[VhostUserMessage.FLAGS_OFFSET] |= (byte) VhostUserMessage.NEED_REPLY_FLAG;
        fds = new int[] {guest.callFd()};
      }
      case 1 -> request = VhostUserMessage.request(VhostUserRequest.GET_QUEUE_NUM, 0, 0);
      default -> {
        final int offset = random.nextInt(CONFIG_LENGTH - 1);
        request = RawGuest.configMessage(offset, 1 + random.nextInt(CONFIG_LENGTH - offset));
      }
    }
    waiting.add(request);
    guest.frontEnd().send(request, fds);
  }

  private void checkAnswer() {
    final byte[] request = waiting.remove();
    final byte[] reply = guest.frontEnd().receive();
    if (reply == null) {
      throw new AssertionError("hung up after " + answers.get() + " answers");
    }
    final int code = VhostUserMessage.requestCode(request);
    if (VhostUserMessage.requestCode(reply) != code || !isRight(request, reply)) {
      throw new AssertionError(
          "wrong answer to "
              + VhostUserRequest.of(code)
              + " after "
              + answers.get()
              + " answers: "
              + VhostUserRequest.of(VhostUserMessage.requestCode(reply))
              + " bytes="
              + reply.length);
    }
    answers.incrementAndGet();
  }

  private boolean isRight(final byte[] request, final byte[] reply) {
    switch (VhostUserRequest.of(VhostUserMessage.requestCode(request))) {
      case GET_CONFIG -> {
        return ConfigSpace.offset(reply) == ConfigSpace.offset(request)
            && ConfigSpace.size(reply) == ConfigSpace.size(request)
            && config(reply)
                .equals(
                    config(wholeConfig)
                        .slice(ConfigSpace.offset(request), ConfigSpace.size(request)));
      }
      case SET_VRING_CALL -> {
        return VhostUserMessage.u64(reply) == 0;
      }
      default -> {
        return VhostUserMessage.u64(reply) > 0;
      }
    }
  }

  private static ByteBuffer config(final byte[] message) {
    return ByteBuffer.wrap(message)
        .order(ByteOrder.LITTLE_ENDIAN)
        .slice(ConfigSpace.bytesIndex(), message.length - ConfigSpace.bytesIndex());
  }

  /** Waits for so many more answers; throws when one was wrong. */
  void awaitAnswers(final long count) {
    final long wanted = answers.get() + count;
    Waiting.until(count + " more answers", LIMIT, () -> ended.isDone() || answers.get() >= wanted);
    if (ended.isDone()) {
      ended.join();
    }
  }

  /** Stops, and throws when an answer was wrong, missing or more than asked for. */
  void finish() {
    running = false;
    try {
      ended.get(STOP_SECONDS, TimeUnit.SECONDS);
    } catch (final java.util.concurrent.ExecutionException e) {
      throw new AssertionError(e.getCause().getMessage(), e.getCause());
    } catch (final java.util.concurrent.TimeoutException e) {
      throw new AssertionError("an answer is missing: " + waiting.size() + " are waited for", e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    // The ring still works, and a message that must be the last reply's successor gets the next.
    guest.capacitySectors();
    if (guest.frontEnd().unreadBytes() != 0) {
      throw new AssertionError("more answers than questions");
    }
  }

  long answerCount() {
    return answers.get();
  }

  @Override
  public void close() {
    running = false;
    try {
      thread.join(TimeUnit.SECONDS.toMillis(STOP_SECONDS));
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    guest.close();
  }
}
