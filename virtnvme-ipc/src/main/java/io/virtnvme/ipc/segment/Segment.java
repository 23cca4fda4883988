package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.SysException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A mapped segment file. Created by the master under a temporary name and renamed, so a name always
 * stands for a whole file.
 */
public final class Segment implements AutoCloseable {
  private static final int OWNER_ONLY = 0600;

  private final Path path;
  private final Mapping mapping;

  private Segment(final Path path, final Mapping mapping) {
    this.path = path;
    this.mapping = mapping;
  }

  /** Fills the body of a new segment before anybody else can open it. */
  @FunctionalInterface
  public interface Initialiser {
    void initialise(long address);
  }

  /**
   * Creates a zeroed segment with every page reserved. Throws {@link SysException} with ENOSPC when
   * tmpfs is full, and leaves nothing behind.
   */
  public static Segment create(
      final SegmentDirectory directory,
      final Path path,
      final SegmentKind kind,
      final long lengthBytes,
      final long generation,
      final Initialiser initialiser) {
    final Path temporary = path.resolveSibling("." + path.getFileName() + ".new");
    final int fd = openNew(temporary);
    Mapping mapping = null;
    try {
      if (kind == SegmentKind.MEM_DISK) {
        HugePages.reserve(fd, temporary, 0, lengthBytes);
      }
      Fds.allocate(fd, lengthBytes);
      mapping = Mapping.map(fd, 0, lengthBytes);
      initialiser.initialise(mapping.address());
      SegmentHeader.write(
          mapping.address(),
          kind,
          lengthBytes,
          directory.bootId(),
          directory.instanceId(),
          generation);
      Files.move(temporary, path, java.nio.file.StandardCopyOption.ATOMIC_MOVE);
      return new Segment(path, mapping);
    } catch (final IOException | RuntimeException e) {
      if (mapping != null) {
        mapping.close();
      }
      deleteQuietly(temporary);
      throw new IllegalStateException(
          "cannot create segment " + path + " of " + lengthBytes + " bytes: " + e.getMessage(), e);
    } finally {
      Fds.close(fd);
    }
  }

  private static int openNew(final Path temporary) {
    // A file of this name is what a master left that died while it created the segment: nobody else
    // knows it.
    deleteQuietly(temporary);
    return Fds.open(temporary.toString(), Fds.O_RDWR | Fds.O_CREAT | Fds.O_EXCL, OWNER_ONLY);
  }

  /**
   * Maps an existing segment after checking its header; throws {@link BadSegmentException} that
   * says what is wrong with it.
   */
  public static Segment open(
      final SegmentDirectory directory, final Path path, final SegmentKind kind) {
    final int fd;
    try {
      fd = Fds.open(path.toString(), Fds.O_RDWR, 0);
    } catch (final SysException e) {
      throw new BadSegmentException(path, e.getMessage());
    }
    try {
      final long length = Fds.length(fd);
      if (length < SegmentHeader.HEADER_LENGTH) {
        throw new BadSegmentException(path, "too short: " + length + " bytes");
      }
      final Mapping mapping = Mapping.map(fd, 0, length);
      final String problem =
          SegmentHeader.problem(
              mapping.address(), kind, length, directory.bootId(), directory.instanceId());
      if (problem != null) {
        mapping.close();
        throw new BadSegmentException(path, problem);
      }
      return new Segment(path, mapping);
    } finally {
      Fds.close(fd);
    }
  }

  private static void deleteQuietly(final Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (final IOException e) {
      // The create that follows reports the file that is in the way.
    }
  }

  public Path path() {
    return path;
  }

  public Mapping mapping() {
    return mapping;
  }

  public long address() {
    return mapping.address();
  }

  public long lengthBytes() {
    return mapping.lengthBytes();
  }

  @Override
  public void close() {
    mapping.close();
  }
}
