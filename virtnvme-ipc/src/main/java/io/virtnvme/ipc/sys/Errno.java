package io.virtnvme.ipc.sys;

/** Error numbers of Linux that the project handles by name, and their texts. */
public final class Errno {
  public static final int EPERM = 1;
  public static final int ENOENT = 2;
  public static final int EINTR = 4;
  public static final int EIO = 5;
  public static final int EBADF = 9;
  public static final int EAGAIN = 11;
  public static final int ENOMEM = 12;
  public static final int EACCES = 13;
  public static final int EFAULT = 14;
  public static final int EBUSY = 16;
  public static final int EEXIST = 17;
  public static final int ENODEV = 19;
  public static final int EINVAL = 22;
  public static final int ENOSPC = 28;
  public static final int ENOTTY = 25;
  public static final int EROFS = 30;
  public static final int EPIPE = 32;
  public static final int ENOSYS = 38;
  public static final int ETIME = 62;
  public static final int EOPNOTSUPP = 95;
  public static final int EADDRINUSE = 98;
  public static final int ECONNRESET = 104;
  public static final int ETIMEDOUT = 110;
  public static final int ECONNREFUSED = 111;
  public static final int EOWNERDEAD = 130;
  public static final int ENOTRECOVERABLE = 131;

  private Errno() {}

  /**
   * A short text such as {@code "ENOENT (no such file or directory)"}; the number alone for one not
   * listed here.
   */
  public static String text(final int errno) {
    return switch (errno) {
      case EPERM -> "EPERM (operation not permitted)";
      case ENOENT -> "ENOENT (no such file or directory)";
      case EINTR -> "EINTR (interrupted)";
      case EIO -> "EIO (input/output error)";
      case EBADF -> "EBADF (bad file descriptor)";
      case EAGAIN -> "EAGAIN (would block)";
      case ENOMEM -> "ENOMEM (out of memory)";
      case EACCES -> "EACCES (permission denied)";
      case EFAULT -> "EFAULT (bad address)";
      case EBUSY -> "EBUSY (in use)";
      case EEXIST -> "EEXIST (exists already)";
      case ENODEV -> "ENODEV (no such device)";
      case EINVAL -> "EINVAL (invalid argument)";
      case ENOTTY -> "ENOTTY (no such request)";
      case ENOSPC -> "ENOSPC (no space left)";
      case EROFS -> "EROFS (read-only file system)";
      case EPIPE -> "EPIPE (peer is gone)";
      case ENOSYS -> "ENOSYS (not supported by this kernel)";
      case ETIME -> "ETIME (timer expired)";
      case EOPNOTSUPP -> "EOPNOTSUPP (not supported)";
      case EADDRINUSE -> "EADDRINUSE (address in use)";
      case ECONNRESET -> "ECONNRESET (reset by peer)";
      case ETIMEDOUT -> "ETIMEDOUT (timed out)";
      case ECONNREFUSED -> "ECONNREFUSED (nobody listens)";
      case EOWNERDEAD -> "EOWNERDEAD (owner died)";
      case ENOTRECOVERABLE -> "ENOTRECOVERABLE (mutex was not recovered)";
      default -> "errno " + errno;
    };
  }
}
