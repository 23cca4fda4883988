package io.virtnvme.ipc.sys;

import com.sun.jna.Native;

/** Turns results of the C library into values or {@link SysException}. */
final class Sys {
  static final int PAGE_BYTES = 4096;

  private Sys() {}

  static int check(final int result, final String operation) {
    if (result < 0) {
      throw new SysException(operation, Native.getLastError());
    }
    return result;
  }

  static long check(final long result, final String operation) {
    if (result < 0) {
      throw new SysException(operation, Native.getLastError());
    }
    return result;
  }

  /** The result, or the negative error number of this thread's last call. */
  static int orErrno(final int result) {
    return result < 0 ? -Native.getLastError() : result;
  }

  static long orErrno(final long result) {
    return result < 0 ? -Native.getLastError() : result;
  }
}
