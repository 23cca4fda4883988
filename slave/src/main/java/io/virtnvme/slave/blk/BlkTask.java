package io.virtnvme.slave.blk;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.ring.InPlaceRecovery.Progress;

/**
 * One request from fetch to publication; made once per ring slot and used again. Its buffers are
 * host iovecs in a native block that the ring lends it: those the device reads first, then those it
 * writes.
 */
public final class BlkTask {
  /**
   * Where a request stands. The order of the stores of this state is what recovery in place relies
   * on.
   */
  public enum State {
    /** No request. */
    FREE,
    /** In the journal; nothing of it was looked at, or it must be looked at again. */
    FETCHED,
    /** Checked; the channel had no room for it. */
    PREPARED,
    /** Inside the call of the channel. After an error there, nobody knows who has it. */
    SUBMITTING,
    /** The channel has it. */
    SUBMITTED,
    /** It ended with the task's status; the guest's memory may lack the status byte. */
    ENDED,
    /** Ready to be published. */
    DONE,
    /** Cannot be answered: its status byte has no place. The ring is broken. */
    STUCK,
    /** The channel has it, but the journal does not know it any more; its end is ignored. */
    ORPHAN;

    /** What this means to a recovery in place. */
    public Progress progress() {
      return switch (this) {
        case FREE, FETCHED, PREPARED -> Progress.NOT_STARTED;
        case SUBMITTING, SUBMITTED, ORPHAN -> Progress.HELD;
        case ENDED -> Progress.ENDED;
        case DONE -> Progress.DONE;
        case STUCK -> Progress.PARKED;
      };
    }

    /** Whether the channel may report the end of a request in this state. */
    public boolean isHeld() {
      return progress() == Progress.HELD;
    }
  }

  /** Segments that fit: data, header and status, and some cut by the borders of memory regions. */
  public static final int IOVEC_MAX = BlkLimits.SEG_MAX + 2 + 8;

  /** Bytes of a {@code struct iovec}: base, length. */
  public static final int IOVEC_LENGTH = 2 * Long.BYTES;

  static final int IOVEC_LENGTH_OFFSET = Long.BYTES;

  /** Native block of a task; an odd number of cache lines, so that blocks spread over the cache. */
  public static final int BLOCK_LENGTH = (IOVEC_MAX * IOVEC_LENGTH + 63) / 64 * 64 | 64;

  /** Of {@link #block} when the task has none. */
  public static final int NO_BLOCK = -1;

  private final int slot;
  private State state = State.FREE;
  private int block = NO_BLOCK;
  private int generation;
  private long iovecs;
  private int readableCount;
  private int writableCount;
  private long readableBytes;
  private long writableBytes;
  private long statusAddress;
  private int status;
  private int usedBytes;
  private long startNs;

  /** {@link BlockChannel#FLAG_RECOVERED}, or 0. */
  private int recoveredFlag;

  // What the channel is asked for; set by BlkHandler.
  int operation;
  int flags;
  long dataIovecs;
  int dataIovecCount;
  long offsetBytes;
  long dataBytes;

  /** Makes the task of a ring slot, free. */
  public BlkTask(final int slot) {
    this.slot = slot;
  }

  public int slot() {
    return slot;
  }

  public State state() {
    return state;
  }

  public void state(final State newState) {
    state = newState;
  }

  /**
   * Gives up its block without returning it, and sets the state: recovery finds out itself which
   * blocks are free.
   */
  public void reset(final State newState) {
    block = NO_BLOCK;
    state = newState;
  }

  /** Whether a dead predecessor may have given the request to the device already. */
  public void recovered(final boolean isRecovered) {
    recoveredFlag = isRecovered ? BlockChannel.FLAG_RECOVERED : 0;
  }

  /** Flags of the request as a whole, for the channel. */
  int channelFlags() {
    return flags | recoveredFlag;
  }

  /** Number of its native block, or {@link #NO_BLOCK}. */
  public int block() {
    return block;
  }

  public void block(final int newBlock) {
    block = newBlock;
  }

  /** Which memory map its addresses came from. */
  public int generation() {
    return generation;
  }

  /**
   * Empties the task for a new list of buffers.
   *
   * @param iovecsAddress its native block
   * @param memoryGeneration which memory map the addresses come from
   * @param nowNs time stamp of the fetch
   */
  public void begin(final long iovecsAddress, final int memoryGeneration, final long nowNs) {
    iovecs = iovecsAddress;
    generation = memoryGeneration;
    startNs = nowNs;
    readableCount = 0;
    writableCount = 0;
    readableBytes = 0;
    writableBytes = 0;
    statusAddress = 0;
    usedBytes = 0;
    operation = BlkHandler.OP_NONE;
    dataBytes = 0;
    dataIovecCount = 0;
  }

  /**
   * Adds a buffer. All that the device reads come first.
   *
   * @return false if the task is full
   */
  public boolean append(final long hostAddress, final long lengthBytes, final boolean writable) {
    final int index = readableCount + writableCount;
    if (index == IOVEC_MAX) {
      return false;
    }
    final long iovec = iovecs + (long) index * IOVEC_LENGTH;
    Mem.putLong(iovec, hostAddress);
    Mem.putLong(iovec + IOVEC_LENGTH_OFFSET, lengthBytes);
    if (writable) {
      writableCount++;
      writableBytes += lengthBytes;
    } else {
      readableCount++;
      readableBytes += lengthBytes;
    }
    return true;
  }

  /** Takes the last byte that the device writes for the status; false if there is none. */
  public boolean takeStatusByte() {
    if (writableCount == 0) {
      return false;
    }
    final long iovec = iovecs + (long) (readableCount + writableCount - 1) * IOVEC_LENGTH;
    final long length = Mem.getLong(iovec + IOVEC_LENGTH_OFFSET);
    statusAddress = Mem.getLong(iovec) + length - 1;
    writableBytes--;
    if (length == 1) {
      writableCount--;
    } else {
      Mem.putLong(iovec + IOVEC_LENGTH_OFFSET, length - 1);
    }
    return true;
  }

  /** Host address of the status byte; 0 before it is known. */
  public long statusAddress() {
    return statusAddress;
  }

  /** Sets where the status byte goes when the buffers as a whole are wrong. */
  public void statusAddress(final long hostAddress) {
    statusAddress = hostAddress;
  }

  /**
   * The request ended with this status: {@link io.virtnvme.ipc.virtio.BlkRequest#STATUS_OK} and so
   * on.
   */
  public void end(final int newStatus) {
    status = newStatus;
    state = State.ENDED;
  }

  public int status() {
    return status;
  }

  /** Bytes written into the guest's buffers, the status byte included. */
  public int usedBytes() {
    return usedBytes;
  }

  void usedBytes(final int bytes) {
    usedBytes = bytes;
  }

  long startNs() {
    return startNs;
  }

  long iovecs() {
    return iovecs;
  }

  int readableCount() {
    return readableCount;
  }

  long readableBytes() {
    return readableBytes;
  }

  /** Host address of the first iovec that the device writes, without the status byte. */
  public long writableIovecs() {
    return iovecs + (long) readableCount * IOVEC_LENGTH;
  }

  /** How many those are. */
  public int writableCount() {
    return writableCount;
  }

  /** Bytes that the device may write, without the status byte. */
  public long writableBytes() {
    return writableBytes;
  }

  /** What a prepared request asks for, as {@link BlockChannel} names it. */
  public int operation() {
    return operation;
  }

  /** Bytes of the disk that the request moves or clears; 0 if it did not get so far. */
  public long dataBytes() {
    return dataBytes;
  }

  /** Whether the request makes the device write into the guest's buffers. */
  public boolean bringsData() {
    return operation == BlkHandler.OP_GET_ID || operation == BlockChannel.OP_READ;
  }
}
