package io.virtnvme.journal;

/** One field of a shared layout, for {@code describe()}; offsets and lengths in bytes. */
record Field(String name, int offset, int lengthBytes) {
  /** Appends "offset length name" as one line, columns aligned. */
  void appendTo(final StringBuilder text) {
    text.append(String.format("%6d %3d  %s%n", offset, lengthBytes, name).replace("\r", ""));
  }

  /** The text of one structure: its title, its fields, and its length as the last line. */
  static void appendStructure(
      final StringBuilder text, final String title, final int lengthBytes, final Field... fields) {
    text.append(title).append('\n');
    for (final Field field : fields) {
      field.appendTo(text);
    }
    text.append(String.format("%6d      end%n", lengthBytes).replace("\r", ""));
  }
}
