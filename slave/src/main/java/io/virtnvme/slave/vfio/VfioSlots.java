package io.virtnvme.slave.vfio;

/**
 * Where a session keeps which descriptor, so that a record can name them. The numbers are in
 * records and between processes: they never change.
 */
final class VfioSlots {
  static final int REGION_COUNT_MAX = 96;
  static final int VECTOR_COUNT_MAX = 129;

  static final int VECTOR = REGION_COUNT_MAX;
  static final int ERR = VECTOR + VECTOR_COUNT_MAX;
  static final int REQ = ERR + 1;
  static final int DOORBELLS = REQ + 1;
  static final int AREA = DOORBELLS + 1;
  static final int COUNT = AREA + 1;

  private VfioSlots() {}

  /** What a slot is for, as texts name it. */
  static String name(final int slot) {
    if (slot < VECTOR) {
      return "DMA region " + slot;
    }
    if (slot < ERR) {
      return "interrupt vector " + (slot - VECTOR);
    }
    return switch (slot) {
      case ERR -> "error interrupt";
      case REQ -> "request interrupt";
      case DOORBELLS -> "doorbell page";
      default -> "controller area";
    };
  }
}
