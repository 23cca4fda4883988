package io.virtnvme.tools.nbd;

/** Numbers of the NBD protocol (NBD protocol, "Values"); everything is in network byte order. */
final class NbdProtocol {
  static final long INIT_MAGIC = 0x4E42444D41474943L;
  static final long OPTION_MAGIC = 0x49484156454F5054L;
  static final long OPTION_REPLY_MAGIC = 0x0003E889045565A9L;
  static final int REQUEST_MAGIC = 0x25609513;
  static final int REPLY_MAGIC = 0x67446698;

  /** Magic, flags, command, cookie, offset, length. */
  static final int REQUEST_LENGTH = 28;

  /** Magic, error, cookie. */
  static final int REPLY_LENGTH = 16;

  /** Magic, option, type, length. */
  static final int OPTION_REPLY_LENGTH = 20;

  // Handshake flags, of either side.
  static final int FLAG_FIXED_NEWSTYLE = 1;
  static final int FLAG_NO_ZEROES = 1 << 1;

  // Transmission flags.
  static final int FLAG_HAS_FLAGS = 1;
  static final int FLAG_READ_ONLY = 1 << 1;
  static final int FLAG_SEND_FLUSH = 1 << 2;
  static final int FLAG_SEND_WRITE_ZEROES = 1 << 6;
  static final int FLAG_CAN_MULTI_CONN = 1 << 8;

  static final int OPTION_EXPORT_NAME = 1;
  static final int OPTION_ABORT = 2;
  static final int OPTION_LIST = 3;
  static final int OPTION_INFO = 6;
  static final int OPTION_GO = 7;

  static final int REPLY_ACK = 1;
  static final int REPLY_SERVER = 2;
  static final int REPLY_INFO = 3;

  /** Set in the type of a reply that says no. */
  static final int REPLY_ERROR = 1 << 31;

  static final int REPLY_UNSUPPORTED = REPLY_ERROR | 1;
  static final int REPLY_INVALID = REPLY_ERROR | 3;
  static final int REPLY_TLS_REQUIRED = REPLY_ERROR | 5;
  static final int REPLY_UNKNOWN = REPLY_ERROR | 6;

  static final int INFO_EXPORT = 0;
  static final int INFO_BLOCK_SIZE = 3;

  static final int COMMAND_READ = 0;
  static final int COMMAND_WRITE = 1;
  static final int COMMAND_DISCONNECT = 2;
  static final int COMMAND_FLUSH = 3;
  static final int COMMAND_WRITE_ZEROES = 6;

  static final int EPERM = 1;
  static final int EIO = 5;
  static final int EINVAL = 22;

  private NbdProtocol() {}
}
