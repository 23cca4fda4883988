package io.virtnvme.journal;

/**
 * First decision on a region, split or packed: is it new, ours to recover, or to be refused?
 * Exactly one row matches each combination of version and size.
 */
enum HeaderCase {
  /** Fresh memory, or a death inside initialise: the word with the version is stored last. */
  NEW(Version.ZERO, null, Decision.INITIALISE),
  /** Some back-end, not necessarily ours, has worked on it. */
  KNOWN(Version.ONE, Size.MATCH, Decision.RECOVER),
  /** No crash does this: the front-end brought a region of another queue size. */
  WRONG_SIZE(Version.ONE, Size.MISMATCH, Decision.REFUSE),
  /** No crash does this: garbage, or a format that does not exist yet. */
  WRONG_VERSION(Version.OTHER, null, Decision.REFUSE);

  /** What the version field holds. */
  enum Version {
    ZERO,
    ONE,
    OTHER;

    static Version of(final int version) {
      return version == 0 ? ZERO : version == 1 ? ONE : OTHER;
    }
  }

  /** Whether desc_num is the queue size. */
  enum Size {
    MATCH,
    MISMATCH
  }

  /** What to do with the region. */
  enum Decision {
    INITIALISE,
    RECOVER,
    REFUSE
  }

  private static final HeaderCase[] ROWS = values();

  private final Version version;
  private final Size size;
  private final Decision decision;

  HeaderCase(final Version version, final Size size, final Decision decision) {
    this.version = version;
    this.size = size;
    this.decision = decision;
  }

  Decision decision() {
    return decision;
  }

  boolean matches(final Version actualVersion, final Size actualSize) {
    return version == actualVersion && (size == null || size == actualSize);
  }

  static HeaderCase of(final int version, final int descNum, final int queueSize) {
    final Version actualVersion = Version.of(version);
    final Size actualSize = descNum == queueSize ? Size.MATCH : Size.MISMATCH;
    for (final HeaderCase row : ROWS) {
      if (row.matches(actualVersion, actualSize)) {
        return row;
      }
    }
    throw new IllegalStateException("no row for " + actualVersion + ", " + actualSize);
  }

  /** Null if the region may be used, else a sentence with the values. */
  static String explain(final int version, final int descNum, final int queueSize) {
    return switch (of(version, descNum, queueSize)) {
      case NEW, KNOWN -> null;
      case WRONG_SIZE ->
          "inflight region is for another queue size: desc_num="
              + descNum
              + " queueSize="
              + queueSize
              + "; the front-end must return the region it was given";
      case WRONG_VERSION ->
          "inflight region has an unknown version: version="
              + version
              + ", known are 0 (new) and 1; the front-end must return the region it was given";
    };
  }
}
