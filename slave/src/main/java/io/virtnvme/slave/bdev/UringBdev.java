package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.sys.DirectIo;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.LockHolder;
import io.virtnvme.ipc.sys.SysException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file or block device behind io_uring. Opened, fenced, resized and closed on the control thread;
 * reactors share its descriptor through their channels.
 *
 * <p>The descriptor is the only one of its open file description, it carries {@code flock(LOCK_EX)}
 * and all I/O, and it is never registered with a ring: so the kernel frees the lock exactly when
 * the last request of a dead owner has ended, and without the delay of a ring's teardown.
 */
final class UringBdev implements Bdev {
  private static final Logger LOG = LoggerFactory.getLogger(UringBdev.class);
  private static final DirectIo.Alignment BUFFERED = new DirectIo.Alignment(1, 1);

  private final int fd;
  private final DirectIo.Alignment alignment;
  private final boolean readOnly;
  private final RateLimits limits = new RateLimits();
  private final DirtyTracking tracking = new DirtyTracking();
  private volatile BdevDescription description;
  private volatile long lengthBytes;
  private volatile boolean fenced;
  private volatile boolean closed;

  /**
   * What the file system turned out not to have; any reactor finds out and spares the others the
   * try.
   */
  private volatile boolean punchHoleMissing;

  private volatile boolean zeroRangeMissing;

  private UringBdev(
      final int fd, final DirectIo.Alignment alignment, final BdevDescription description) {
    this.fd = fd;
    this.alignment = alignment;
    this.readOnly = description.readOnly();
    this.description = description;
    this.lengthBytes = description.lengthBytes();
  }

  static UringBdev open(final BdevDescription description) {
    return open(description, true);
  }

  /**
   * {@code direct} false is what happens on a file system without O_DIRECT: through the page cache,
   * with the same meaning of flush and durable.
   */
  static UringBdev open(final BdevDescription description, final boolean direct) {
    final String name = description.name();
    final Path path = Path.of(description.path());
    if (description.path().isEmpty() || Files.isDirectory(path)) {
      throw new BdevException(
          name,
          "neither a file nor a block device: path=\"" + description.path() + "\"",
          Errno.EINVAL);
    }
    final int accessFlags = description.readOnly() ? Fds.O_RDONLY : Fds.O_RDWR;
    int fd = -1;
    try {
      boolean isDirect = direct;
      if (direct) {
        fd = openDirect(path, accessFlags);
        isDirect = fd >= 0;
      }
      if (!isDirect) {
        fd = Fds.open(path.toString(), accessFlags, 0);
      }
      final DirectIo.Alignment alignment = isDirect ? DirectIo.alignment(fd) : BUFFERED;
      final BdevDescription actual = checked(description, fd, alignment.offsetBytes());
      if (direct && !isDirect) {
        LOG.info(
            "bdev {}: {} is served through the page cache, not with O_DIRECT; a flush is still a"
                + " real fdatasync",
            name,
            path);
      }
      return new UringBdev(fd, alignment, actual);
    } catch (final SysException e) {
      Fds.close(fd);
      throw new BdevException(name, advice(path, e), e.errno());
    } catch (final BdevException e) {
      Fds.close(fd);
      throw e;
    }
  }

  /** The descriptor, or -1 when the file system refuses O_DIRECT. */
  private static int openDirect(final Path path, final int accessFlags) {
    try {
      return Fds.open(path.toString(), accessFlags | Fds.O_DIRECT, 0);
    } catch (final SysException e) {
      if (e.errno() == Errno.EINVAL) {
        return -1;
      }
      throw e;
    }
  }

  private static String advice(final Path path, final SysException e) {
    return switch (e.errno()) {
      case Errno.ENOENT ->
          path + " does not exist: create it first, for instance with truncate -s 10G " + path;
      case Errno.EACCES, Errno.EPERM ->
          "no permission to open "
              + path
              + ": change its owner or mode, or make the disk read-only ("
              + e.getMessage()
              + ")";
      case Errno.EROFS ->
          path + " is on a read-only file system: make the disk read-only, or move the file";
      default -> e.getMessage();
    };
  }

  private static BdevDescription checked(
      final BdevDescription description, final int fd, final int offsetAlignment) {
    final String name = description.name();
    final String path = description.path();
    final int blockBytes = description.blockBytes();
    if (!Fds.isRegularFile(fd) && !Fds.isBlockDevice(fd)) {
      throw new BdevException(
          name, "neither a file nor a block device: path=\"" + path + "\"", Errno.EINVAL);
    }
    if (blockBytes < offsetAlignment) {
      throw new BdevException(
          name,
          "block size " + blockBytes + " is less than " + path + " can do: use " + offsetAlignment,
          Errno.EINVAL);
    }
    final long length = Fds.length(fd);
    if (length == 0 || length % blockBytes != 0) {
      throw new BdevException(
          name,
          "the length of "
              + path
              + " must be a multiple of the block size, and not 0: length="
              + length
              + " block size="
              + blockBytes,
          Errno.EINVAL);
    }
    if (description.lengthBytes() > length) {
      throw new BdevException(
          name,
          path + " is shorter than the disk: file=" + length + " disk=" + description.lengthBytes(),
          Errno.EINVAL);
    }
    return description.blockCount() == 0
        ? description.withBlockCount(length / blockBytes)
        : description;
  }

  int fd() {
    return fd;
  }

  DirectIo.Alignment alignment() {
    return alignment;
  }

  boolean readOnly() {
    return readOnly;
  }

  long lengthBytes() {
    return lengthBytes;
  }

  boolean isClosed() {
    return closed;
  }

  boolean punchHoleMissing() {
    return punchHoleMissing;
  }

  boolean zeroRangeMissing() {
    return zeroRangeMissing;
  }

  void onPunchHoleMissing() {
    punchHoleMissing = true;
  }

  void onZeroRangeMissing() {
    zeroRangeMissing = true;
  }

  @Override
  public BdevDescription description() {
    return description;
  }

  @Override
  public boolean needsFence() {
    return true;
  }

  @Override
  public boolean tryFence() {
    if (!fenced) {
      fenced = Fds.tryLock(fd);
    }
    return fenced;
  }

  @Override
  public String fenceHolder() {
    return LockHolder.describe(fd);
  }

  @Override
  public BlockChannel channel(final ReactorIo io) {
    return ((UringReactorIo) io).channel(this);
  }

  @Override
  public void resize(final long blockCount) {
    final BdevDescription resized = description.withBlockCount(blockCount);
    final long actual = Fds.length(fd);
    if (blockCount <= 0 || resized.lengthBytes() > actual) {
      throw new BdevException(
          resized.name(),
          resized.path()
              + " does not have the new length: file="
              + actual
              + " bytes, asked="
              + blockCount
              + " blocks of "
              + resized.blockBytes(),
          Errno.EINVAL);
    }
    description = resized;
    lengthBytes = resized.lengthBytes();
  }

  @Override
  public RateLimits limits() {
    return limits;
  }

  @Override
  public DirtyTracking tracking() {
    return tracking;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Fds.close(fd);
      tracking.close();
    }
  }
}
