package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * The judge: the driver's side of a queue. It knows what it made available and what the ring says
 * was used, and nothing of the journal.
 */
abstract class Driver {
  private final List<String> posted = new ArrayList<>();
  private final BitSet completed = new BitSet();

  Driver() {}

  Driver(final Driver other) {
    posted.addAll(other.posted);
    completed.or(other.completed);
  }

  /** Makes one request available if there is room; false if not. */
  abstract boolean post(int choice);

  /** Takes what the ring says was used. */
  abstract void pollUsed();

  /** The same driver, looking at other memory. */
  abstract Driver on(TestMemory memory);

  /** Notes a request; returns its position in the order of the ring. */
  final int onPosted(final String signature) {
    posted.add(signature);
    return posted.size() - 1;
  }

  final void onCompleted(final int position) {
    assertTrue(!completed.get(position), () -> "completed twice: " + posted.get(position));
    completed.set(position);
  }

  final boolean isAllCompleted() {
    return completed.cardinality() == posted.size();
  }

  /**
   * Judges a recovery: the requests fetched are those up to some position, at least fetchedMin and
   * at most fetchedMax; all of them that were not used must be there, in that order, once.
   *
   * @return how many were fetched
   */
  final int checkRecovered(
      final List<String> recovered, final int fetchedMin, final int fetchedMax) {
    final int fetched = completed.cardinality() + recovered.size();
    assertTrue(
        fetched >= fetchedMin && fetched <= fetchedMax,
        () -> "fetched " + fetched + ", expected " + fetchedMin + ".." + fetchedMax);
    final List<String> expected = new ArrayList<>();
    for (int position = 0; position < fetched; position++) {
      if (!completed.get(position)) {
        expected.add(posted.get(position));
      }
    }
    assertEquals(expected, recovered);
    return fetched;
  }
}
