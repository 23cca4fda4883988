package io.virtnvme.master.rpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class JsonStreamReaderTest {
  private static final String STREAM =
      "{\"method\":\"a\",\"params\":{\"n\":[1,-2.5e3,true,null,\"\\u00e9\\\"}{\",{}]}}"
          + "[] {\"id\":123456789012345678901234567890}\n\t\"text\" {\"\u00e9\":\"\ud83d\ude00\"} ";

  private static List<String> valuesInPieces(final byte[] bytes, final int... cuts)
      throws JsonStreamReader.MalformedStreamException {
    final JsonStreamReader reader = new JsonStreamReader(JsonStreamReader.Limits.SERVER);
    final List<String> values = new ArrayList<>();
    int from = 0;
    for (int i = 0; i <= cuts.length; i++) {
      final int to = i < cuts.length ? cuts[i] : bytes.length;
      // A fresh array per piece, as the server's buffer is used again.
      final byte[] piece = java.util.Arrays.copyOfRange(bytes, from, to);
      reader.feed(piece, 0, piece.length);
      for (JsonNode value = reader.next(); value != null; value = reader.next()) {
        values.add(JsonText.line(value));
      }
      assertTrue(reader.needsInput());
      java.util.Arrays.fill(piece, (byte) '!');
      from = to;
    }
    return values;
  }

  private static String refusal(final byte[] bytes) {
    return assertThrows(
            JsonStreamReader.MalformedStreamException.class, () -> valuesInPieces(bytes))
        .getMessage();
  }

  private static String refusal(final String text) {
    return refusal(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void shouldGiveTheSameValuesHoweverTheStreamIsCut() throws Exception {
    final byte[] bytes = STREAM.getBytes(StandardCharsets.UTF_8);
    final List<String> whole = valuesInPieces(bytes);
    assertEquals(5, whole.size());
    assertEquals("{\"id\":123456789012345678901234567890}", whole.get(2));
    for (int first = 0; first < bytes.length; first++) {
      for (int second = first; second < bytes.length; second += 7) {
        assertEquals(
            whole, valuesInPieces(bytes, first, second), "cut at " + first + ", " + second);
      }
    }
  }

  @Test
  void shouldKeepNumbersAsTheyWereSent() throws Exception {
    final byte[] bytes = "[1e999,1.10,-0,9223372036854775808]".getBytes(StandardCharsets.UTF_8);
    assertEquals(List.of("[1E+999,1.10,0,9223372036854775808]"), valuesInPieces(bytes));
  }

  @Test
  void shouldRefuseWhatIsNoJson() {
    for (final String text :
        List.of(
            "}", "{]", "{\"a\" 1}", "nul ", "{'a':1}", "[1,]", "{\"a\":01}", "GET / HTTP/1.1")) {
      assertTrue(!refusal(text).isEmpty(), text);
    }
  }

  @Test
  void shouldRefuseInvalidUtf8() {
    refusal(new byte[] {'"', (byte) 0xFF, '"'});
    refusal(new byte[] {'"', (byte) 0xC3, '"'});
    refusal(new byte[] {'"', (byte) 0xF8, (byte) 0x88, (byte) 0x80, (byte) 0x80, '"'});
    refusal("\"\\ud800\"");
    refusal("{\"\\udc00x\":1}");
  }

  @Test
  void shouldRefuseDeepNesting() throws Exception {
    assertTrue(refusal("[".repeat(65)).contains("64"));
    assertTrue(refusal("{\"a\":".repeat(100_000)).contains("64"));
    final String deepest = "[".repeat(64) + "]".repeat(64);
    assertEquals(1, valuesInPieces(deepest.getBytes(StandardCharsets.UTF_8)).size());
  }

  @Test
  void shouldRefuseLongNumbersAndHugeExponents() {
    refusal("[" + "9".repeat(10_000) + "]");
    refusal("[1e99999999999]");
  }

  @Test
  void shouldRefuseTooManyValues() throws Exception {
    final String many = "[" + "1,".repeat(8189) + "1]";
    assertEquals(1, valuesInPieces(many.getBytes(StandardCharsets.UTF_8)).size());
    assertTrue(refusal("[" + "1,".repeat(8192) + "1]").contains("8192"));
  }

  @Test
  void shouldRefuseEndlessStringsAndBlanks() {
    final JsonStreamReader reader = new JsonStreamReader(JsonStreamReader.Limits.SERVER);
    final byte[] piece = "a".repeat(1024).getBytes(StandardCharsets.UTF_8);
    assertThrows(
        JsonStreamReader.MalformedStreamException.class,
        () -> {
          reader.feed(new byte[] {'"'}, 0, 1);
          assertNull(reader.next());
          for (int i = 0; i < 300; i++) {
            reader.feed(piece, 0, piece.length);
            assertNull(reader.next());
          }
        });
  }

  @Test
  void shouldNameARepeatedMember() throws Exception {
    final JsonStreamReader reader = new JsonStreamReader(JsonStreamReader.Limits.SERVER);
    final byte[] bytes =
        "{\"p\":{\"x\":1,\"y\":[{\"x\":1}],\"x\":2}} {\"x\":1}".getBytes(StandardCharsets.UTF_8);
    reader.feed(bytes, 0, bytes.length);
    assertEquals("{\"p\":{\"x\":2,\"y\":[{\"x\":1}]}}", JsonText.line(reader.next()));
    assertEquals("x", reader.repeatedName());
    reader.next();
    assertNull(reader.repeatedName());
  }

  @Property(tries = 2000)
  void shouldOnlyEverRefuseRandomBytes(@ForAll @Size(max = 200) final byte[] bytes) {
    try {
      valuesInPieces(bytes, bytes.length / 3, bytes.length / 2);
    } catch (final JsonStreamReader.MalformedStreamException e) {
      assertTrue(!e.getMessage().isEmpty());
    }
  }

  @Property(tries = 2000)
  void shouldOnlyEverRefuseDamagedRequests(
      @ForAll final int position, @ForAll final byte value, @ForAll final int cut) {
    final byte[] bytes = STREAM.getBytes(StandardCharsets.UTF_8);
    bytes[Math.floorMod(position, bytes.length)] = value;
    try {
      valuesInPieces(bytes, Math.floorMod(cut, bytes.length));
    } catch (final JsonStreamReader.MalformedStreamException e) {
      assertTrue(!e.getMessage().isEmpty());
    }
  }
}
