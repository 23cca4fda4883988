package io.virtnvme.slave;

import java.io.IOException;
import java.util.logging.LogManager;

/**
 * Keeps java.util.logging from being set up. JNA asks it for loggers when a slave starts; its usual
 * manager would read a configuration and then look through every jar for another back-end, while a
 * guest may be waiting. What JNA logs goes nowhere; our own log has nothing to do with it.
 */
public final class NoJavaLogging extends LogManager {
  /** Names the manager; it must be set before any class of java.util.logging is initialised. */
  static final String MANAGER_PROPERTY = "java.util.logging.manager";

  /** For java.util.logging. */
  public NoJavaLogging() {}

  /** As if there were no file: the manager goes on without its second step, the search. */
  @Override
  public void readConfiguration() throws IOException {
    throw new IOException("a slave has no configuration of java.util.logging");
  }
}
