package io.virtnvme.tools.bench;

/** A run cannot be carried out; the message says why and what to do. */
final class BenchException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  BenchException(final String message) {
    super(message);
  }
}
