package io.virtnvme.ipc.vhostuser;

/** One field of a message layout, for {@code describe()}; offsets and lengths in bytes. */
record Field(String name, int offset, int lengthBytes) {
  /**
   * The text of one structure: its title, then offset, length and name of each field, then its
   * length.
   */
  static String structure(final String title, final int lengthBytes, final Field... fields) {
    final StringBuilder text = new StringBuilder(title).append('\n');
    for (final Field field : fields) {
      text.append(String.format("%6d %3d  %s", field.offset, field.lengthBytes, field.name));
      text.append('\n');
    }
    return text.append(String.format("%6d      end", lengthBytes)).append('\n').toString();
  }
}
