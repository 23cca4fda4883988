package io.virtnvme.master.rpc;

/** The C library's words for error numbers: what SPDK's users look for in a message. */
final class Errno {
  private Errno() {}

  /** The words for a negative errno, or null for a code that is none. */
  static String words(final int code) {
    return switch (code) {
      case RpcException.ENOENT -> "No such file or directory";
      case RpcException.EIO -> "Input/output error";
      case RpcException.EAGAIN -> "Resource temporarily unavailable";
      case RpcException.ENOMEM -> "Cannot allocate memory";
      case RpcException.EACCES -> "Permission denied";
      case RpcException.EBUSY -> "Device or resource busy";
      case RpcException.EEXIST -> "File exists";
      case RpcException.ENODEV -> "No such device";
      case RpcException.EINVAL -> "Invalid argument";
      case RpcException.ENOSPC -> "No space left on device";
      case RpcException.EROFS -> "Read-only file system";
      case RpcException.ENOTSUP -> "Operation not supported";
      case RpcException.ETIMEDOUT -> "Connection timed out";
      default -> null;
    };
  }

  /** The sentence, led by the words for its errno so that scripts written for SPDK find them. */
  static String describe(final int code, final String sentence) {
    final String words = words(code);
    return words == null || sentence.startsWith(words) ? sentence : words + ": " + sentence;
  }
}
