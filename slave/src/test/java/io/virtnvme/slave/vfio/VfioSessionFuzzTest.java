package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.slave.session.Answer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Messages of random bytes, most of them nearly right, from a front-end that sends what it likes.
 */
class VfioSessionFuzzTest {
  private static final int MESSAGE_COUNT = 20_000;
  private static final long[] BOUNDARIES = {
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    9,
    16,
    24,
    31,
    32,
    64,
    4095,
    4096,
    0x3FFF,
    0x4000,
    0x1000,
    1 << 20,
    -1,
    -2,
    -4096,
    Integer.MAX_VALUE,
    Integer.MIN_VALUE,
    Long.MAX_VALUE,
    Long.MIN_VALUE
  };

  @TempDir private Path folder;

  @Test
  void shouldAnswerOnceAndKeepARecordThatCanBeReadWhateverComes() {
    final long seed = System.nanoTime();
    final Random random = new Random(seed);
    final int memory = Memfd.create("guest", 1 << 20);
    final int event = EventFd.create();
    final long before = VfioFixture.openDescriptors();
    try (VfioFixture fixture = new VfioFixture(folder)) {
      fixture.negotiate();
      for (int i = 0; i < MESSAGE_COUNT; i++) {
        step(fixture, random, memory, event, "seed=" + seed + " message=" + i);
      }
    }
    assertEquals(before, VfioFixture.openDescriptors(), "descriptors, seed=" + seed);
    Fds.close(memory);
    Fds.close(event);
  }

  private static void step(
      final VfioFixture fixture,
      final Random random,
      final int memory,
      final int event,
      final String where) {
    final byte[] message = message(random);
    final int[] fds = new int[random.nextInt(4) == 0 ? random.nextInt(4) : random.nextInt(2)];
    Arrays.setAll(fds, k -> random.nextInt(3) == 0 ? event : memory);
    final Answer answer;
    try {
      answer = fixture.send(message, fds);
    } catch (final RuntimeException e) {
      throw new AssertionError(where, e);
    }
    assertTrue(!answer.close() || answer.reason().length() > 5, where);
    if (answer.reply() != null) {
      assertTrue(VfioUserMessage.isReply(answer.reply()), where);
      assertEquals(answer.reply().length, VfioUserMessage.size(answer.reply()), where);
    }
    final byte[] record = fixture.session.record();
    assertTrue(
        Arrays.equals(
            record, VfioRecord.encode(VfioRecord.decode(record, VfioFixture.VECTOR_COUNT))),
        where);
    assertEquals(fixture.session.heldSlots().length, fixture.masterFds.size(), where + ": slots");
  }

  private static byte[] message(final Random random) {
    final int length = random.nextInt(20) == 0 ? random.nextInt(16) : 16 + 4 * random.nextInt(20);
    final byte[] message = new byte[length];
    for (int at = 16; at + 8 <= length; at += random.nextBoolean() ? 4 : 8) {
      LittleEndian.putLong(message, at, BOUNDARIES[random.nextInt(BOUNDARIES.length)]);
    }
    if (length >= 16) {
      LittleEndian.putShort(message, VfioUserMessage.ID_OFFSET, random.nextInt());
      LittleEndian.putShort(
          message,
          VfioUserMessage.COMMAND_OFFSET,
          random.nextInt(50) == 0 ? random.nextInt() : random.nextInt(19));
      LittleEndian.putInt(
          message,
          VfioUserMessage.SIZE_OFFSET,
          random.nextInt(50) == 0 ? random.nextInt() : length);
      LittleEndian.putInt(
          message,
          VfioUserMessage.FLAGS_OFFSET,
          random.nextInt(50) == 0 ? random.nextInt() : random.nextInt(10) == 0 ? 0x10 : 0);
    }
    if (length >= 20 && random.nextBoolean()) {
      // An argsz that lets the rest be looked at.
      LittleEndian.putInt(message, 16, 64);
    }
    if (length >= 24 && random.nextBoolean()) {
      LittleEndian.putInt(message, 20, random.nextInt(64));
    }
    return message;
  }
}
