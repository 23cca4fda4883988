package io.virtnvme.master.rpc;

/**
 * A bdev as it is.
 *
 * @param spec what was asked for
 * @param blockSize bytes per block in effect
 * @param numBlocks present length in blocks
 * @param claimed whether a controller exports it
 * @param seat the seat whose slave serves it, or -1 for none yet
 * @param state whether it can serve I/O
 * @param reason why it is not online; empty when it is
 */
public record BdevInfo(
    BdevSpec spec,
    int blockSize,
    long numBlocks,
    boolean claimed,
    int seat,
    State state,
    String reason) {
  /** Whether a bdev can serve I/O. */
  public enum State {
    /** A slave serves it, or would at once. */
    ONLINE,
    /** Its slave is gone and a successor is on its way; requests wait. */
    RECOVERING,
    /** Given up on after too many attempts; requests wait until an operator starts a slave. */
    FAILED
  }
}
