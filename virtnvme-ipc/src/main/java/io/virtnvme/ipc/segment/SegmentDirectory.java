package io.virtnvme.ipc.segment;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/**
 * The folder on tmpfs with one instance's segments, and the ids that every header in it carries.
 *
 * @param path {@code /dev/shm/virtnvme/<instance id in hex>}
 * @param instanceId random, made once per run directory
 */
public record SegmentDirectory(Path path, long instanceId, BootId bootId) {
  private static final Path ROOT = Path.of("/dev/shm/virtnvme");

  public static SegmentDirectory of(final long instanceId) {
    return new SegmentDirectory(
        ROOT.resolve(Long.toHexString(instanceId)), instanceId, BootId.current());
  }

  /** Makes the folder, readable by its owner only, if it is not there. */
  public void create() throws IOException {
    Files.createDirectories(
        path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
  }

  public Path seat(final int seatId) {
    return path.resolve("seat-" + seatId);
  }

  public Path session(final long sessionId) {
    return path.resolve("session-" + sessionId);
  }

  /** A mem disk's segment; the name was checked when the disk was created (no slash, not empty). */
  public Path memDisk(final String bdevName) {
    return path.resolve("bdev-" + bdevName);
  }

  /** The segment that says which parts of a bdev changed; the name as for {@link #memDisk}. */
  public Path dirty(final String bdevName) {
    return path.resolve("dirty-" + bdevName);
  }

  /** A queue pair of an NVMe disk; the name was checked like a mem disk's. */
  public Path nvmeQueue(final String bdevName, final int index) {
    return path.resolve("nvme-" + index + "-" + bdevName);
  }
}
