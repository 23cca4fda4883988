package io.virtnvme.master.rpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

final class JsonTextTest {
  private static String refusal(final String text) {
    return assertThrows(IllegalArgumentException.class, () -> JsonText.parse(text), text)
        .getMessage();
  }

  @Test
  void shouldReadAndWriteTheSameText() {
    for (final String text :
        List.of(
            "12",
            "{}",
            "[]",
            "\"a\\\"\\n\u00e9\"",
            "{\"a\":[1,2.5,true,false,null,{\"b\":\"\"}]}")) {
      assertEquals(text, JsonText.line(JsonText.parse(text)));
    }
    assertEquals("{\n  \"a\" : [\n    1\n  ]\n}", JsonText.pretty(JsonText.parse("{\"a\":[1]}")));
  }

  @Test
  void shouldRefuseAnythingButOneValue() {
    assertTrue(refusal("").contains("empty"));
    assertTrue(refusal(" ").contains("empty"));
    for (final String text :
        List.of("{", "[1", "[[1]", "{\"a\":", "\"a", "tru", "{} {}", "{} x", "{} [")) {
      assertTrue(!refusal(text).contains("empty"), text + ": " + refusal(text));
    }
    assertTrue(refusal("{\"a\":1,\"a\":2}").contains("'a' occurs twice"));
    assertTrue(refusal("{\n \"a\" 1}").contains("line 2"));
  }
}
