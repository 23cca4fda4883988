package io.virtnvme.ipc.relay;

/**
 * The hash by which a new master recognises a front-end's message that its predecessor was busy
 * with: FNV-1a, 64 bits.
 */
public final class FrontEndMessageHash {
  private static final long OFFSET_BASIS = 0xCBF29CE484222325L;
  private static final long PRIME = 0x100000001B3L;

  private FrontEndMessageHash() {}

  /** Hash of a whole message, header included; never 0, which stands for none. */
  public static long of(final byte[] message) {
    long hash = OFFSET_BASIS;
    for (final byte value : message) {
      hash = (hash ^ (value & 0xFF)) * PRIME;
    }
    return hash == 0 ? 1 : hash;
  }
}
