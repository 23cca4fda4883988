package io.virtnvme.ipc.relay;

/**
 * Whose new requests to a disk have to wait, and until when.
 *
 * @param who is held
 * @param untilNs {@link System#nanoTime}, which all processes of a host share, when the hold ends
 *     by itself; {@link #UNLIMITED} for never
 */
public record BdevHold(Who who, long untilNs) {
  /** The time of a hold that only another one ends. */
  public static final long UNLIMITED = Long.MAX_VALUE;

  /** Nobody waits. */
  public static final BdevHold NONE = new BdevHold(Who.NOBODY, UNLIMITED);

  /** Whose requests wait. The code is on the wire. */
  public enum Who {
    NOBODY(0),
    /** Guests; secondaries go on. */
    GUESTS(1),
    /** Everybody but secondaries that only read. */
    WRITERS(2);

    private final int code;

    Who(final int code) {
      this.code = code;
    }

    private static Who of(final int code) {
      for (final Who who : values()) {
        if (who.code == code) {
          return who;
        }
      }
      throw new RelayFormatException("who is held: code=" + code);
    }
  }

  /** Appends it to a message. */
  public void write(final RelayWriter writer) {
    writer.putInt(who.code).putLong(untilNs);
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @throws RelayFormatException when it is malformed
   */
  public static BdevHold read(final RelayReader reader) {
    return new BdevHold(Who.of(reader.getInt()), reader.getLong());
  }
}
