package io.virtnvme.slave.reactor;

import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.ring.RingSetup;

/** The guest of a {@link WarmUp}, with one ring in private memory. One thread. */
interface RehearsalGuest extends AutoCloseable {
  /** Its disk. */
  Bdev bdev();

  /** Its ring, on the given disk. */
  RingSetup setup(Bdev disk);

  int inFlightCount();

  /** Makes so many requests visible, as far as there is room. */
  void send(int count);

  /** Announces requests, where the ring has a way to. */
  void kick();

  /** How often to sleep. */
  int napCount();

  /**
   * Takes what has ended.
   *
   * @return how much
   * @throws IllegalStateException when a request ended otherwise than it must
   */
  int reap();

  @Override
  void close();
}
