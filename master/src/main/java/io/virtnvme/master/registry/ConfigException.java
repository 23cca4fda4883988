package io.virtnvme.master.registry;

/** A configuration cannot be used; the message names the file or entry and what is wrong. */
public final class ConfigException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** With a sentence for the operator. */
  public ConfigException(final String message) {
    super(message);
  }
}
