package io.virtnvme.ipc.vfiouser;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the little JSON that a VERSION message carries (RFC 8259), from a peer that may send
 * anything: bounded in depth, no recursion beyond that, every fault an {@link
 * IllegalArgumentException} with its position. Slaves have no JSON library on their class path,
 * since what they load is part of what a takeover waits for. One thread.
 *
 * <p>Objects become maps (of two equal names the last counts), arrays lists, whole numbers {@link
 * Long}, other numbers {@link Double}.
 */
final class JsonLite {
  private static final int DEPTH_MAX = 16;

  /** What stands for JSON's null: present, and of no type that anybody asks for. */
  private static final Object NULL =
      new Object() {
        @Override
        public String toString() {
          return "null";
        }
      };

  private final String text;
  private int position;

  private JsonLite(final String text) {
    this.text = text;
  }

  static Object parse(final String text) {
    final JsonLite reader = new JsonLite(text);
    final Object value = reader.value(0);
    reader.skipSpace();
    if (reader.position != text.length()) {
      throw reader.fault("something behind the end");
    }
    return value;
  }

  private IllegalArgumentException fault(final String what) {
    return new IllegalArgumentException("bad JSON: " + what + " at " + position);
  }

  private void skipSpace() {
    while (position < text.length() && " \t\r\n".indexOf(text.charAt(position)) >= 0) {
      position++;
    }
  }

  private char next() {
    if (position >= text.length()) {
      throw fault("it ends too early");
    }
    return text.charAt(position);
  }

  private void expect(final char wanted) {
    if (next() != wanted) {
      throw fault("'" + wanted + "' expected");
    }
    position++;
  }

  private Object value(final int depth) {
    if (depth > DEPTH_MAX) {
      throw fault("nested deeper than " + DEPTH_MAX);
    }
    skipSpace();
    return switch (next()) {
      case '{' -> object(depth);
      case '[' -> array(depth);
      case '"' -> string();
      case 't' -> word("true", true);
      case 'f' -> word("false", false);
      case 'n' -> word("null", NULL);
      default -> number();
    };
  }

  private Object word(final String word, final Object meaning) {
    if (!text.startsWith(word, position)) {
      throw fault("unknown word");
    }
    position += word.length();
    return meaning;
  }

  private Map<String, Object> object(final int depth) {
    final Map<String, Object> members = new LinkedHashMap<>();
    position++;
    skipSpace();
    if (next() == '}') {
      position++;
      return members;
    }
    while (true) {
      skipSpace();
      if (next() != '"') {
        throw fault("a name expected");
      }
      final String name = string();
      skipSpace();
      expect(':');
      members.put(name, value(depth + 1));
      skipSpace();
      if (next() == '}') {
        position++;
        return members;
      }
      expect(',');
    }
  }

  private List<Object> array(final int depth) {
    final List<Object> elements = new ArrayList<>();
    position++;
    skipSpace();
    if (next() == ']') {
      position++;
      return elements;
    }
    while (true) {
      elements.add(value(depth + 1));
      skipSpace();
      if (next() == ']') {
        position++;
        return elements;
      }
      expect(',');
    }
  }

  private String string() {
    position++;
    final StringBuilder found = new StringBuilder();
    while (next() != '"') {
      final char c = text.charAt(position++);
      if (c == '\\') {
        found.append(escaped());
      } else if (c < ' ') {
        throw fault("a control character");
      } else {
        found.append(c);
      }
    }
    position++;
    return found.toString();
  }

  private char escaped() {
    final char c = next();
    position++;
    return switch (c) {
      case '"', '\\', '/' -> c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> unicode();
      default -> throw fault("unknown escape");
    };
  }

  private char unicode() {
    int code = 0;
    for (int i = 0; i < 4; i++) {
      final int digit = Character.digit(next(), 16);
      if (digit < 0) {
        throw fault("a hexadecimal digit expected");
      }
      code = code << 4 | digit;
      position++;
    }
    return (char) code;
  }

  private Object number() {
    final int begin = position;
    boolean whole = true;
    while (position < text.length() && "+-.eE0123456789".indexOf(text.charAt(position)) >= 0) {
      whole &= "+.eE".indexOf(text.charAt(position)) < 0;
      position++;
    }
    final String digits = text.substring(begin, position);
    try {
      if (whole) {
        return Long.valueOf(digits);
      }
      return Double.valueOf(digits);
    } catch (final NumberFormatException e) {
      position = begin;
      throw new IllegalArgumentException(fault("no number").getMessage(), e);
    }
  }
}
