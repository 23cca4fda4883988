package io.virtnvme.ipc.log;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.slf4j.ILoggerFactory;
import org.slf4j.IMarkerFactory;
import org.slf4j.Logger;
import org.slf4j.event.Level;
import org.slf4j.helpers.BasicMarkerFactory;
import org.slf4j.helpers.NOPMDCAdapter;
import org.slf4j.spi.MDCAdapter;
import org.slf4j.spi.SLF4JServiceProvider;

/**
 * SLF4J's back-end in every process of ours: our own loggers from INFO, libraries' from WARN.
 * {@code -Dvirtnvme.log=DEBUG} shows more of ours. It reads no file and opens no jar, because a
 * slave that is started in place of a dead one has a guest waiting for it. Any thread.
 */
public final class LineLog implements SLF4JServiceProvider, ILoggerFactory {
  private static final String PROVIDER_PROPERTY = "slf4j.provider";
  private static final String VERBOSITY_PROPERTY = "slf4j.internal.verbosity";
  private static final String LEVEL_PROPERTY = "virtnvme.log";
  private static final String OURS = "io.virtnvme.";

  private final ConcurrentMap<String, Logger> loggers = new ConcurrentHashMap<>();
  private final IMarkerFactory markers = new BasicMarkerFactory();
  private final MDCAdapter contexts = new NOPMDCAdapter();
  private final Level ownLevel = level(System.getProperty(LEVEL_PROPERTY));

  /** For SLF4J. */
  public LineLog() {}

  /** Makes SLF4J take this one without looking for others; before the first logger is made. */
  public static void use() {
    if (System.getProperty(PROVIDER_PROPERTY) == null) {
      System.setProperty(PROVIDER_PROPERTY, LineLog.class.getName());
      // Else it says each time that it does so.
      System.setProperty(VERBOSITY_PROPERTY, Level.WARN.name());
    }
  }

  /** INFO for what is no level. */
  static Level level(final String name) {
    for (final Level level : Level.values()) {
      if (level.name().equalsIgnoreCase(name)) {
        return level;
      }
    }
    return Level.INFO;
  }

  @Override
  public void initialize() {
    // Nothing to open.
  }

  @Override
  public Logger getLogger(final String name) {
    final Logger known = loggers.get(name);
    return known == null ? loggers.computeIfAbsent(name, this::newLogger) : known;
  }

  private Logger newLogger(final String name) {
    return new LineLogger(name, name.startsWith(OURS) ? ownLevel : Level.WARN);
  }

  @Override
  public ILoggerFactory getLoggerFactory() {
    return this;
  }

  @Override
  public IMarkerFactory getMarkerFactory() {
    return markers;
  }

  @Override
  public MDCAdapter getMDCAdapter() {
    return contexts;
  }

  @Override
  public String getRequestedApiVersion() {
    return "2.0.99";
  }
}
