package io.virtnvme.ipc.qpair;

import io.virtnvme.ipc.disk.DiskFrontEnd;
import io.virtnvme.ipc.disk.DiskQueue;
import java.nio.file.Path;
import java.util.Objects;

/**
 * A secondary's view of a volume in the terms of a guest's disk, so that one load can drive either.
 * Guest addresses are offsets in the pool; there is one queue. One thread.
 */
public final class QpairFrontEnd implements DiskFrontEnd {
  private static final int PAGE_BYTES = 4096;

  private final QpairClient client;
  private final QpairQueue queue;

  private QpairFrontEnd(final QpairClient client) {
    this.client = client;
    this.queue = new QpairQueue(client);
  }

  /**
   * Attaches with write access.
   *
   * @param queueSize requests in flight, at most
   * @param dataBytes memory for data
   * @throws QpairException when it is refused
   */
  public static QpairFrontEnd connect(
      final Path socket, final int queueSize, final long dataBytes) {
    final long poolLength = (dataBytes + PAGE_BYTES - 1) & -PAGE_BYTES;
    return new QpairFrontEnd(QpairClient.attach(socket, queueSize + 1, poolLength, true));
  }

  @Override
  public DiskQueue queue(final int index) {
    Objects.checkIndex(index, 1);
    return queue;
  }

  /** Not needed: whoever submits wakes the slave if it sleeps. */
  @Override
  public void kick(final int index) {}

  @Override
  public long capacityBytes() {
    return client.blockCount() * client.geometry().blockBytes();
  }

  @Override
  public long dataGuestAddress() {
    return 0;
  }

  @Override
  public long dataBytes() {
    return client.geometry().poolLength();
  }

  @Override
  public long toHost(final long guestAddress) {
    return client.poolAddress() + guestAddress;
  }

  @Override
  public boolean isConnected() {
    return client.isConnected();
  }

  @Override
  public boolean tryReconnect() {
    throw new IllegalStateException(
        "a secondary lives through the death of slave and master; when all are gone it is over");
  }

  @Override
  public int peerPid() {
    return client.peerPid();
  }

  @Override
  public void close() {
    client.close();
  }
}
