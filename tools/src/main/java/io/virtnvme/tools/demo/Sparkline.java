package io.virtnvme.tools.demo;

/** A row of small bars. */
final class Sparkline {
  private static final String BARS = " ▁▂▃▄▅▆▇█";

  private Sparkline() {}

  /** One bar per value, the largest as high as it gets; 0 is blank, anything else is not. */
  static String of(final int... values) {
    int largest = 1;
    for (final int value : values) {
      largest = Math.max(largest, value);
    }
    final StringBuilder text = new StringBuilder();
    for (final int value : values) {
      final int steps = BARS.length() - 1;
      text.append(BARS.charAt((int) (((long) value * steps + largest - 1) / largest)));
    }
    return text.toString();
  }
}
