package io.virtnvme.chaos;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vfiouser.DmaMap;
import io.virtnvme.ipc.vfiouser.DmaUnmap;
import io.virtnvme.ipc.vfiouser.IrqSet;
import io.virtnvme.ipc.vfiouser.PciIrq;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.RegionAccess;
import io.virtnvme.ipc.vfiouser.VfioUserClient;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A vfio-user client that never stops talking, on a thread of its own: messages of several kinds, a
 * few ahead of their replies, some that want none, each reply compared with what it must be. A
 * reply too many, too few or out of turn is found by its id; a message that was carried out twice,
 * by what the next one finds.
 */
final class NvmeTalker implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final int TIMEOUT_MS = 60_000;
  private static final int AHEAD_MAX = 4;
  private static final int CONFIG_LENGTH = 256;
  private static final int CACHE_LINE_OFFSET = 0x0C;
  private static final int REGION_BYTES = 1 << 20;
  private static final int REGION_COUNT = 8;
  private static final int VECTOR_COUNT = 8;
  private static final long STOP_SECONDS = 60;

  /** A message that is waited for, and the data that its reply must have; null = header alone. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Asked(byte[] message, byte[] data) {}

  private final VfioUserClient client;
  private final Random random;
  private final int memory = Memfd.create("talker", (long) REGION_COUNT * REGION_BYTES);
  private final int event = EventFd.create();
  private final boolean[] mapped = new boolean[REGION_COUNT];
  private final AtomicLong answers = new AtomicLong();
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private final Thread thread = new Thread(this::run, "nvme-talker");
  private final ArrayDeque<Asked> waiting = new ArrayDeque<>();
  private volatile boolean running = true;

  /** As the device has it, with what this client wrote. */
  private byte[] config;

  private NvmeTalker(final VfioUserClient client, final long seed) {
    this.client = client;
    this.random = new Random(seed);
  }

  /** Connects and begins to talk. */
  static NvmeTalker start(final String socketPath, final long seed) {
    final VfioUserClient client = VfioUserClient.connect(socketPath, TIMEOUT_MS);
    client.negotiate();
    final NvmeTalker talker = new NvmeTalker(client, seed);
    final byte[] reply = client.call(talker.read(0, CONFIG_LENGTH));
    talker.config = Arrays.copyOfRange(reply, RegionAccess.DATA_OFFSET, reply.length);
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

  private byte[] read(final int offset, final int count) {
    final byte[] message = client.command(VfioUserCommand.REGION_READ, RegionAccess.LENGTH);
    RegionAccess.put(message, offset, PciRegion.CONFIG, count);
    return message;
  }

  private void ask() {
    switch (random.nextInt(6)) {
      case 0 -> toggleRegion(random.nextInt(REGION_COUNT));
      case 1 -> setVector(random.nextInt(VECTOR_COUNT), random.nextBoolean());
      case 2 -> writeWithoutReply((byte) random.nextInt());
      default -> {
        final int offset = random.nextInt(CONFIG_LENGTH - 1);
        final int count = 1 + random.nextInt(CONFIG_LENGTH - offset);
        send(read(offset, count), Arrays.copyOfRange(config, offset, offset + count));
      }
    }
  }

  private void send(final byte[] message, final byte[] data, final int... fds) {
    waiting.add(new Asked(message, data));
    client.send(message, fds);
  }

  /** Mapped twice or unmapped twice it would be refused. */
  private void toggleRegion(final int index) {
    final long address = (long) index * REGION_BYTES;
    if (mapped[index]) {
      final byte[] message = client.command(VfioUserCommand.DMA_UNMAP, DmaUnmap.LENGTH);
      DmaUnmap.put(message, DmaUnmap.LENGTH, 0, address, REGION_BYTES);
      send(message, null);
    } else {
      final byte[] message = client.command(VfioUserCommand.DMA_MAP, DmaMap.LENGTH);
      DmaMap.put(
          message,
          DmaMap.LENGTH,
          DmaMap.READ_FLAG | DmaMap.WRITE_FLAG,
          address,
          address,
          REGION_BYTES);
      send(message, null, memory);
    }
    mapped[index] = !mapped[index];
  }

  private void setVector(final int vector, final boolean on) {
    final byte[] message = client.command(VfioUserCommand.DEVICE_SET_IRQS, IrqSet.LENGTH);
    IrqSet.put(
        message,
        IrqSet.LENGTH,
        IrqSet.DATA_EVENTFD_FLAG | IrqSet.ACTION_TRIGGER_FLAG,
        PciIrq.MSIX,
        vector,
        1);
    send(message, null, on ? new int[] {event} : new int[0]);
  }

  private void writeWithoutReply(final byte value) {
    final byte[] message = client.command(VfioUserCommand.REGION_WRITE, RegionAccess.LENGTH + 1);
    LittleEndian.putInt(message, VfioUserMessage.FLAGS_OFFSET, VfioUserMessage.NO_REPLY_FLAG);
    RegionAccess.put(message, CACHE_LINE_OFFSET, PciRegion.CONFIG, 1);
    message[RegionAccess.DATA_OFFSET] = value;
    config[CACHE_LINE_OFFSET] = value;
    client.send(message);
  }

  private void checkAnswer() {
    final Asked asked = waiting.remove();
    // Throws unless id and command are those of this message.
    final byte[] reply = client.receive(asked.message());
    final String what =
        VfioUserCommand.of(VfioUserMessage.commandCode(asked.message()))
            + " after "
            + answers.get()
            + " answers";
    if (VfioUserMessage.isRefusal(reply)) {
      throw new AssertionError(what + " was refused: errno=" + VfioUserMessage.error(reply));
    }
    if (asked.data() != null
        && !Arrays.equals(
            asked.data(), 0, asked.data().length, reply, RegionAccess.DATA_OFFSET, reply.length)) {
      throw new AssertionError("wrong data for " + what);
    }
    answers.incrementAndGet();
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
    } catch (final ExecutionException e) {
      throw new AssertionError(e.getCause().getMessage(), e.getCause());
    } catch (final TimeoutException e) {
      throw new AssertionError("an answer is missing: " + waiting.size() + " are waited for", e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    // The answer to this one is the next that comes: there was none too many.
    client.call(read(0, 4));
  }

  @Override
  public void close() {
    running = false;
    try {
      thread.join(TimeUnit.SECONDS.toMillis(STOP_SECONDS));
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    client.close();
    Fds.close(memory);
    Fds.close(event);
  }
}
