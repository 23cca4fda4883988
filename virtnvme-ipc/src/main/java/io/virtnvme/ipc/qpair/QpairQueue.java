package io.virtnvme.ipc.qpair;

import io.virtnvme.ipc.disk.DiskQueue;

/**
 * A queue pair as a queue of requests; the token is the request's id, the status an errno. A
 * request has one run of buffers. One thread; nothing allocates after the constructor.
 */
final class QpairQueue implements DiskQueue {
  private static final int SECTOR_SHIFT = 9;

  private final QpairClient client;
  private final int blockShift;
  private final QpairClient.Listener listener = this::onCompletion;
  private final int[] freeTokens;
  private final int[] statuses;
  private final boolean[] inFlight;
  private int freeCount;
  private int endedToken;
  private long faultCount;

  private int currentToken = NONE;
  private int currentType;
  private long currentSector;
  private long dataOffset;
  private int dataLength;

  QpairQueue(final QpairClient client) {
    this.client = client;
    this.blockShift = Integer.numberOfTrailingZeros(client.geometry().blockBytes());
    this.freeCount = client.geometry().entryCount() - 1;
    this.freeTokens = new int[freeCount];
    this.statuses = new int[freeCount];
    this.inFlight = new boolean[freeCount];
    for (int i = 0; i < freeCount; i++) {
      freeTokens[i] = freeCount - 1 - i;
    }
  }

  @Override
  public int queueSize() {
    return freeTokens.length;
  }

  @Override
  public int begin(final int type, final long sector) {
    if (freeCount == 0) {
      return NONE;
    }
    currentToken = freeTokens[freeCount - 1];
    currentType = type;
    currentSector = sector;
    dataLength = 0;
    return currentToken;
  }

  @Override
  public void data(final long guestAddress, final int lengthBytes, final boolean deviceWrites) {
    if (dataLength == 0) {
      dataOffset = guestAddress;
    } else if (guestAddress != dataOffset + dataLength) {
      throw new IllegalArgumentException("segments must follow one another: at=" + guestAddress);
    }
    dataLength += lengthBytes;
  }

  /** Submits it: the slave sees it at once. */
  @Override
  public boolean add() {
    final boolean flush = currentType == FLUSH;
    if (!client.submit(
        opcode(),
        0,
        currentToken,
        flush ? 0 : currentSector >>> (blockShift - SECTOR_SHIFT),
        flush ? 0 : dataLength >>> blockShift,
        dataOffset)) {
      return false;
    }
    freeCount--;
    inFlight[currentToken] = true;
    currentToken = NONE;
    return true;
  }

  private int opcode() {
    return switch (currentType) {
      case READ -> QpairRequest.READ;
      case WRITE -> QpairRequest.WRITE;
      case FLUSH -> QpairRequest.FLUSH;
      default -> throw new IllegalArgumentException("unknown type: " + currentType);
    };
  }

  @Override
  public boolean publish() {
    return false;
  }

  @Override
  public int poll() {
    endedToken = NONE;
    while (endedToken == NONE && client.poll(listener, 1) == 1) {
      // Once more when no token explained what ended.
    }
    return endedToken;
  }

  private void onCompletion(final int id, final int errno) {
    if (id >= inFlight.length || !inFlight[id]) {
      faultCount++;
      return;
    }
    inFlight[id] = false;
    statuses[id] = errno;
    endedToken = id;
  }

  @Override
  public boolean hasAdvanced() {
    return client.isCompletionThere();
  }

  @Override
  public boolean isDeviceIdle() {
    return client.inFlightCount() == 0;
  }

  @Override
  public int status(final int token) {
    return statuses[token];
  }

  @Override
  public void reclaim(final int token) {
    freeTokens[freeCount++] = token;
  }

  @Override
  public int inFlightCount() {
    return client.inFlightCount();
  }

  @Override
  public long faultCount() {
    return faultCount;
  }
}
