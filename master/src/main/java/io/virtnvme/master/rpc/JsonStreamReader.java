package io.virtnvme.master.rpc;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.async.ByteArrayFeeder;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Cuts a byte stream into JSON values: they follow one another without framing, and arrive in
 * pieces split at any byte. Each byte is looked at once, so a slow sender costs no more than a fast
 * one. One instance per stream, used by one thread.
 */
final class JsonStreamReader {
  /** The stream is no JSON or breaks a limit; nothing more can be read from it. */
  static final class MalformedStreamException extends Exception {
    private static final long serialVersionUID = 1L;

    MalformedStreamException(final String message) {
      super(message, null, false, false);
    }
  }

  /** What one value may cost. Nesting and value counts are SPDK's own limits. */
  record Limits(int lengthMax, int valueCountMax) {
    static final Limits SERVER = new Limits(256 * 1024, 8192);
    static final Limits CLIENT = new Limits(64 * 1024 * 1024, Integer.MAX_VALUE);
  }

  private static final int DEPTH_MAX = 64;
  private static final int NUMBER_LENGTH_MAX = 128;

  private final JsonParser parser;
  private final ByteArrayFeeder feeder;
  private final Limits limits;
  private final Deque<JsonNode> open = new ArrayDeque<>();
  private String fieldName;
  private int valueCount;
  private long fedLength;
  private long valueStart;
  private String repeatedName;
  private boolean ended;

  JsonStreamReader(final Limits limits) {
    this.limits = limits;
    final JsonFactory factory =
        JsonFactory.builder()
            .streamReadConstraints(
                StreamReadConstraints.builder()
                    .maxNestingDepth(DEPTH_MAX)
                    .maxNumberLength(NUMBER_LENGTH_MAX)
                    .maxNameLength(limits.lengthMax)
                    .maxStringLength(limits.lengthMax)
                    .build())
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .build();
    try {
      parser = factory.createNonBlockingByteArrayParser();
    } catch (final IOException e) {
      throw new IllegalStateException("no parser", e);
    }
    feeder = (ByteArrayFeeder) parser.getNonBlockingInputFeeder();
  }

  /** Whether {@link #next} has used up what was fed. */
  boolean needsInput() {
    return feeder.needMoreInput();
  }

  /**
   * Hands over bytes; only when {@link #needsInput}. The array must stay as it is until then.
   *
   * @throws MalformedStreamException when the value under way is longer than allowed
   */
  void feed(final byte[] bytes, final int offset, final int length)
      throws MalformedStreamException {
    if (fedLength - valueStart > limits.lengthMax) {
      throw new MalformedStreamException(
          "a request may be at most " + limits.lengthMax + " bytes long; send smaller ones");
    }
    try {
      feeder.feedInput(bytes, offset, offset + length);
    } catch (final IOException e) {
      throw new MalformedStreamException(e.getMessage());
    }
    fedLength += length;
  }

  /** Says that nothing follows; a value cut short becomes an error. */
  void endOfInput() {
    ended = true;
    feeder.endOfInput();
  }

  /** Whether a value has begun and not ended. */
  boolean isWithinValue() {
    return !open.isEmpty();
  }

  /** A member name that the value last returned has twice in one object, or null. */
  String repeatedName() {
    return repeatedName;
  }

  /**
   * The next complete value.
   *
   * @return null when more input is needed
   * @throws MalformedStreamException when the bytes are no JSON
   */
  JsonNode next() throws MalformedStreamException {
    try {
      for (; ; ) {
        JsonToken token = parser.nextToken();
        if (token == JsonToken.NOT_AVAILABLE && ended) {
          // Only now does the parser take the end for the end of a number.
          token = parser.nextToken();
        }
        if (token == null || token == JsonToken.NOT_AVAILABLE) {
          return null;
        }
        final JsonNode complete = onToken(token);
        if (complete != null) {
          valueStart = parser.currentLocation().getByteOffset();
          valueCount = 0;
          return complete;
        }
      }
    } catch (final JsonProcessingException e) {
      final JsonLocation where = parser.currentLocation();
      throw new MalformedStreamException(
          firstLine(e.getOriginalMessage())
              + " (line "
              + where.getLineNr()
              + ", column "
              + where.getColumnNr()
              + ")");
    } catch (final IOException | IllegalArgumentException | ArithmeticException e) {
      throw new MalformedStreamException(firstLine(e.getMessage()));
    }
  }

  private JsonNode onToken(final JsonToken token) throws IOException, MalformedStreamException {
    if (open.isEmpty() && valueCount == 0) {
      repeatedName = null;
    }
    if (++valueCount > limits.valueCountMax) {
      throw new MalformedStreamException(
          "a request may hold at most " + limits.valueCountMax + " values; send smaller ones");
    }
    switch (token) {
      case FIELD_NAME -> fieldName = wellFormed(parser.currentName());
      case START_OBJECT -> push(JsonNodeFactory.instance.objectNode());
      case START_ARRAY -> push(JsonNodeFactory.instance.arrayNode());
      case END_OBJECT, END_ARRAY -> {
        final JsonNode closed = open.pop();
        return open.isEmpty() ? closed : null;
      }
      default -> {
        final JsonNode scalar = scalar(token);
        if (open.isEmpty()) {
          return scalar;
        }
        attach(scalar);
      }
    }
    return null;
  }

  private void push(final JsonNode container) {
    if (!open.isEmpty()) {
      attach(container);
    }
    open.push(container);
  }

  private void attach(final JsonNode child) {
    final JsonNode parent = open.peek();
    if (parent instanceof ObjectNode object) {
      if (object.replace(fieldName, child) != null) {
        repeatedName = fieldName;
      }
    } else {
      ((ArrayNode) parent).add(child);
    }
  }

  private JsonNode scalar(final JsonToken token) throws IOException {
    final JsonNodeFactory nodes = JsonNodeFactory.instance;
    return switch (token) {
      case VALUE_STRING -> nodes.textNode(wellFormed(parser.getText()));
      case VALUE_NUMBER_INT ->
          parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER
              ? nodes.numberNode(parser.getBigIntegerValue())
              : nodes.numberNode(parser.getLongValue());
      // Not a double: an id such as 1e999 must come back as it was sent.
      case VALUE_NUMBER_FLOAT -> nodes.numberNode(parser.getDecimalValue());
      case VALUE_TRUE -> nodes.booleanNode(true);
      case VALUE_FALSE -> nodes.booleanNode(false);
      case VALUE_NULL -> nodes.nullNode();
      default -> throw new IOException("unexpected token " + token);
    };
  }

  /**
   * An escaped half of a surrogate pair cannot be written as UTF-8 again, not even in an answer.
   */
  private static String wellFormed(final String text) throws IOException {
    int codePoint;
    for (int i = 0; i < text.length(); i += Character.charCount(codePoint)) {
      codePoint = text.codePointAt(i);
      if (codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE) {
        throw new IOException("a string has half of a surrogate pair");
      }
    }
    return text;
  }

  private static String firstLine(final String text) {
    if (text == null) {
      return "no JSON";
    }
    final int newline = text.indexOf('\n');
    return newline < 0 ? text : text.substring(0, newline);
  }
}
