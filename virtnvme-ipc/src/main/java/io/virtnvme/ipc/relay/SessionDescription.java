package io.virtnvme.ipc.relay;

/**
 * One front-end connection to a controller, as the master describes it to slaves.
 *
 * @param protocol what is spoken on the front-end's socket
 * @param controller the controller's name
 * @param seat the seat whose slave serves it
 * @param bdevId the block device behind it
 * @param queueCountMax how many queues the front-end may use
 * @param readOnly the guest sees a read-only disk
 * @param packed offer packed rings
 */
public record SessionDescription(
    Protocol protocol,
    String controller,
    int seat,
    long bdevId,
    int queueCountMax,
    boolean readOnly,
    boolean packed) {
  /** Protocols of front-ends; the code is on the wire. */
  public enum Protocol {
    VHOST_USER_BLK(1);

    private final int code;

    Protocol(final int code) {
      this.code = code;
    }

    static Protocol of(final int code) {
      for (final Protocol protocol : values()) {
        if (protocol.code == code) {
          return protocol;
        }
      }
      throw new RelayFormatException("unknown front-end protocol: code=" + code);
    }
  }

  public void write(final RelayWriter writer) {
    writer
        .putInt(protocol.code)
        .putString(controller)
        .putInt(seat)
        .putLong(bdevId)
        .putInt(queueCountMax)
        .putInt(readOnly ? 1 : 0)
        .putInt(packed ? 1 : 0);
  }

  public static SessionDescription read(final RelayReader reader) {
    return new SessionDescription(
        Protocol.of(reader.getInt()),
        reader.getString(),
        reader.getInt(),
        reader.getLong(),
        reader.getInt(),
        reader.getInt() != 0,
        reader.getInt() != 0);
  }
}
