package io.virtnvme.ipc.relay;

import io.virtnvme.ipc.segment.SegmentKind;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The formats that a build reads and writes and that another process, perhaps of another build, may
 * have to read: what two builds compare before one takes over from the other. Immutable.
 *
 * <p>Two builds fit together when each format of the one that runs is known to the other with the
 * same major version. A higher minor version only adds what the older build may ignore, so an
 * upgrade and a downgrade between two minor versions are the same thing.
 *
 * @param all one entry per format; no name twice
 */
public record FormatVersions(List<FormatVersion> all) {
  /** Name of the master-slave protocol. */
  public static final String RELAY = "relay";

  /** Name of {@link BdevHold}: who does not know it would serve a disk that is another host's. */
  public static final String HOLD = "bdev-hold";

  private static final int COUNT_MAX = 64;

  /**
   * One format.
   *
   * @param name stable, in lower case
   * @param major an unknown one is refused
   * @param minor grows with what older builds may ignore
   */
  public record FormatVersion(String name, int major, int minor) {
    /** {@code name 1.0}. */
    @Override
    public String toString() {
      return name + " " + major + "." + minor;
    }
  }

  public FormatVersions {
    all = List.copyOf(all);
  }

  /** What every process of this build shares: the protocol and the segments. */
  public static FormatVersions shared() {
    final List<FormatVersion> found = new ArrayList<>();
    found.add(new FormatVersion(RELAY, RelayChannel.PROTOCOL_MAJOR, RelayChannel.PROTOCOL_MINOR));
    found.add(new FormatVersion(HOLD, 1, 0));
    for (final SegmentKind kind : SegmentKind.values()) {
      found.add(
          new FormatVersion(
              "segment-" + kind.name().toLowerCase(Locale.ROOT).replace('_', '-'),
              kind.majorVersion(),
              kind.minorVersion()));
    }
    return new FormatVersions(found);
  }

  /** These and more. */
  public FormatVersions with(final List<FormatVersion> more) {
    final List<FormatVersion> found = new ArrayList<>(all);
    found.addAll(more);
    return new FormatVersions(found);
  }

  /**
   * Why a process with the formats of {@code other} must not take over from one with these, or null
   * when it may. The sentence has both versions.
   */
  public String problem(final FormatVersions other) {
    for (final FormatVersion mine : all) {
      final FormatVersion theirs = other.find(mine.name());
      if (theirs == null) {
        return "format " + mine + " is in use here, and the other build does not know it";
      }
      if (theirs.major() != mine.major()) {
        return "format "
            + mine
            + " is in use here, and the other build has "
            + theirs
            + ": it needs the same major version";
      }
    }
    return null;
  }

  private FormatVersion find(final String name) {
    for (final FormatVersion format : all) {
      if (format.name().equals(name)) {
        return format;
      }
    }
    return null;
  }

  /** Appends the list to a message. */
  public void write(final RelayWriter writer) {
    writer.putInt(all.size());
    for (final FormatVersion format : all) {
      writer.putString(format.name()).putInt(format.major()).putInt(format.minor());
    }
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @throws RelayFormatException when it is malformed
   */
  public static FormatVersions read(final RelayReader reader) {
    final int count = reader.getInt();
    if (count < 0 || count > COUNT_MAX) {
      throw new RelayFormatException("count of formats out of range: " + count);
    }
    final List<FormatVersion> found = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      found.add(new FormatVersion(reader.getString(), reader.getInt(), reader.getInt()));
    }
    return new FormatVersions(found);
  }
}
