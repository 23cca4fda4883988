package io.virtnvme.tools;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Lists of processor cores as people write them. */
final class CoreList {
  private static final int CORE_MAX = 1023;
  private static final Pattern RANGE = Pattern.compile("(\\d{1,4})(?:-(\\d{1,4}))?");

  private CoreList() {}

  /**
   * Numbers and ranges separated by commas, such as {@code 1,3-5}.
   *
   * @throws IllegalArgumentException for anything else, a core beyond 1023, or one named twice
   */
  static List<Integer> parse(final String text) {
    final List<Integer> cores = new ArrayList<>();
    for (final String part : text.split(",", -1)) {
      final Matcher range = RANGE.matcher(part.trim());
      if (!range.matches()) {
        throw new IllegalArgumentException("no core or range of cores: '" + part + "'");
      }
      final int first = Integer.parseInt(range.group(1));
      final int last = range.group(2) == null ? first : Integer.parseInt(range.group(2));
      if (first > last || last > CORE_MAX) {
        throw new IllegalArgumentException(
            "no range of cores up to " + CORE_MAX + ": '" + part + "'");
      }
      for (int core = first; core <= last; core++) {
        if (cores.contains(core)) {
          throw new IllegalArgumentException("core named twice: " + core);
        }
        cores.add(core);
      }
    }
    return cores;
  }
}
