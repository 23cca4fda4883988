package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.LogPageId;

/**
 * The asynchronous events that this controller has (NVM Express base specification 2.0, figures 145
 * to 150). The bits are in the image.
 */
enum EventType {
  INVALID_DOORBELL_REGISTER(1, 0, 0, LogPageId.ERROR_INFORMATION),
  INVALID_DOORBELL_VALUE(1 << 1, 0, 1, LogPageId.ERROR_INFORMATION),
  TEMPERATURE(1 << 2, 1, 1, LogPageId.SMART_HEALTH),
  NAMESPACES_CHANGED(1 << 3, 2, 0, LogPageId.CHANGED_NAMESPACES);

  static final int BITS_KNOWN = (1 << 4) - 1;

  private static final int INFORMATION_SHIFT = 8;
  private static final int LOG_PAGE_SHIFT = 16;

  private final int bit;
  private final int type;
  private final int information;
  private final int logPage;

  EventType(final int bit, final int type, final int information, final int logPage) {
    this.bit = bit;
    this.type = type;
    this.information = information;
    this.logPage = logPage;
  }

  int bit() {
    return bit;
  }

  /** The page that tells more; reading it makes an end of the event. */
  int logPage() {
    return logPage;
  }

  /** Dword 0 of the completion. */
  int result() {
    return type | (information << INFORMATION_SHIFT) | (logPage << LOG_PAGE_SHIFT);
  }

  /** The bits of all events that have the same type as this one. */
  int typeBits() {
    int bits = 0;
    for (final EventType other : values()) {
      bits |= other.type == type ? other.bit() : 0;
    }
    return bits;
  }

  /** The bits of all events that a log page tells about. */
  static int bitsOf(final int logPage) {
    int bits = 0;
    for (final EventType event : values()) {
      bits |= event.logPage == logPage ? event.bit() : 0;
    }
    return bits;
  }
}
