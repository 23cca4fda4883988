package io.virtnvme.tools;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.LayoutBase;
import java.time.Instant;
import java.time.LocalTime;
import java.time.ZoneId;

/** {@code 14:02:42.219 INFO Slave: text}, and a stack trace behind it if there is one. */
final class LineLayout extends LayoutBase<ILoggingEvent> {
  private static final int LEVEL_WIDTH = 5;

  @Override
  public String doLayout(final ILoggingEvent event) {
    final StringBuilder line = new StringBuilder(128);
    final LocalTime time =
        LocalTime.ofInstant(Instant.ofEpochMilli(event.getTimeStamp()), ZoneId.systemDefault());
    appendNumber(line, time.getHour(), 2).append(':');
    appendNumber(line, time.getMinute(), 2).append(':');
    appendNumber(line, time.getSecond(), 2).append('.');
    appendNumber(line, time.getNano() / 1_000_000, 3).append(' ');
    final String level = event.getLevel().toString();
    line.append(level).append(" ".repeat(Math.max(0, LEVEL_WIDTH - level.length()) + 1));
    final String logger = event.getLoggerName();
    line.append(logger, logger.lastIndexOf('.') + 1, logger.length()).append(": ");
    line.append(event.getFormattedMessage()).append('\n');
    final IThrowableProxy throwable = event.getThrowableProxy();
    if (throwable != null) {
      line.append(ThrowableProxyUtil.asString(throwable)).append('\n');
    }
    return line.toString();
  }

  private static StringBuilder appendNumber(
      final StringBuilder line, final int number, final int digits) {
    final String text = Integer.toString(number);
    return line.append("0".repeat(digits - text.length())).append(text);
  }
}
