package io.virtnvme.ipc.log;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Instant;
import java.time.LocalTime;
import java.time.ZoneId;
import org.slf4j.Marker;
import org.slf4j.event.Level;
import org.slf4j.helpers.LegacyAbstractLogger;
import org.slf4j.helpers.MessageFormatter;

/** {@code 14:02:42.219 INFO Slave: text}, and a stack trace behind it if there is one. */
final class LineLogger extends LegacyAbstractLogger {
  private static final long serialVersionUID = 1L;
  private static final int LEVEL_WIDTH = 5;

  private final Level threshold;

  /** Logs events of the threshold's level and of graver ones. */
  LineLogger(final String name, final Level threshold) {
    this.name = name;
    this.threshold = threshold;
  }

  @Override
  public boolean isTraceEnabled() {
    return shows(Level.TRACE);
  }

  @Override
  public boolean isDebugEnabled() {
    return shows(Level.DEBUG);
  }

  @Override
  public boolean isInfoEnabled() {
    return shows(Level.INFO);
  }

  @Override
  public boolean isWarnEnabled() {
    return shows(Level.WARN);
  }

  @Override
  public boolean isErrorEnabled() {
    return shows(Level.ERROR);
  }

  private boolean shows(final Level level) {
    return level.toInt() >= threshold.toInt();
  }

  @Override
  protected String getFullyQualifiedCallerName() {
    return null;
  }

  @Override
  protected void handleNormalizedLoggingCall(
      final Level level,
      final Marker marker,
      final String pattern,
      final Object[] arguments,
      final Throwable throwable) {
    final String text = MessageFormatter.basicArrayFormat(pattern, arguments);
    // In one piece: lines of several threads must not mix.
    System.err.print(line(System.currentTimeMillis(), level, text, throwable));
  }

  /** One event as it is printed, with its line end. */
  String line(final long timeMs, final Level level, final String text, final Throwable throwable) {
    final StringBuilder line = new StringBuilder(128);
    final LocalTime time =
        LocalTime.ofInstant(Instant.ofEpochMilli(timeMs), ZoneId.systemDefault());
    appendNumber(line, time.getHour(), 2).append(':');
    appendNumber(line, time.getMinute(), 2).append(':');
    appendNumber(line, time.getSecond(), 2).append('.');
    appendNumber(line, time.getNano() / 1_000_000, 3).append(' ');
    final String levelName = level.name();
    line.append(levelName).append(" ".repeat(LEVEL_WIDTH - levelName.length() + 1));
    line.append(name, name.lastIndexOf('.') + 1, name.length()).append(": ");
    line.append(text).append('\n');
    if (throwable != null) {
      final StringWriter trace = new StringWriter();
      throwable.printStackTrace(new PrintWriter(trace));
      line.append(trace);
    }
    return line.toString();
  }

  private static StringBuilder appendNumber(
      final StringBuilder line, final int number, final int digits) {
    final String text = Integer.toString(number);
    return line.append("0".repeat(digits - text.length())).append(text);
  }
}
