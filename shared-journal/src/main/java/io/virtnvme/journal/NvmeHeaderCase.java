package io.virtnvme.journal;

/**
 * First decision on the journal of an NVMe queue, submission or completion: is it new, of the queue
 * that is to run, or to be refused? Exactly one row matches each combination of inputs.
 */
enum NvmeHeaderCase {
  /** Fresh memory, or a death inside initialise: the version is stored last. */
  NEW(Version.ZERO, null, null, Decision.INITIALISE),
  /**
   * The queue of this id was deleted and created again, and the slave died between the commit of
   * the controller image and initialise; or a controller reset lies between.
   */
  EARLIER_QUEUE(Version.ONE, Creation.OTHER, null, Decision.INITIALISE),
  /** The queue that is to run. */
  KNOWN(Version.ONE, Creation.SAME, Size.MATCH, Decision.RECOVER),
  /** No crash does this: a queue keeps its size for its whole life. */
  WRONG_SIZE(Version.ONE, Creation.SAME, Size.MISMATCH, Decision.REFUSE),
  /** No crash does this: garbage, or a format that does not exist yet. */
  WRONG_VERSION(Version.OTHER, null, null, Decision.REFUSE);

  /** What the version field holds. */
  enum Version {
    ZERO,
    ONE,
    OTHER;

    static Version of(final int version) {
      return version == 0 ? ZERO : version == 1 ? ONE : OTHER;
    }
  }

  /** Whether the journal was initialised for the very queue that is to run. */
  enum Creation {
    SAME,
    OTHER
  }

  /** Whether queue_size is the size of the queue. */
  enum Size {
    MATCH,
    MISMATCH
  }

  /** What to do with the journal. */
  enum Decision {
    INITIALISE,
    RECOVER,
    REFUSE
  }

  private static final NvmeHeaderCase[] ROWS = values();

  private final Version version;
  private final Creation creation;
  private final Size size;
  private final Decision decision;

  NvmeHeaderCase(
      final Version version, final Creation creation, final Size size, final Decision decision) {
    this.version = version;
    this.creation = creation;
    this.size = size;
    this.decision = decision;
  }

  Decision decision() {
    return decision;
  }

  boolean matches(
      final Version actualVersion, final Creation actualCreation, final Size actualSize) {
    return version == actualVersion
        && (creation == null || creation == actualCreation)
        && (size == null || size == actualSize);
  }

  static NvmeHeaderCase of(
      final int version, final boolean isSameCreation, final boolean isSameSize) {
    final Version actualVersion = Version.of(version);
    final Creation actualCreation = isSameCreation ? Creation.SAME : Creation.OTHER;
    final Size actualSize = isSameSize ? Size.MATCH : Size.MISMATCH;
    for (final NvmeHeaderCase row : ROWS) {
      if (row.matches(actualVersion, actualCreation, actualSize)) {
        return row;
      }
    }
    throw new IllegalStateException(
        "no row for " + actualVersion + ", " + actualCreation + ", " + actualSize);
  }

  /** Null if the journal may be used, else a sentence with the values. */
  String explain(final int version, final int journalSize, final int queueSize) {
    return switch (this) {
      case NEW, EARLIER_QUEUE, KNOWN -> null;
      case WRONG_SIZE ->
          "NVMe queue journal is for another queue size: journal="
              + journalSize
              + " queue="
              + queueSize
              + "; the memory was damaged, reset the controller";
      case WRONG_VERSION ->
          "NVMe queue journal has an unknown version: version="
              + version
              + ", known are 0 (new) and 1; it was written by another build, or damaged";
    };
  }
}
