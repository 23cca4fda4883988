package io.virtnvme.slave.session;

import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;

/** What goes back to the front-end beside a message's own reply: statuses and refusals. */
final class Replies {
  static final int STATUS_OK = 0;
  static final int STATUS_FAILED = 1;

  private Replies() {}

  /** Throws {@link SessionException} unless the message is a whole request of version 1. */
  static void requireHeader(final byte[] message) {
    if (message.length < VhostUserMessage.HEADER_LENGTH) {
      throw new SessionException("shorter than its header: bytes=" + message.length);
    }
    final int payloadLength = message.length - VhostUserMessage.HEADER_LENGTH;
    if (VhostUserMessage.payloadLength(message) != payloadLength) {
      throw new SessionException(
          "payload length: header="
              + Integer.toUnsignedString(VhostUserMessage.payloadLength(message))
              + " bytes="
              + payloadLength);
    }
    final int flags = VhostUserMessage.flags(message);
    if ((flags & VhostUserMessage.VERSION_MASK) != VhostUserMessage.VERSION
        || (flags & VhostUserMessage.REPLY_FLAG) != 0) {
      throw new SessionException(
          "not a request of protocol version 1: flags=0x" + Integer.toHexString(flags));
    }
  }

  /** The status that the front-end waits for ("REPLY_ACK"), or null if it does not. */
  static byte[] status(final byte[] message, final SessionState state, final int status) {
    final boolean wanted =
        (VhostUserMessage.flags(message) & VhostUserMessage.NEED_REPLY_FLAG) != 0
            && VhostUserProtocolFeature.REPLY_ACK.isIn(state.protocolFeatures());
    return wanted ? VhostUserMessage.replyU64(VhostUserMessage.requestCode(message), status) : null;
  }

  /**
   * How a refused message is answered: a status if the front-end waits for one, an empty payload
   * for GET_CONFIG as the specification has it, null where only the end of the connection is left.
   */
  static byte[] refusal(final byte[] message, final SessionState state) {
    if (message.length < VhostUserMessage.HEADER_LENGTH) {
      return null;
    }
    final int code = VhostUserMessage.requestCode(message);
    final VhostUserRequest request = VhostUserRequest.of(code);
    if (request == VhostUserRequest.GET_CONFIG) {
      return VhostUserMessage.reply(code, 0);
    }
    // A front-end takes any reply to a GET for the value it asked for.
    return request != null && request.name().startsWith("GET_")
        ? null
        : status(message, state, STATUS_FAILED);
  }

  /** What the message is called in texts. */
  static String name(final byte[] message) {
    if (message.length < VhostUserMessage.HEADER_LENGTH) {
      return "message";
    }
    final int code = VhostUserMessage.requestCode(message);
    final VhostUserRequest request = VhostUserRequest.of(code);
    return request == null ? "request " + Integer.toUnsignedString(code) : request.name();
  }
}
