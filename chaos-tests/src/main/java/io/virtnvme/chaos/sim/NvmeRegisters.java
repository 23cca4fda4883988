package io.virtnvme.chaos.sim;

import java.util.function.LongConsumer;

/** How a driver reaches its controller beside shared memory: through the front-end. */
interface NvmeRegisters {
  /** Writes a register; {@code whenDone} when the write was answered. */
  void write(int offset, int width, long value, Runnable whenDone);

  /** Reads a register. */
  void read(int offset, int width, LongConsumer whenRead);

  /** Rings a doorbell, an offset from the first one: a store, or a message without a reply. */
  void ring(int offset, int value);

  /** Resets the function. */
  void reset(Runnable whenDone);

  /** Takes the memory of all queues away, and gives it back. */
  void moveQueues(Runnable whenDone);

  /** Takes the second region of data away, or gives it back. */
  void plug(boolean isPlugged, Runnable whenDone);
}
