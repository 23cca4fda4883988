package io.virtnvme.tools;

import java.io.PrintWriter;

/** Bytes for people: 16 a line, with their offset; a line like the one before it becomes a star. */
final class HexDump {
  private static final int LINE_LENGTH = 16;

  private HexDump() {}

  static void print(final PrintWriter out, final byte[] data, final long firstOffset) {
    String before = "";
    boolean isSkipping = false;
    for (int at = 0; at < data.length; at += LINE_LENGTH) {
      final String line = line(data, at);
      if (!line.equals(before)) {
        out.printf("%08x%s%n", firstOffset + at, line);
        isSkipping = false;
      } else if (!isSkipping) {
        out.println("*");
        isSkipping = true;
      }
      before = line;
    }
    out.printf("%08x%n", firstOffset + data.length);
  }

  private static String line(final byte[] data, final int at) {
    final StringBuilder line = new StringBuilder(" ");
    final StringBuilder text = new StringBuilder();
    for (int i = at; i < at + LINE_LENGTH; i++) {
      if (i < data.length) {
        line.append(String.format(" %02x", data[i] & 0xFF));
        text.append(data[i] >= ' ' && data[i] <= '~' ? (char) data[i] : '.');
      } else {
        line.append("   ");
      }
    }
    return line + "  |" + text + "|";
  }
}
