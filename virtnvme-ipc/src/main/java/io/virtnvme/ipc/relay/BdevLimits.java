package io.virtnvme.ipc.relay;

import java.util.List;

/**
 * How much of a disk its guests may use, per second; 0 = no limit.
 *
 * @param readWriteIos requests of any kind but flushes, 0 to {@link #VALUE_MAX}
 * @param readWriteMib MiB read or written, 0 to {@link #VALUE_MAX}
 * @param readMib MiB read, 0 to {@link #VALUE_MAX}
 * @param writeMib MiB written, 0 to {@link #VALUE_MAX}
 */
public record BdevLimits(long readWriteIos, long readWriteMib, long readMib, long writeMib) {
  /** The largest value: a request may cost a nanosecond, not less. */
  public static final long VALUE_MAX = 1_000_000_000L;

  /** No limit at all. */
  public static final BdevLimits NONE = new BdevLimits(0, 0, 0, 0);

  public BdevLimits {
    for (final long value : List.of(readWriteIos, readWriteMib, readMib, writeMib)) {
      if (value < 0 || value > VALUE_MAX) {
        throw new IllegalArgumentException(
            "limit out of range: value=" + value + " max=" + VALUE_MAX);
      }
    }
  }

  /** What holds when both do: of each the lower. */
  public BdevLimits and(final BdevLimits other) {
    return new BdevLimits(
        lower(readWriteIos, other.readWriteIos),
        lower(readWriteMib, other.readWriteMib),
        lower(readMib, other.readMib),
        lower(writeMib, other.writeMib));
  }

  private static long lower(final long one, final long other) {
    return one == 0 || (other != 0 && other < one) ? other : one;
  }

  /** Appends them to a message. */
  public void write(final RelayWriter writer) {
    writer.putLong(readWriteIos).putLong(readWriteMib).putLong(readMib).putLong(writeMib);
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @throws RelayFormatException when a value is out of range
   */
  public static BdevLimits read(final RelayReader reader) {
    try {
      return new BdevLimits(reader.getLong(), reader.getLong(), reader.getLong(), reader.getLong());
    } catch (final IllegalArgumentException e) {
      throw new RelayFormatException(e.getMessage());
    }
  }
}
