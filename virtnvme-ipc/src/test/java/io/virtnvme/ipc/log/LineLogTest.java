package io.virtnvme.ipc.log;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

class LineLogTest {
  private static final long TIME_MS =
      LocalDateTime.of(2026, 3, 4, 5, 6, 7, 89_000_000)
          .atZone(ZoneId.systemDefault())
          .toInstant()
          .toEpochMilli();

  private final LineLog log = new LineLog();

  @Test
  void shouldPrintTimeLevelShortNameAndText() {
    final LineLogger logger = new LineLogger("io.virtnvme.slave.SlaveMain", Level.INFO);

    assertEquals(
        "05:06:07.089 WARN  SlaveMain: seat 3 is ours\n",
        logger.line(TIME_MS, Level.WARN, "seat 3 is ours", null));
    assertEquals(
        "05:06:07.089 ERROR SlaveMain: text\n", logger.line(TIME_MS, Level.ERROR, "text", null));
  }

  @Test
  void shouldPrintTheStackTraceBelowTheLine() {
    final LineLogger logger = new LineLogger("name", Level.INFO);

    final String text =
        logger.line(TIME_MS, Level.ERROR, "it broke", new IllegalStateException("why"));

    assertTrue(
        text.startsWith(
            "05:06:07.089 ERROR name: it broke\njava.lang.IllegalStateException: why\n"),
        text);
    assertTrue(text.contains("\tat " + LineLogTest.class.getName()), text);
    assertTrue(text.endsWith("\n"), text);
  }

  @Test
  void shouldShowOursFromInfoAndOthersFromWarn() {
    final Logger ours = log.getLogger("io.virtnvme.master.Master");
    final Logger other = log.getLogger("net.openhft.chronicle.core.Jvm");

    assertTrue(ours.isInfoEnabled());
    assertFalse(ours.isDebugEnabled());
    assertTrue(other.isWarnEnabled());
    assertFalse(other.isInfoEnabled());
    assertSame(ours, log.getLogger("io.virtnvme.master.Master"));
  }

  @Test
  void shouldTakeInfoForWhatIsNoLevel() {
    assertEquals(Level.DEBUG, LineLog.level("debug"));
    assertEquals(Level.INFO, LineLog.level("loud"));
    assertEquals(Level.INFO, LineLog.level(null));
  }

  @Test
  void shouldBeWhatSlf4jUsesAndFillInArguments() {
    final PrintStream before = System.err;
    final ByteArrayOutputStream printed = new ByteArrayOutputStream();
    System.setErr(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      final Logger logger = LoggerFactory.getLogger("io.virtnvme.Test");
      logger.info("{} of {}", 1, 2, new IllegalStateException("why"));
      logger.debug("not shown");
    } finally {
      System.setErr(before);
    }

    final String text = printed.toString(StandardCharsets.UTF_8);
    assertTrue(
        Pattern.compile(
                "(?m)^[0-9:.]{12} INFO  Test: 1 of 2\njava.lang.IllegalStateException: why\n")
            .matcher(text)
            .find(),
        text);
    assertFalse(text.contains("not shown"), text);
  }
}
