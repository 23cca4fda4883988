package io.virtnvme.master.rpc;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * JSON trees to text and back, without the object mapper: its classes would double the start-up
 * cost of the control plane. Thread-safe.
 */
public final class JsonText {
  private static final JsonFactory FACTORY =
      JsonFactory.builder().disable(StreamWriteFeature.AUTO_CLOSE_TARGET).build();

  private JsonText() {}

  /** The value as one line of UTF-8 without a line feed. */
  public static byte[] bytes(final JsonNode value) {
    final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
    write(value, out, false);
    return out.toByteArray();
  }

  /** The value as one line. */
  public static String line(final JsonNode value) {
    return new String(bytes(value), StandardCharsets.UTF_8);
  }

  /** The value over several lines, indented by two, for people. */
  public static String pretty(final JsonNode value) {
    final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
    write(value, out, true);
    return out.toString(StandardCharsets.UTF_8);
  }

  /**
   * Reads one value.
   *
   * @throws IllegalArgumentException when the text is not exactly one JSON value; the message says
   *     why
   */
  public static JsonNode parse(final String text) {
    return parse(text.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Reads one value from UTF-8.
   *
   * @throws IllegalArgumentException when the text is not exactly one JSON value; the message says
   *     why
   */
  public static JsonNode parse(final byte[] utf8) {
    final JsonStreamReader reader = new JsonStreamReader(JsonStreamReader.Limits.CLIENT);
    try {
      reader.feed(utf8, 0, utf8.length);
      reader.endOfInput();
      final JsonNode value = reader.next();
      if (value == null) {
        throw new IllegalArgumentException(
            reader.isWithinValue()
                ? "the text ends in the middle of a value"
                : "the text is empty");
      }
      if (reader.repeatedName() != null) {
        throw new IllegalArgumentException(
            "'" + reader.repeatedName() + "' occurs twice in one object");
      }
      if (reader.next() != null || reader.isWithinValue()) {
        throw new IllegalArgumentException("more text follows after the value");
      }
      return value;
    } catch (final JsonStreamReader.MalformedStreamException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  static void write(final JsonNode value, final OutputStream out, final boolean pretty) {
    try (JsonGenerator generator = FACTORY.createGenerator(out)) {
      if (pretty) {
        generator.setPrettyPrinter(
            new DefaultPrettyPrinter().withArrayIndenter(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE));
      }
      write(value, generator);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void write(final JsonNode value, final JsonGenerator generator)
      throws IOException {
    switch (value.getNodeType()) {
      case OBJECT -> {
        generator.writeStartObject();
        for (final Map.Entry<String, JsonNode> member : value.properties()) {
          generator.writeFieldName(member.getKey());
          write(member.getValue(), generator);
        }
        generator.writeEndObject();
      }
      case ARRAY -> {
        generator.writeStartArray();
        for (final JsonNode element : value) {
          write(element, generator);
        }
        generator.writeEndArray();
      }
      case STRING -> generator.writeString(value.textValue());
      case BOOLEAN -> generator.writeBoolean(value.booleanValue());
      case NULL -> generator.writeNull();
      case NUMBER -> writeNumber(value, generator);
      default -> throw new IOException("no JSON value: " + value.getNodeType());
    }
  }

  private static void writeNumber(final JsonNode value, final JsonGenerator generator)
      throws IOException {
    switch (value.numberType()) {
      case INT, LONG -> generator.writeNumber(value.longValue());
      case BIG_INTEGER -> generator.writeNumber(value.bigIntegerValue());
      case FLOAT, DOUBLE -> generator.writeNumber(value.doubleValue());
      default -> generator.writeNumber(value.decimalValue());
    }
  }
}
