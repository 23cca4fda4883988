package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.LockHolder;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files behind bdevs: made, checked, resized, deleted. May take long (a large tmpfs file, a
 * slow network file system), so it runs on the file thread and never on the conductor.
 */
final class BdevFiles {
  private static final Logger LOG = LoggerFactory.getLogger(BdevFiles.class);
  private static final int BLOCK_BYTES_MIN = 512;
  private static final int BLOCK_BYTES_MAX = 65536;
  private static final int FILE_TYPE_MASK = 0xF000;
  private static final int BLOCK_DEVICE = 0x6000;

  /**
   * What a bdev turned out to be.
   *
   * @param recreated a memory disk whose segment was gone: it is empty now
   */
  record Found(int blockBytes, long blockCount, boolean recreated) {}

  private final SegmentDirectory segments;

  BdevFiles(final SegmentDirectory segments) {
    this.segments = segments;
  }

  /**
   * Makes or checks what is behind a new bdev.
   *
   * @param restoring it existed before the master's restart: a memory disk is kept if it is there,
   *     and the lock of a file may be a living slave's
   * @throws RpcException with what to do
   */
  Found prepare(final BdevSpec spec, final boolean restoring) {
    return switch (spec.kind()) {
      case NULL -> new Found(spec.blockSize(), spec.numBlocks(), false);
      case MEM -> prepareMemDisk(spec, restoring);
      case URING -> checkFile(spec, !restoring);
      case NVME ->
          throw new RpcException(
              RpcException.ENODEV,
              "its NVMe controller " + spec.filename() + " is not attached yet");
    };
  }

  private Found prepareMemDisk(final BdevSpec spec, final boolean restoring) {
    final long lengthBytes = Math.multiplyExact(spec.numBlocks(), (long) spec.blockSize());
    final Path path = segments.memDisk(spec.name());
    if (restoring && Files.exists(path)) {
      try (MemDiskSegment segment = MemDiskSegment.open(segments, spec.name())) {
        if (segment.dataBytes() >= lengthBytes) {
          return new Found(spec.blockSize(), spec.numBlocks(), false);
        }
        LOG.error("{} has {} bytes, not {}", path, segment.dataBytes(), lengthBytes);
      } catch (final BadSegmentException e) {
        LOG.error("{}", e.getMessage());
      }
      throw new RpcException(
          RpcException.EINVAL, path + " cannot be used; move it away or delete the bdev");
    }
    try {
      MemDiskSegment.create(segments, spec.name(), lengthBytes).close();
    } catch (final ArithmeticException | IllegalStateException | SysException e) {
      final int code = isNoSpace(e) ? RpcException.ENOSPC : RpcException.EIO;
      throw new RpcException(
          code,
          "no memory disk of "
              + lengthBytes
              + " bytes: "
              + e.getMessage()
              + "; make it smaller or /dev/shm larger");
    }
    return new Found(spec.blockSize(), spec.numBlocks(), restoring);
  }

  /** Whether memory was missing. */
  static boolean isNoSpace(final Throwable error) {
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      if (cause instanceof SysException sys) {
        return sys.errno() == Errno.ENOSPC || sys.errno() == Errno.ENOMEM;
      }
    }
    return false;
  }

  private static Found checkFile(final BdevSpec spec, final boolean mustBeFree) {
    final int fd = open(spec);
    try {
      final int wanted = Fds.isBlockDevice(fd) ? Fds.logicalBlockBytes(fd) : BLOCK_BYTES_MIN;
      final int blockBytes = spec.blockSize() == 0 ? wanted : spec.blockSize();
      if (blockBytes < wanted
          || blockBytes > BLOCK_BYTES_MAX
          || Integer.bitCount(blockBytes) != 1) {
        throw new RpcException(
            RpcException.EINVAL,
            "block size " + blockBytes + " does not fit " + spec.filename() + "; use " + wanted);
      }
      final long lengthBytes = Fds.length(fd);
      if (lengthBytes == 0 || lengthBytes % blockBytes != 0) {
        throw new RpcException(
            RpcException.EINVAL,
            spec.filename()
                + " has "
                + lengthBytes
                + " bytes, which is no multiple of the block size "
                + blockBytes
                + " above 0; resize the file or choose another block size");
      }
      if (mustBeFree) {
        checkFree(spec, fd);
      }
      return new Found(blockBytes, lengthBytes / blockBytes, false);
    } catch (final SysException e) {
      throw new RpcException(-e.errno(), spec.filename() + ": " + e.getMessage());
    } finally {
      Fds.close(fd);
    }
  }

  private static void checkFree(final BdevSpec spec, final int fd) {
    if (!Fds.tryLock(fd)) {
      throw new RpcException(
          RpcException.EBUSY,
          spec.filename()
              + " is in use: "
              + LockHolder.describe(fd)
              + " holds its lock; stop that process or use another file");
    }
    Fds.unlock(fd);
  }

  private static int open(final BdevSpec spec) {
    final Path path = Path.of(spec.filename());
    // Looked at before it is opened: opening some devices has effects of its own.
    if (Files.exists(path) && !isFileOrBlockDevice(path)) {
      throw new RpcException(
          RpcException.EINVAL, path + " is neither a file nor a block device; give another path");
    }
    try {
      return Fds.open(spec.filename(), spec.readOnly() ? Fds.O_RDONLY : Fds.O_RDWR, 0);
    } catch (final SysException e) {
      final String advice =
          switch (e.errno()) {
            case Errno.ENOENT ->
                "there is no " + path + "; create it, for instance with truncate -s 10G " + path;
            case Errno.EACCES, Errno.EPERM ->
                "no permission to write "
                    + path
                    + "; change its mode or owner, or make the bdev read-only";
            case Errno.EROFS ->
                path + " is on a read-only file system; make the bdev read-only or move the file";
            default -> path + ": " + e.getMessage();
          };
      throw new RpcException(-e.errno(), advice);
    }
  }

  private static boolean isFileOrBlockDevice(final Path path) {
    try {
      final int type = (int) Files.getAttribute(path, "unix:mode") & FILE_TYPE_MASK;
      return type == BLOCK_DEVICE || Files.isRegularFile(path);
    } catch (final IOException e) {
      // Opening it tells what is wrong.
      return true;
    }
  }

  /** The new length in blocks of a bdev that is to be resized, after its segment was grown. */
  long resize(final BdevEntry entry, final long numBlocks) {
    final int blockBytes = entry.description().blockBytes();
    if (entry.spec().kind() == BdevKind.URING) {
      return checkFile(
              new BdevSpec(
                  entry.name(),
                  entry.spec().method(),
                  entry.spec().uuid(),
                  blockBytes,
                  0,
                  entry.spec().filename(),
                  entry.spec().readOnly()),
              false)
          .blockCount();
    }
    if (entry.spec().kind() == BdevKind.MEM) {
      try {
        MemDiskSegment.grow(
            segments, entry.name(), Math.multiplyExact(numBlocks, (long) blockBytes));
      } catch (final SysException | ArithmeticException e) {
        throw new RpcException(
            isNoSpace(e) ? RpcException.ENOSPC : RpcException.EIO,
            "the memory disk cannot grow to " + numBlocks + " blocks: " + e.getMessage());
      }
    }
    return numBlocks;
  }

  /**
   * Makes the segment in which changes are marked.
   *
   * @throws RpcException with what to do
   */
  void makeDirty(final String name, final long diskBytes, final int grainShift, final boolean all) {
    try {
      deleteIfThere(segments.dirty(name));
      DirtySegment.create(segments, name, diskBytes, grainShift, all);
    } catch (final IllegalStateException | SysException e) {
      throw new RpcException(
          isNoSpace(e) ? RpcException.ENOSPC : RpcException.EIO,
          "changes of bdev "
              + name
              + " cannot be marked: "
              + e.getMessage()
              + "; choose a larger grain_kib or make /dev/shm larger");
    }
  }

  /**
   * Finds the marks that a master before this one had made, or makes them as they should be.
   *
   * @return whether changes can be marked
   */
  boolean restoreDirty(final BdevSpec spec, final Found found) {
    if (spec.dirtyGrainShift() == 0) {
      deleteIfThere(segments.dirty(spec.name()));
      return false;
    }
    try (DirtySegment kept = DirtySegment.open(segments, spec.name())) {
      if (kept.grainBytes() == 1L << spec.dirtyGrainShift()
          && kept.covers(found.blockCount() * found.blockBytes())) {
        return true;
      }
    } catch (final BadSegmentException e) {
      LOG.warn("marks of changes are lost, so all of {} counts as changed: {}", spec.name(), e);
    }
    try {
      final long diskBytes = found.blockCount() * found.blockBytes();
      makeDirty(spec.name(), diskBytes, spec.dirtyGrainShift(), true);
      return true;
    } catch (final RpcException e) {
      LOG.error("{}", e.getMessage());
      return false;
    }
  }

  /** Removes the marks of changes. */
  void deleteDirty(final String name) {
    deleteIfThere(segments.dirty(name));
  }

  private static void deleteIfThere(final Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (final IOException e) {
      LOG.warn("cannot remove {}: {}", path, e.getMessage());
    }
  }

  /** Removes what only existed for the bdev. */
  void delete(final BdevEntry entry) {
    deleteDirty(entry.name());
    if (entry.spec().kind() == BdevKind.MEM) {
      deleteIfThere(segments.memDisk(entry.name()));
    }
  }
}
