package io.virtnvme.ipc.segment;

import java.io.IOException;
import java.nio.file.Files;
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
      final UUID id = UUID.fromString(Files.readString(SOURCE).trim());
      return new BootId(id.getMostSignificantBits(), id.getLeastSignificantBits());
    } catch (final IOException e) {
      throw new IllegalStateException("cannot read " + SOURCE + ": " + e.getMessage(), e);
    }
  }

  @Override
  public String toString() {
    return new UUID(high, low).toString();
  }
}
