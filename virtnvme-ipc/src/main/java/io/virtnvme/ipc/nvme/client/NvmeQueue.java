package io.virtnvme.ipc.nvme.client;

import io.virtnvme.ipc.disk.DiskQueue;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/**
 * An I/O queue pair as a queue of requests; the token is the command id. Segments of a request must
 * follow one another in guest memory, as PRPs have it. The status is the type and code of NVMe. One
 * thread; nothing allocates after the constructor.
 */
final class NvmeQueue implements DiskQueue {
  private static final int SECTOR_SHIFT = 9;

  /** Completions read before their entries are given back in the middle of a burst. */
  private static final int RELEASE_BATCH = 32;

  private final QueuePair pair;
  private final int namespaceId;
  private final int blockShift;
  private final long prpLists;
  private final long prpListsGuest;
  private final int[] freeTokens;
  private final boolean[] inFlight;
  private final int[] statuses;
  private int freeCount;
  private int inFlightCount;
  private long lookedAtEntry;
  private long faultCount;

  private int currentToken = NONE;
  private int currentType;
  private long currentSector;
  private long dataAddress;
  private long dataLength;

  /**
   * A queue.
   *
   * @param prpLists host address of one page per token
   * @param prpListsGuest where the controller sees it
   */
  NvmeQueue(
      final QueuePair pair,
      final int queueSize,
      final int namespaceId,
      final int blockShift,
      final long prpLists,
      final long prpListsGuest) {
    this.pair = pair;
    this.namespaceId = namespaceId;
    this.blockShift = blockShift;
    this.prpLists = prpLists;
    this.prpListsGuest = prpListsGuest;
    this.freeTokens = new int[queueSize];
    this.inFlight = new boolean[queueSize];
    this.statuses = new int[queueSize];
    for (int i = 0; i < queueSize; i++) {
      freeTokens[i] = queueSize - 1 - i;
    }
    this.freeCount = queueSize;
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
      dataAddress = guestAddress;
    } else if (guestAddress != dataAddress + dataLength) {
      throw new IllegalArgumentException(
          "segments must follow one another: address=0x" + Long.toHexString(guestAddress));
    }
    dataLength += lengthBytes;
  }

  @Override
  public boolean add() {
    if (inFlightCount >= pair.entryCount() - 1) {
      return false;
    }
    final long entry = pair.next();
    Mem.putInt(entry, SubmissionEntry.dword0(opcode(), currentToken));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, namespaceId);
    if (dataLength > 0) {
      Mem.putLong(
          entry + IoCommand.START_BLOCK_OFFSET, currentSector >>> (blockShift - SECTOR_SHIFT));
      Mem.putInt(entry + IoCommand.BLOCKS_OFFSET, (int) (dataLength >>> blockShift) - 1);
      putPrps(entry);
    }
    pair.push();
    freeCount--;
    inFlight[currentToken] = true;
    inFlightCount++;
    currentToken = NONE;
    return true;
  }

  private int opcode() {
    return switch (currentType) {
      case READ -> NvmOpcode.READ;
      case WRITE -> NvmOpcode.WRITE;
      case FLUSH -> NvmOpcode.FLUSH;
      default -> throw new IllegalArgumentException("unknown type: " + currentType);
    };
  }

  /** One entry, two, or one and a list (base specification 2.0, 4.1.1). */
  private void putPrps(final long entry) {
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, dataAddress);
    final int first = PrpEntry.bytesToPageEnd(dataAddress);
    if (dataLength <= first) {
      return;
    }
    final long second = dataAddress + first;
    if (dataLength <= first + PrpEntry.PAGE_BYTES) {
      Mem.putLong(entry + SubmissionEntry.PRP2_OFFSET, second);
      return;
    }
    final long listOffset = (long) currentToken * PrpEntry.PAGE_BYTES;
    long left = dataLength - first;
    for (int i = 0; left > 0; i++) {
      Mem.putLong(
          prpLists + listOffset + (long) i * PrpEntry.ENTRY_LENGTH,
          second + (long) i * PrpEntry.PAGE_BYTES);
      left -= PrpEntry.PAGE_BYTES;
    }
    Mem.putLong(entry + SubmissionEntry.PRP2_OFFSET, prpListsGuest + listOffset);
  }

  @Override
  public boolean publish() {
    pair.ring();
    return false;
  }

  @Override
  public int poll() {
    while (true) {
      final long entry = pair.peek();
      if (entry == 0) {
        pair.release(1);
        return NONE;
      }
      final int dword3 = Mem.getInt(entry + CompletionEntry.DWORD3_OFFSET);
      pair.pop();
      lookedAtEntry = 0;
      pair.release(RELEASE_BATCH);
      final int token = CompletionEntry.commandId(dword3);
      if (token < inFlight.length && inFlight[token]) {
        inFlight[token] = false;
        inFlightCount--;
        statuses[token] = Status.typeAndCode(CompletionEntry.status(dword3));
        return token;
      }
      faultCount++;
    }
  }

  @Override
  public boolean hasAdvanced() {
    final long entry = pair.peek();
    final boolean advanced = entry != 0 && entry != lookedAtEntry;
    lookedAtEntry = entry;
    return advanced;
  }

  @Override
  public boolean isDeviceIdle() {
    return inFlightCount == 0;
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
    return inFlightCount;
  }

  @Override
  public long faultCount() {
    return faultCount;
  }
}
