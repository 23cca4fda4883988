package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.sys.SmallFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.UUID;

/**
 * The kernel's random id of this boot: memory written under another one did not survive, whatever
 * its files say.
 */
public record BootId(long high, long low) {
  private static final Path SOURCE = Path.of("/proc/sys/kernel/random/boot_id");

  /** The boot that this process runs under. */
  public static BootId current() {
    try {
      final UUID id = UUID.fromString(SmallFile.read(SOURCE));
      return new BootId(id.getMostSignificantBits(), id.getLeastSignificantBits());
    } catch (final IOException e) {
      throw new IllegalStateException("cannot read " + SOURCE + ": " + e.getMessage(), e);
    }
  }

  // In plain code: what the compiler makes for a record is linked at run time, and every start of a
  // slave compares boot ids.
  @Override
  public boolean equals(final Object other) {
    return other instanceof BootId that && high == that.high && low == that.low;
  }

  @Override
  public int hashCode() {
    return Long.hashCode(high ^ low);
  }

  @Override
  public String toString() {
    return new UUID(high, low).toString();
  }
}
