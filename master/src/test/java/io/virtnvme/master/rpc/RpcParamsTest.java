package io.virtnvme.master.rpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

final class RpcParamsTest {
  private static final List<String> KNOWN =
      List.of("name", "count", "flag", "names", "uuid", "mode");

  private static RpcParams params(final String json) {
    return RpcParams.of("do_it", JsonText.parse(json), KNOWN);
  }

  private static String refusal(final Executable call) {
    final RpcException failure = assertThrows(RpcException.class, call);
    assertEquals(RpcException.INVALID_PARAMS, failure.code());
    return failure.getMessage();
  }

  @Test
  void shouldGiveTypedValues() {
    final RpcParams params =
        params(
            "{\"name\":\"x\",\"count\":4096.0,\"flag\":true,\"names\":[\"a\"],\"mode\":\"b\","
                + "\"uuid\":\"6F9619FF-8b86-d011-b42d-00c04fc964ff\"}");
    assertEquals("x", params.requireString("name"));
    assertEquals(4096, params.requireLong("count", 0, 5000));
    assertTrue(params.optionalBoolean("flag", false));
    assertEquals(List.of("a"), params.optionalStrings("names"));
    assertEquals("b", params.optionalWord("mode", List.of("a", "b"), "a"));
    assertEquals(
        UUID.fromString("6f9619ff-8b86-d011-b42d-00c04fc964ff"), params.optionalUuid("uuid", null));
  }

  @Test
  void shouldTakeNullAsAbsent() {
    final RpcParams params = params("{\"name\":null,\"count\":null,\"flag\":null,\"names\":null}");
    assertEquals("d", params.optionalString("name", "d"));
    assertEquals(7, params.optionalLong("count", 0, 9, 7));
    assertFalse(params.optionalBoolean("flag", false));
    assertEquals(List.of(), params.optionalStrings("names"));
    assertEquals("d", RpcParams.of("do_it", null, KNOWN).optionalString("name", "d"));
  }

  @Test
  void shouldNameTheValueAndWhatIsExpected() {
    assertEquals(
        "do_it: 'count' is \"7\"; expected an integer from 1 to 9",
        refusal(() -> params("{\"count\":\"7\"}").requireLong("count", 1, 9)));
    assertEquals(
        "do_it: 'count' is missing; expected an integer from 1 to 9",
        refusal(() -> params("{}").requireLong("count", 1, 9)));
    assertEquals(
        "do_it has no parameter 'cuont'; it takes name, count, flag, names, uuid, mode",
        refusal(() -> params("{\"cuont\":1}")));
    assertTrue(refusal(() -> params("[1]")).contains("by name"));
    assertEquals(
        "x has no parameter 'a'; it takes none",
        refusal(() -> RpcParams.of("x", JsonText.parse("{\"a\":1}"), List.of())));
  }

  @Test
  void shouldRefuseNumbersThatDoNotFit() {
    for (final String number :
        List.of("0", "10", "-1", "1.5", "1e999999", "1e-999999", "99999999999999999999", "true")) {
      refusal(() -> params("{\"count\":" + number + "}").requireLong("count", 1, 9));
    }
    refusal(
        () ->
            params("{\"count\":9223372036854775808}")
                .requireLong("count", Long.MIN_VALUE + 1, Long.MAX_VALUE));
  }

  @Test
  void shouldRefuseNamesThatCannotBeFileNames() {
    for (final String name :
        List.of(
            "", "a/b", "..", ".x", "a\\u0000b", "a\\nb", "x".repeat(201), "\u00e9".repeat(101))) {
      refusal(() -> params("{\"name\":\"" + name + "\"}").requireName("name"));
    }
    assertEquals("M 1-\u00e9", params("{\"name\":\"M 1-\u00e9\"}").requireName("name"));
  }

  @Test
  void shouldRefuseOtherWrongTypes() {
    refusal(() -> params("{\"flag\":1}").optionalBoolean("flag", false));
    refusal(() -> params("{\"names\":[1]}").optionalStrings("names"));
    refusal(() -> params("{\"names\":\"a\"}").optionalStrings("names"));
    refusal(() -> params("{\"uuid\":\"1-2-3-4-5\"}").optionalUuid("uuid", null));
    refusal(() -> params("{\"uuid\":\"zz\"}").optionalUuid("uuid", null));
    refusal(() -> params("{\"mode\":\"c\"}").optionalWord("mode", List.of("a", "b"), "a"));
    refusal(() -> params("{\"name\":\"relative\"}").requirePath("name"));
  }

  @Test
  void shouldClipLongValuesInMessages() {
    final String message =
        refusal(
            () -> params("{\"count\":\"" + "y".repeat(5000) + "\"}").requireLong("count", 1, 9));
    assertTrue(message.length() < 200, message);
  }
}
