package io.virtnvme.slave.session;

/**
 * One ring as the front-end set it up. Immutable.
 *
 * @param size entries, 0 = not set
 * @param enabled SET_VRING_ENABLE, or no protocol features
 * @param kick how the guest tells of new requests; {@link Kick#NONE} until SET_VRING_KICK, and
 *     after GET_VRING_BASE
 * @param hasCall a call descriptor is in its slot
 * @param hasError an error descriptor is in its slot
 * @param base where a new journal starts; what the ring told when it was stopped last
 * @param addresses where it is in memory, or null
 */
record RingState(
    int size,
    boolean enabled,
    Kick kick,
    boolean hasCall,
    boolean hasError,
    int base,
    Addresses addresses) {
  static final RingState INITIAL = new RingState(0, false, Kick.NONE, false, false, 0, null);

  /** How the guest tells of new requests; the code is in records. */
  enum Kick {
    /** The ring is stopped. */
    NONE(0),
    /** Through the descriptor in the ring's slot. */
    DESCRIPTOR(1),
    /** Not at all: the ring is polled. */
    POLLED(2);

    private final int code;

    Kick(final int code) {
      this.code = code;
    }

    int code() {
      return code;
    }

    static Kick of(final int code) {
      for (final Kick kick : values()) {
        if (kick.code == code) {
          return kick;
        }
      }
      throw new SessionException("session record: unknown kind of kick: code=" + code);
    }
  }

  /**
   * User addresses of a ring's parts, as SET_VRING_ADDR has them.
   *
   * @param logged changes of the used ring are marked in the dirty log
   * @param log guest address under which they are marked
   */
  record Addresses(long descriptor, long used, long available, boolean logged, long log) {
    boolean isSamePlace(final Addresses other) {
      return descriptor == other.descriptor && used == other.used && available == other.available;
    }
  }

  /** The front-end gave all that the ring needs: it runs as soon as memory covers it. */
  boolean isComplete() {
    return enabled && kick != Kick.NONE && size > 0 && addresses != null;
  }

  RingState withSize(final int newSize) {
    return new RingState(newSize, enabled, kick, hasCall, hasError, base, addresses);
  }

  RingState withEnabled(final boolean on) {
    return new RingState(size, on, kick, hasCall, hasError, base, addresses);
  }

  RingState withKick(final Kick newKick) {
    return new RingState(size, enabled, newKick, hasCall, hasError, base, addresses);
  }

  RingState withCall(final boolean present) {
    return new RingState(size, enabled, kick, present, hasError, base, addresses);
  }

  RingState withError(final boolean present) {
    return new RingState(size, enabled, kick, hasCall, present, base, addresses);
  }

  RingState withBase(final int newBase) {
    return new RingState(size, enabled, kick, hasCall, hasError, newBase, addresses);
  }

  RingState withAddresses(final Addresses newAddresses) {
    return new RingState(size, enabled, kick, hasCall, hasError, base, newAddresses);
  }

  /** After RESET_DEVICE: as if never set up, but the guest can still be interrupted. */
  RingState reset() {
    return INITIAL.withCall(hasCall).withError(hasError);
  }
}
