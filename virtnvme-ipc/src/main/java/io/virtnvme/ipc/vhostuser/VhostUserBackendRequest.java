package io.virtnvme.ipc.vhostuser;

/**
 * Requests of a vhost-user back-end to the front-end, sent on the socket of SET_BACKEND_REQ_FD
 * ("Back-end message types"). Any thread.
 */
public enum VhostUserBackendRequest {
  IOTLB_MSG(1),
  CONFIG_CHANGE_MSG(2),
  VRING_HOST_NOTIFIER_MSG(3),
  VRING_CALL(4),
  VRING_ERR(5);

  private final int code;

  VhostUserBackendRequest(final int code) {
    this.code = code;
  }

  /** The number in the header's request field. */
  public int code() {
    return code;
  }
}
