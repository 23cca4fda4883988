package io.virtnvme.tools.migrate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Frames as they are sent, and everything else that may come over a connection. */
class WireTest {
  private static final int RANDOM_FRAMES = 20_000;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private static Wire reading(final byte[] bytes) {
    return new Wire(() -> {}, new ByteArrayInputStream(bytes), new ByteArrayOutputStream());
  }

  private Wire writing() {
    return new Wire(() -> {}, new ByteArrayInputStream(new byte[0]), out);
  }

  private byte[] frame(final FrameType type, final int payloadLength) throws IOException {
    out.reset();
    final Wire wire = writing();
    final byte[] payload = new byte[payloadLength];
    new SplittableRandom(payloadLength).nextBytes(payload);
    wire.payload().put(payload);
    wire.send(type);
    wire.flush();
    return out.toByteArray();
  }

  private static byte[] header(final int magic, final int typeWord, final int length) {
    final ByteBuffer header = ByteBuffer.allocate(Wire.HEADER_LENGTH);
    header.putInt(magic).putInt(typeWord).putInt(length);
    final CRC32C crc = new CRC32C();
    crc.update(header.array(), 4, 8);
    header.putInt((int) crc.getValue());
    return header.array();
  }

  @ParameterizedTest
  @EnumSource(FrameType.class)
  void shouldReceiveWhatWasSentAndNothingLongerOrShorter(final FrameType type) throws IOException {
    int fitting = 0;
    for (int length = 0; length <= FrameType.PAYLOAD_MAX; length++) {
      if (!type.fits(length)) {
        continue;
      }
      fitting++;
      if (fitting < 3 || !type.fits(length + 1)) {
        final byte[] bytes = frame(type, length);
        final Wire wire = reading(bytes);
        assertEquals(type, wire.receive());
        assertEquals(length, wire.content().remaining());
        final byte[] payload = new byte[length];
        wire.content().get(payload);
        assertEquals(ByteBuffer.wrap(bytes, Wire.HEADER_LENGTH, length), ByteBuffer.wrap(payload));
        assertNull(wire.receive());
      }
    }
    assertTrue(fitting > 0);
  }

  @ParameterizedTest
  @CsvSource({
    // magic, type word, length
    "0x47455420, 0x00010000, 40",
    "0x564e4d47, 0x00000000, 0",
    "0x564e4d47, 0x000e0000, 0",
    "0x564e4d47, 0x7fff0000, 0",
    "0x564e4d47, 0xffff0000, 0",
    "0x564e4d47, 0x000c0001, 0",
    "0x564e4d47, 0x000c0000, 1",
    "0x564e4d47, 0x00050000, -1",
    "0x564e4d47, 0x00050000, 0x7fffffff",
    "0x564e4d47, 0x00050000, 0x00010011",
    "0x564e4d47, 0x00050000, 15",
    "0x564e4d47, 0x00010000, 39",
    "0x564e4d47, 0x00030000, 1025",
  })
  void shouldRefuseWhatIsNoFrame(final String magic, final String typeWord, final String length) {
    final byte[] bytes =
        Arrays.copyOf(
            header(
                Long.decode(magic).intValue(),
                Long.decode(typeWord).intValue(),
                Long.decode(length).intValue()),
            4096);
    assertThrows(ProtocolException.class, () -> reading(bytes).receive());
  }

  @Test
  void shouldNoticeEveryByteThatChangedAndEveryCut() throws IOException {
    final byte[] sound = frame(FrameType.ZERO, 12);
    for (int at = 0; at < sound.length; at++) {
      for (int bit = 0; bit < Byte.SIZE; bit++) {
        final byte[] bytes = sound.clone();
        bytes[at] ^= (byte) (1 << bit);
        // A shorter or longer frame may run into the end instead.
        assertThrows(IOException.class, () -> reading(bytes).receive(), "byte " + at);
      }
    }
    for (int length = 1; length < sound.length; length++) {
      final byte[] cut = Arrays.copyOf(sound, length);
      assertThrows(EOFException.class, () -> reading(cut).receive(), "length " + length);
    }
  }

  @Test
  void shouldStandRandomBytesBehindASoundStart() {
    final SplittableRandom random = new SplittableRandom(5);
    for (int i = 0; i < RANDOM_FRAMES; i++) {
      final byte[] bytes = new byte[random.nextInt(200)];
      random.nextBytes(bytes);
      if (bytes.length >= 8 && random.nextBoolean()) {
        ByteBuffer.wrap(bytes).putInt(Wire.MAGIC).putInt(random.nextInt(15) << 16);
      }
      try {
        while (reading(bytes).receive() != null) {
          throw new AssertionError("a frame out of nothing: " + Arrays.toString(bytes));
        }
        assertEquals(0, bytes.length);
      } catch (final IOException e) {
        assertTrue(bytes.length > 0);
      }
    }
  }

  @Test
  void shouldPassOnWhatTheOtherEndSaysWithoutWhatATerminalObeys() throws IOException {
    final Wire wire = writing();
    wire.sendError("disk \u001b[2Jfull\n" + "x".repeat(5000));
    final ProtocolException said =
        assertThrows(
            ProtocolException.class, () -> reading(out.toByteArray()).expect(FrameType.WELCOME));
    assertTrue(said.getMessage().startsWith("the other end says: disk ?[2Jfull?xxx"));
    assertTrue(said.getMessage().length() < 1100);
  }

  @Test
  void shouldRefuseAFrameOutOfTurnAndHearTheEnd() throws IOException {
    final byte[] bytes = frame(FrameType.COMMIT, 0);
    assertThrows(ProtocolException.class, () -> reading(bytes).expect(FrameType.PREPARED));
    assertThrows(ProtocolException.class, () -> reading(bytes).expectNothing());
    assertThrows(EOFException.class, () -> reading(new byte[0]).expect(FrameType.PREPARED));
    reading(new byte[0]).expectNothing();
  }

  private static Hello hello(final String name) {
    return new Hello(1, 0, 512, 65536, true, false, 1 << 20, new UUID(3, 4), name);
  }

  @Test
  void shouldCarryAHello() throws IOException {
    for (final String name : new String[] {"d", "disk-ü", "n".repeat(200)}) {
      final ByteBuffer bytes = ByteBuffer.allocate(Hello.LENGTH_MAX);
      hello(name).put(bytes);
      assertEquals(hello(name), Hello.read(bytes.flip()));
      bytes.rewind();
      bytes.limit(bytes.limit() - 1);
      assertThrows(ProtocolException.class, () -> Hello.read(bytes));
    }
    final ByteBuffer control = ByteBuffer.allocate(Hello.LENGTH_MAX);
    hello("a\u0007b").put(control);
    assertEquals("a?b", Hello.read(control.flip()).name());
  }

  @ParameterizedTest
  @CsvSource({
    "2, 512, 65536, 1048576, version 2.0",
    "0, 512, 65536, 1048576, version 0.0",
    "1, 4096, 65536, 1048576, blocks of 4096",
    "1, 0, 65536, 1048576, blocks of 0",
    "1, 512, 4096, 1048576, chunks of 4096",
    "1, 512, 65536, 2097664, only 2097152",
    "1, 512, 65536, 9223372036854775296, only 2097152",
    "1, 512, 65536, 513, 513 bytes",
    "1, 512, 65536, 0, 0 bytes",
    "1, 512, 65536, -512, -512 bytes",
  })
  void shouldSayWhyADiskCannotTakeIt(
      final int major,
      final int blockBytes,
      final int chunkBytes,
      final long lengthBytes,
      final String why) {
    final Hello hello =
        new Hello(major, 0, blockBytes, chunkBytes, false, false, lengthBytes, new UUID(1, 2), "d");
    final String problem = hello.problem(512, 2 << 20);
    assertTrue(problem != null && problem.contains(why), problem);
    assertNull(hello("d").problem(512, 1 << 20));
    assertEquals(
        StandardCharsets.UTF_8.encode(problem).remaining(),
        problem.length(),
        "it goes over the wire by its bytes");
  }

  @Test
  void shouldKnowChunksByTheirChecksums() {
    final ChunkTable table = new ChunkTable(3L * ChunkTable.CHUNK_BYTES + 512);
    assertEquals(4, table.count());
    assertEquals(512, table.length(3));
    final long digest = table.digest();
    final byte[] bytes = new byte[ChunkTable.CHUNK_BYTES];
    assertTrue(ChunkTable.isZero(bytes, 0, bytes.length));
    assertEquals(table.zeroSum(0), table.compute(bytes, 0, bytes.length));
    assertEquals(table.zeroSum(3), table.compute(bytes, 0, 512));
    assertEquals(table.zeroSum(3), table.sum(3));
    bytes[bytes.length - 1] = 1;
    assertEquals(false, ChunkTable.isZero(bytes, 0, bytes.length));
    table.sum(2, table.compute(bytes, 0, bytes.length));
    assertTrue(digest != table.digest());
    table.sum(2, table.zeroSum(2));
    assertEquals(digest, table.digest());
    assertThrows(IllegalArgumentException.class, () -> new ChunkTable(0));
    assertThrows(IllegalArgumentException.class, () -> new ChunkTable(1L << 47));
  }

  @Test
  void shouldKeepBelowABandwidth() {
    final Pace pace = new Pace(10 << 20);
    final long beginNs = System.nanoTime();
    for (int i = 0; i < 16; i++) {
      pace.sent(1 << 16);
    }
    // 1 MiB, less what it may catch up on.
    assertTrue(System.nanoTime() - beginNs > 75_000_000L);
    new Pace(0).sent(Integer.MAX_VALUE);
  }
}
