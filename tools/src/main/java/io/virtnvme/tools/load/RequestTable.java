package io.virtnvme.tools.load;

/** What each token of one queue stands for, and its data buffer. Used by the polling thread. */
final class RequestTable {
  private static final int SETS_MAX = 1 << 20;

  private final long buffersGuestAddress;
  private final int bufferBytes;
  private final int setCount;
  private final int[] sets;
  private final int[] types;
  private final int[] blocks;
  private final int[] counts;
  private final long[] submittedNs;
  private final int[][] lows;

  RequestTable(
      final int tokenCount,
      final long buffersGuestAddress,
      final long areaBytes,
      final int bufferBytes,
      final int ioBlocksMax) {
    this.buffersGuestAddress = buffersGuestAddress;
    this.bufferBytes = bufferBytes;
    this.setCount = (int) Math.min(SETS_MAX, areaBytes / bufferBytes(tokenCount, bufferBytes));
    this.sets = new int[tokenCount];
    this.types = new int[tokenCount];
    this.blocks = new int[tokenCount];
    this.counts = new int[tokenCount];
    this.submittedNs = new long[tokenCount];
    this.lows = new int[tokenCount][ioBlocksMax];
  }

  static long bufferBytes(final int tokenCount, final int bufferBytes) {
    return (long) tokenCount * bufferBytes;
  }

  void set(final int token, final int type, final int block, final int count, final long nowNs) {
    types[token] = type;
    blocks[token] = block;
    counts[token] = count;
    submittedNs[token] = nowNs;
  }

  int type(final int token) {
    return types[token];
  }

  int block(final int token) {
    return blocks[token];
  }

  int count(final int token) {
    return counts[token];
  }

  long submittedNs(final int token) {
    return submittedNs[token];
  }

  /** Oldest version that each block of a read may show. */
  int[] low(final int token) {
    return lows[token];
  }

  /** The buffer of the request in flight. */
  long bufferGuestAddress(final int token) {
    return buffersGuestAddress + ((long) sets[token] * types.length + token) * bufferBytes;
  }

  /** Goes on to the token's next buffer: each has one in every set. */
  long nextBuffer(final int token) {
    sets[token] = (sets[token] + 1) % setCount;
    return bufferGuestAddress(token);
  }
}
