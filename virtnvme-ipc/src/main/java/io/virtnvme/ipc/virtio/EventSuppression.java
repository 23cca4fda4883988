package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Event suppression of a packed virtqueue (virtio 1.2, 2.8.10): the driver's area says when it
 * wants to be signalled, the device's area when it wants to be kicked. One aligned 32-bit word, so
 * it is never torn.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-----------------------------+-+---+---------------------------+  0
 *  |       Event offset          |W|Flg|         Reserved          |   W = wrap counter
 *  +-----------------------------+-+---+---------------------------+  4
 * </pre>
 */
public final class EventSuppression {
  public static final int DESC_OFFSET = 0;
  public static final int FLAGS_OFFSET = DESC_OFFSET + Short.BYTES;
  public static final int LENGTH = FLAGS_OFFSET + Short.BYTES;

  public static final int FLAGS_ENABLE = 0;
  public static final int FLAGS_DISABLE = 1;

  /** Only for the descriptor at event offset and wrap; valid with the event index feature. */
  public static final int FLAGS_DESC = 2;

  private static final int FLAGS_MASK = 3;
  private static final int OFFSET_MASK = 0x7FFF;
  private static final int WRAP_SHIFT = 15;

  private EventSuppression() {}

  public static int word(final int offset, final boolean wrapCounter, final int flags) {
    return (offset & OFFSET_MASK)
        | (wrapCounter ? 1 << WRAP_SHIFT : 0)
        | ((flags & FLAGS_MASK) << Short.SIZE);
  }

  /** 0..3. */
  public static int flags(final int word) {
    return word >>> Short.SIZE & FLAGS_MASK;
  }

  /** 0..32767, whatever the ring's size. */
  public static int offset(final int word) {
    return word & OFFSET_MASK;
  }

  public static boolean wrapCounter(final int word) {
    return (word >>> WRAP_SHIFT & 1) != 0;
  }

  /**
   * Whether the other side wants to hear of descriptors written since its area was looked at last.
   *
   * @param word its area, read after a full fence
   * @param eventIndex the event index feature is negotiated
   * @param queueSize entries of the ring
   * @param newIndex ring index behind the descriptors written
   * @param newWrapCounter wrap counter there
   * @param count how many ring entries were passed since then, 1..queueSize
   */
  public static boolean isDue(
      final int word,
      final boolean eventIndex,
      final int queueSize,
      final int newIndex,
      final boolean newWrapCounter,
      final int count) {
    final int flags = flags(word);
    if (flags != FLAGS_DESC || !eventIndex) {
      return flags != FLAGS_DISABLE;
    }
    // Distance from the event to the new index, both as positions on a line of two laps.
    final int behind =
        newIndex - offset(word) + (newWrapCounter == wrapCounter(word) ? 0 : queueSize);
    return behind > 0 && behind <= count;
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("pvirtq_event_suppress", LENGTH)
        .field("desc", DESC_OFFSET, Short.BYTES)
        .field("flags", FLAGS_OFFSET, Short.BYTES)
        .text();
  }
}
