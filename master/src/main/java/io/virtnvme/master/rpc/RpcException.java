package io.virtnvme.master.rpc;

/**
 * An error that goes to the caller as it is: SPDK's code and a sentence that says what to do.
 *
 * <p>Without a stack trace: it is an answer, not a fault of the program.
 */
public final class RpcException extends RuntimeException {
  /** The bytes are no JSON text. */
  public static final int PARSE_ERROR = -32700;

  /** JSON, but no JSON-RPC request. */
  public static final int INVALID_REQUEST = -32600;

  /** No method of that name. */
  public static final int METHOD_NOT_FOUND = -32601;

  /** A parameter is missing, unknown, of the wrong type or out of range. */
  public static final int INVALID_PARAMS = -32602;

  /** A fault of the program; the log has the trace. */
  public static final int INTERNAL_ERROR = -32603;

  /** The method cannot be called at this time. */
  public static final int INVALID_STATE = -1;

  public static final int ENOENT = -2;
  public static final int EIO = -5;
  public static final int EAGAIN = -11;
  public static final int ENOMEM = -12;
  public static final int EACCES = -13;
  public static final int EBUSY = -16;
  public static final int EEXIST = -17;
  public static final int ENODEV = -19;
  public static final int EINVAL = -22;
  public static final int ENOSPC = -28;
  public static final int EROFS = -30;
  public static final int ENOTSUP = -95;
  public static final int ETIMEDOUT = -110;

  private static final long serialVersionUID = 1L;

  private final int code;

  /**
   * Makes an answer.
   *
   * @param code one of the constants, or another negative errno
   * @param message a sentence: what was wrong, with the value, and what to do
   */
  public RpcException(final int code, final String message) {
    super(message, null, false, false);
    this.code = code;
  }

  /** The JSON-RPC error code. */
  public int code() {
    return code;
  }

  /** The same sentence under another code, with the words of its errno kept in front. */
  public RpcException withCode(final int newCode) {
    return new RpcException(newCode, Errno.describe(code, getMessage()));
  }
}
