package io.virtnvme.slave.session;

/**
 * Where a session keeps which descriptor, so that a record can name them. The numbers are in
 * records and between processes: they never change.
 */
final class FdSlots {
  static final int REGION_COUNT_MAX = 32;
  static final int QUEUE_COUNT_MAX = 64;

  static final int KICK = REGION_COUNT_MAX;
  static final int CALL = KICK + QUEUE_COUNT_MAX;
  static final int ERROR = CALL + QUEUE_COUNT_MAX;
  static final int INFLIGHT = ERROR + QUEUE_COUNT_MAX;
  static final int LOG = INFLIGHT + 1;
  static final int BACKEND_REQUEST = LOG + 1;
  static final int LOG_NOTIFY = BACKEND_REQUEST + 1;
  static final int COUNT = LOG_NOTIFY + 1;

  private FdSlots() {}

  static boolean isMemory(final int slot) {
    return slot < KICK || slot == INFLIGHT || slot == LOG;
  }

  /** What a slot is for, as texts name it. */
  static String name(final int slot) {
    if (slot < KICK) {
      return "memory region " + slot;
    }
    if (slot < CALL) {
      return "kick of ring " + (slot - KICK);
    }
    if (slot < ERROR) {
      return "call of ring " + (slot - CALL);
    }
    if (slot < INFLIGHT) {
      return "error event of ring " + (slot - ERROR);
    }
    return switch (slot) {
      case INFLIGHT -> "inflight region";
      case LOG -> "dirty log";
      case BACKEND_REQUEST -> "back-end request socket";
      default -> "log event";
    };
  }
}
