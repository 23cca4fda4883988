package io.virtnvme.tools.page;

import java.util.Locale;

/** A picture in the making; coordinates in its own units, from the upper left corner. */
public final class Svg {
  private final StringBuilder markup = new StringBuilder();

  /** Begins a picture; the title, for those who cannot see it, is escaped. */
  public Svg(final int width, final int height, final String title) {
    markup.append("<svg viewBox=\"0 0 ").append(width).append(' ').append(height);
    markup.append("\" role=\"img\"><title>").append(Page.escape(title)).append("</title>");
  }

  /** Appends an element as it is. */
  public Svg add(final String format, final Object... arguments) {
    markup.append(String.format(Locale.ROOT, format, arguments));
    return this;
  }

  /**
   * Text, escaped.
   *
   * @param anchor start, middle or end: what of the text is at x
   */
  public Svg text(final double x, final double y, final String anchor, final String text) {
    return add(
        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>",
        x, y, anchor, Page.escape(text));
  }

  public Svg line(
      final double x1, final double y1, final double x2, final double y2, final String style) {
    return add(
        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" style=\"%s\"/>",
        x1, y1, x2, y2, style);
  }

  /** Ends the picture. */
  public String end() {
    return markup.append("</svg>\n").toString();
  }
}
