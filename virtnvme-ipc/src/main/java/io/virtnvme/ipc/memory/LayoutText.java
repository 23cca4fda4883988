package io.virtnvme.ipc.memory;

/**
 * Text of one shared layout: a line per field with offset, length in bytes and name. Any thread.
 */
public final class LayoutText {
  private final StringBuilder text = new StringBuilder();
  private final int lengthBytes;

  private LayoutText(final String title, final int lengthBytes) {
    this.lengthBytes = lengthBytes;
    text.append(title).append('\n');
  }

  /** Begins the text of a structure of {@code lengthBytes}. */
  public static LayoutText of(final String title, final int lengthBytes) {
    return new LayoutText(title, lengthBytes);
  }

  /** Adds a field; offset and length in bytes. */
  public LayoutText field(final String name, final int offset, final int fieldBytes) {
    text.append(String.format("%6d %3d  %s", offset, fieldBytes, name)).append('\n');
    return this;
  }

  /** The whole text, with the line of the end. */
  public String text() {
    return text + String.format("%6d      end", lengthBytes) + '\n';
  }
}
