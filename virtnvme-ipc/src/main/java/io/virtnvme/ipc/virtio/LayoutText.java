package io.virtnvme.ipc.virtio;

/** Text of one shared layout: a line per field with offset, length in bytes and name. */
final class LayoutText {
  private final StringBuilder text = new StringBuilder();
  private final int lengthBytes;

  private LayoutText(final String title, final int lengthBytes) {
    this.lengthBytes = lengthBytes;
    text.append(title).append('\n');
  }

  static LayoutText of(final String title, final int lengthBytes) {
    return new LayoutText(title, lengthBytes);
  }

  LayoutText field(final String name, final int offset, final int fieldBytes) {
    text.append(String.format("%6d %3d  %s", offset, fieldBytes, name)).append('\n');
    return this;
  }

  String text() {
    return text + String.format("%6d      end", lengthBytes) + '\n';
  }
}
