package io.virtnvme.master.rpc;

/** What is spoken on a block controller's socket. */
public enum BlkTransport {
  /** By virtual machines; the socket is in {@code DIR/vhost}. */
  VHOST_USER_BLK("vhost_user_blk", "vhost"),
  /** By secondary processes of the host; the socket is in {@code DIR/virtnvme}. */
  VIRTNVME("virtnvme", "virtnvme");

  private final String word;
  private final String directory;

  BlkTransport(final String word, final String directory) {
    this.word = word;
    this.directory = directory;
  }

  /** As RPC calls have it. */
  public String word() {
    return word;
  }

  /** Directory of its sockets, in the run directory. */
  public String directory() {
    return directory;
  }

  static BlkTransport of(final String word) {
    return word.equals(VIRTNVME.word) ? VIRTNVME : VHOST_USER_BLK;
  }
}
