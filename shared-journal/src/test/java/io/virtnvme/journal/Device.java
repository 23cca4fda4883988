package io.virtnvme.journal;

import java.util.List;

/** The back-end's side of a queue, as small as can be; a new one is made after each crash. */
interface Device {
  /** Takes over whatever is in memory; returns the requests to submit again, in order. */
  List<String> start();

  /** Takes one request; false if there is none. */
  boolean fetch();

  /** Completes a batch of inflight requests. */
  void complete(int count, int choice);

  /** How many requests are inflight. */
  int inflightCount();

  /** Throws if anything is left in the region of an idle queue. */
  void checkIdle();
}
