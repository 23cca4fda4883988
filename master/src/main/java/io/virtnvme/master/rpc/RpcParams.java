package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.UUID;

/**
 * The parameters of one call, read by name and checked: every refusal is {@link
 * RpcException#INVALID_PARAMS} with the parameter, its value and what is expected. A JSON null
 * counts as absent. Immutable.
 */
public final class RpcParams {
  private static final int SHOWN_VALUE_LENGTH_MAX = 64;
  private static final int NAME_BYTES_MAX = 200;
  private static final int PATH_LENGTH_MAX = 4096;

  private final String method;
  private final ObjectNode values;

  private RpcParams(final String method, final ObjectNode values) {
    this.method = method;
    this.values = values;
  }

  /**
   * Takes the {@code params} of a request.
   *
   * @param method for the error texts
   * @param params an object, or null or JSON null for none
   * @param known the names that the method takes
   */
  public static RpcParams of(
      final String method, final JsonNode params, final Collection<String> known) {
    if (params == null || params.isNull()) {
      return new RpcParams(method, JsonNodeFactory.instance.objectNode());
    }
    if (!(params instanceof ObjectNode object)) {
      throw new RpcException(
          RpcException.INVALID_PARAMS,
          method
              + " takes its parameters by name: send \"params\" as an object, not "
              + show(params));
    }
    final Iterator<String> names = object.fieldNames();
    while (names.hasNext()) {
      final String name = names.next();
      if (!known.contains(name)) {
        throw new RpcException(
            RpcException.INVALID_PARAMS,
            method
                + " has no parameter '"
                + clip(name)
                + "'; "
                + (known.isEmpty() ? "it takes none" : "it takes " + String.join(", ", known)));
      }
    }
    return new RpcParams(method, object);
  }

  /** The method called. */
  public String method() {
    return method;
  }

  /** Whether the parameter was given. */
  public boolean has(final String name) {
    return values.hasNonNull(name);
  }

  /** Refuses the call because of a parameter. */
  public RpcException invalid(final String name, final String expected) {
    final JsonNode value = values.get(name);
    return new RpcException(
        RpcException.INVALID_PARAMS,
        method
            + (value == null ? ": '" + name + "' is missing" : ": '" + name + "' is " + show(value))
            + "; expected "
            + expected);
  }

  /** A string of at least one character. */
  public String requireString(final String name) {
    final JsonNode value = values.get(name);
    if (value == null || !value.isTextual() || value.textValue().isEmpty()) {
      throw invalid(name, "a string");
    }
    return value.textValue();
  }

  /** A string, or {@code absent}. */
  public String optionalString(final String name, final String absent) {
    return has(name) ? requireString(name) : absent;
  }

  /** A string, perhaps an empty one, or {@code absent}. */
  public String optionalText(final String name, final String absent) {
    if (!has(name)) {
      return absent;
    }
    final JsonNode value = values.get(name);
    if (!value.isTextual()) {
      throw invalid(name, "a string");
    }
    return value.textValue();
  }

  /** An object with members of its own. */
  public RpcParams requireObject(final String name, final Collection<String> known) {
    final JsonNode value = values.get(name);
    if (value == null || !value.isObject()) {
      throw invalid(name, "an object with " + String.join(", ", known));
    }
    return of(method + "." + name, value, known);
  }

  /**
   * The name of a bdev or controller: it becomes part of a file name, so 1 to 200 bytes, no slash,
   * no control character, no leading dot.
   */
  public String requireName(final String name) {
    final String value = requireString(name);
    boolean wellFormed = value.charAt(0) != '.' && utf8Length(value) <= NAME_BYTES_MAX;
    for (int i = 0; wellFormed && i < value.length(); i++) {
      final char c = value.charAt(i);
      wellFormed = c != '/' && !Character.isISOControl(c);
    }
    if (!wellFormed) {
      throw invalid(
          name,
          "a name of 1 to "
              + NAME_BYTES_MAX
              + " bytes without '/' or control characters that does not start with '.'");
    }
    return value;
  }

  /** An absolute path. */
  public String requirePath(final String name) {
    final String value = requireString(name);
    if (value.charAt(0) != '/' || value.length() > PATH_LENGTH_MAX || value.indexOf('\0') >= 0) {
      throw invalid(name, "an absolute path, because the processes have their own directories");
    }
    return value;
  }

  /** An integer in {@code min..max}; 4096.0 counts as one, as older clients send it. */
  public long requireLong(final String name, final long min, final long max) {
    final JsonNode value = values.get(name);
    if (value != null && value.isNumber()) {
      final long number = exactLong(value, min - 1);
      if (number >= min && number <= max) {
        return number;
      }
    }
    throw invalid(
        name,
        min == max
            ? "the integer " + min + ", the only value supported"
            : "an integer from " + min + " to " + max);
  }

  /** An integer in {@code min..max}, or {@code absent}. */
  public long optionalLong(final String name, final long min, final long max, final long absent) {
    return has(name) ? requireLong(name, min, max) : absent;
  }

  /** An integer in {@code min..max}. */
  public int requireInt(final String name, final int min, final int max) {
    return (int) requireLong(name, min, max);
  }

  /** An integer in {@code min..max}, or {@code absent}. */
  public int optionalInt(final String name, final int min, final int max, final int absent) {
    return has(name) ? (int) requireLong(name, min, max) : absent;
  }

  /** A boolean, or {@code absent}. */
  public boolean optionalBoolean(final String name, final boolean absent) {
    if (!has(name)) {
      return absent;
    }
    final JsonNode value = values.get(name);
    if (!value.isBoolean()) {
      throw invalid(name, "true or false");
    }
    return value.booleanValue();
  }

  /** A UUID in the usual form of 36 characters, or {@code absent}. */
  public UUID optionalUuid(final String name, final UUID absent) {
    if (!has(name)) {
      return absent;
    }
    final String value = requireString(name);
    try {
      final UUID uuid = UUID.fromString(value);
      if (uuid.toString().equals(value.toLowerCase(Locale.ROOT))) {
        return uuid;
      }
    } catch (final IllegalArgumentException e) {
      throw invalid(name, "a UUID such as 6f9619ff-8b86-d011-b42d-00c04fc964ff");
    }
    throw invalid(name, "a UUID such as 6f9619ff-8b86-d011-b42d-00c04fc964ff");
  }

  /** A list of strings, or an empty one. */
  public List<String> optionalStrings(final String name) {
    if (!has(name)) {
      return List.of();
    }
    final JsonNode value = values.get(name);
    if (!value.isArray()) {
      throw invalid(name, "an array of strings");
    }
    final List<String> strings = new ArrayList<>(value.size());
    for (final JsonNode element : value) {
      if (!element.isTextual()) {
        throw invalid(name, "an array of strings");
      }
      strings.add(element.textValue());
    }
    return strings;
  }

  /** A list of objects with members of their own, or an empty one. */
  public List<RpcParams> optionalObjects(final String name, final Collection<String> known) {
    final List<RpcParams> objects = new ArrayList<>();
    if (has(name)) {
      if (!values.get(name).isArray()) {
        throw invalid(name, "an array of objects");
      }
      for (final JsonNode element : values.get(name)) {
        objects.add(of(method + "." + name, element, known));
      }
    }
    return objects;
  }

  /** One of the given words, or {@code absent}. */
  public String optionalWord(final String name, final List<String> words, final String absent) {
    if (!has(name)) {
      return absent;
    }
    final JsonNode value = values.get(name);
    if (!value.isTextual() || !words.contains(value.textValue())) {
      throw invalid(name, "one of " + String.join(", ", words));
    }
    return value.textValue();
  }

  private static long exactLong(final JsonNode value, final long otherwise) {
    if (value.isIntegralNumber()) {
      return value.canConvertToLong() ? value.longValue() : otherwise;
    }
    final BigDecimal decimal = value.decimalValue();
    // longValueExact would expand 1e999999999 digit by digit; no long has more than 19 of them.
    if ((long) decimal.precision() - decimal.scale() > 19 || decimal.scale() > 1000) {
      return otherwise;
    }
    try {
      return decimal.longValueExact();
    } catch (final ArithmeticException e) {
      return otherwise;
    }
  }

  private static int utf8Length(final String value) {
    return value.getBytes(StandardCharsets.UTF_8).length;
  }

  private static String show(final JsonNode value) {
    if (value.isTextual()) {
      return "\"" + clip(value.textValue()) + "\"";
    }
    if (value.isObject()) {
      return "an object";
    }
    if (value.isArray()) {
      return "an array";
    }
    return clip(value.asText());
  }

  private static String clip(final String text) {
    return text.length() <= SHOWN_VALUE_LENGTH_MAX
        ? text
        : text.substring(0, SHOWN_VALUE_LENGTH_MAX) + "...";
  }
}
