package io.virtnvme.tools.nbd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Everything that a client sends at once, and what it would read. */
class NbdSessionTest {
  private static final int LENGTH = 1 << 16;
  private static final int BAD_OFFSET = 4096;

  private final ByteArrayOutputStream sent = new ByteArrayOutputStream();
  private final DataOutputStream client = new DataOutputStream(sent);
  private final byte[] disk = new byte[LENGTH];

  private final class Export implements NbdExport {
    @Override
    public String name() {
      return "disk";
    }

    @Override
    public long lengthBytes() {
      return LENGTH;
    }

    @Override
    public int blockBytes() {
      return 512;
    }

    @Override
    public int read(final long offset, final int count, final byte[] bytes) {
      System.arraycopy(disk, (int) offset, bytes, 0, count);
      return offset == BAD_OFFSET ? 61 : 0;
    }

    @Override
    public void close() {}
  }

  private void option(final int option, final byte[] data) throws IOException {
    client.writeLong(NbdProtocol.OPTION_MAGIC);
    client.writeInt(option);
    client.writeInt(data.length);
    client.write(data);
  }

  private static byte[] named(final String name) throws IOException {
    final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    final DataOutputStream data = new DataOutputStream(bytes);
    data.writeInt(name.length());
    data.writeBytes(name);
    data.writeShort(0);
    return bytes.toByteArray();
  }

  private void request(final int command, final long handle, final long offset, final int length)
      throws IOException {
    client.writeInt(NbdProtocol.REQUEST_MAGIC);
    client.writeShort(0);
    client.writeShort(command);
    client.writeLong(handle);
    client.writeLong(offset);
    client.writeInt(length);
  }

  private byte[] serve() throws IOException {
    final ByteArrayOutputStream answers = new ByteArrayOutputStream();
    new NbdSession(
            new DataInputStream(new ByteArrayInputStream(sent.toByteArray())),
            new DataOutputStream(answers),
            new Export())
        .serve();
    return answers.toByteArray();
  }

  private static DataInputStream afterGreeting(final byte[] answers) throws IOException {
    final DataInputStream in = new DataInputStream(new ByteArrayInputStream(answers));
    assertEquals(NbdProtocol.INIT_MAGIC, in.readLong());
    assertEquals(NbdProtocol.OPTION_MAGIC, in.readLong());
    assertEquals(3, in.readUnsignedShort());
    return in;
  }

  private static void assertReply(final DataInputStream in, final int option, final int type)
      throws IOException {
    assertEquals(NbdProtocol.OPTION_REPLY_MAGIC, in.readLong());
    assertEquals(option, in.readInt());
    assertEquals(type, in.readInt());
    in.skipBytes(in.readInt());
  }

  private static void assertSimple(final DataInputStream in, final long handle, final int error)
      throws IOException {
    assertEquals(NbdProtocol.REPLY_MAGIC, in.readInt());
    assertEquals(error, in.readInt());
    assertEquals(handle, in.readLong());
  }

  @Test
  void shouldNegotiateAndAnswerEveryKindOfRequest() throws IOException {
    new SplittableRandom(3).nextBytes(disk);
    client.writeInt(3);
    option(8, new byte[0]);
    option(NbdProtocol.OPTION_LIST, new byte[0]);
    option(NbdProtocol.OPTION_LIST, new byte[1]);
    option(NbdProtocol.OPTION_GO, named("other"));
    option(NbdProtocol.OPTION_INFO, named("disk"));
    option(NbdProtocol.OPTION_GO, new byte[3]);
    option(NbdProtocol.OPTION_GO, named(""));
    request(NbdProtocol.COMMAND_READ, 1, 100, 1000);
    request(NbdProtocol.COMMAND_READ, 2, LENGTH - 10, 11);
    request(NbdProtocol.COMMAND_READ, 3, -1, 1);
    request(NbdProtocol.COMMAND_READ, 4, 0, -1);
    request(NbdProtocol.COMMAND_READ, 5, BAD_OFFSET, 512);
    request(NbdProtocol.COMMAND_WRITE, 6, 0, 300);
    client.write(new byte[300]);
    request(NbdProtocol.COMMAND_FLUSH, 7, 0, 0);
    request(99, 8, 0, 0);
    request(NbdProtocol.COMMAND_DISCONNECT, 9, 0, 0);
    final DataInputStream in = afterGreeting(serve());
    assertReply(in, 8, NbdProtocol.REPLY_UNSUPPORTED);
    assertReply(in, NbdProtocol.OPTION_LIST, NbdProtocol.REPLY_SERVER);
    assertReply(in, NbdProtocol.OPTION_LIST, NbdProtocol.REPLY_ACK);
    assertReply(in, NbdProtocol.OPTION_LIST, NbdProtocol.REPLY_INVALID);
    assertReply(in, NbdProtocol.OPTION_GO, NbdProtocol.REPLY_UNKNOWN);
    for (final int reply : new int[] {3, 3, 1}) {
      assertReply(in, NbdProtocol.OPTION_INFO, reply);
    }
    assertReply(in, NbdProtocol.OPTION_GO, NbdProtocol.REPLY_INVALID);
    for (final int reply : new int[] {3, 3, 1}) {
      assertReply(in, NbdProtocol.OPTION_GO, reply);
    }
    assertSimple(in, 1, 0);
    assertArrayEquals(Arrays.copyOfRange(disk, 100, 1100), in.readNBytes(1000));
    assertSimple(in, 2, NbdProtocol.EINVAL);
    assertSimple(in, 3, NbdProtocol.EINVAL);
    assertSimple(in, 4, NbdProtocol.EINVAL);
    assertSimple(in, 5, NbdProtocol.EIO);
    assertSimple(in, 6, NbdProtocol.EPERM);
    assertSimple(in, 7, 0);
    assertSimple(in, 8, NbdProtocol.EINVAL);
    assertEquals(-1, in.read());
  }

  @Test
  void shouldServeClientsThatNameTheExportTheOldWay() throws IOException {
    client.writeInt(1);
    option(NbdProtocol.OPTION_EXPORT_NAME, "disk".getBytes(StandardCharsets.UTF_8));
    request(NbdProtocol.COMMAND_DISCONNECT, 1, 0, 0);
    final DataInputStream in = afterGreeting(serve());
    assertEquals(LENGTH, in.readLong());
    assertEquals(NbdSession.TRANSMISSION_FLAGS, in.readUnsignedShort());
    assertEquals(124, in.readAllBytes().length);
  }

  @Test
  void shouldEndTheConnectionOfWhoBreaksTheRules() throws IOException {
    client.writeInt(1 << 30);
    assertThrows(IOException.class, this::serve);
    sent.reset();
    client.writeInt(3);
    client.writeLong(1);
    client.writeLong(0);
    assertThrows(IOException.class, this::serve);
    sent.reset();
    client.writeInt(3);
    client.writeLong(NbdProtocol.OPTION_MAGIC);
    client.writeInt(NbdProtocol.OPTION_GO);
    client.writeInt(1 << 20);
    assertThrows(IOException.class, this::serve);
    sent.reset();
    client.writeInt(3);
    option(NbdProtocol.OPTION_EXPORT_NAME, new byte[] {'x'});
    assertThrows(IOException.class, this::serve);
    sent.reset();
    client.writeInt(3);
    option(NbdProtocol.OPTION_GO, named("disk"));
    client.write(new byte[28]);
    assertThrows(IOException.class, this::serve);
  }

  /** Whatever comes: an answer or an end, no other exception. */
  @Test
  void shouldSurviveGarbage() throws IOException {
    final SplittableRandom random = new SplittableRandom(5);
    for (int round = 0; round < 2000; round++) {
      sent.reset();
      client.writeInt(3);
      if (random.nextBoolean()) {
        option(NbdProtocol.OPTION_GO, named("disk"));
      }
      for (int i = random.nextInt(6); i > 0; i--) {
        if (random.nextBoolean()) {
          request(random.nextInt(5), i, random.nextInt(-10, LENGTH), random.nextInt(-5, 9000));
        } else {
          option(random.nextInt(12), new byte[random.nextInt(40)]);
        }
      }
      final byte[] garbage = new byte[random.nextInt(60)];
      random.nextBytes(garbage);
      client.write(garbage);
      try {
        serve();
      } catch (final IOException e) {
        assertNotNull(e, "said no, or hung up");
      }
    }
  }
}
