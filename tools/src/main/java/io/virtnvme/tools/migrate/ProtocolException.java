package io.virtnvme.tools.migrate;

import java.io.IOException;

/** The other end sent what it must not, or refuses to go on; the message says what. */
final class ProtocolException extends IOException {
  private static final long serialVersionUID = 1L;

  ProtocolException(final String message) {
    super(message);
  }
}
