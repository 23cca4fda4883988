package io.virtnvme.slave.bdev;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * One block, one write, one client that copies: the steps of the write (mark, land on the disk,
 * mark again) fall between the steps of the client in every way, and either of them dies at every
 * step. In the end the copy must be the disk.
 */
class DirtyInterleavingTest {
  private static final int STEPS = 3;

  /** More than two passes have. */
  private static final int LAST_MOMENT = 14;

  @TempDir private Path folder;

  private SegmentDirectory segments;
  private DirtySegment segment;

  /** What the block holds, and what the client last read of it. */
  private int disk;

  private int copy;

  /** Steps of the write that are done. */
  private int writeStep;

  /** The client's moments: before each of its stores and after each of its calls. */
  private int moment;

  /** The moment at which each step of the write happens. */
  private int[] moments = {};

  /** Where the client dies; none. */
  private int clientDeath = Integer.MAX_VALUE;

  /** The step before which the slave dies: its successor runs the request again. */
  private int slaveDeath = STEPS;

  private boolean marksAgain = true;

  /** The slave's stores are no moments of the client. */
  private boolean inWrite;

  private static final class Died extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  @BeforeEach
  void setUp() {
    segments = BdevHarness.segments(folder);
    DirtySegment.create(segments, "d", 1 << 16, 16, false);
    segment = DirtySegment.open(segments, "d");
    Mem.listener(
        new Mem.StoreListener() {
          @Override
          public void onStore(final long address, final int lengthBytes) {
            onMoment();
          }
        });
  }

  @AfterEach
  void tearDown() {
    Mem.listener(null);
    segment.close();
  }

  private void onMoment() {
    if (inWrite) {
      return;
    }
    while (writeStep < STEPS && moments[writeStep] <= moment) {
      if (writeStep == slaveDeath) {
        slaveDeath = STEPS;
        writeStep = 0;
      }
      write();
    }
    if (moment++ == clientDeath) {
      throw new Died();
    }
  }

  private void write() {
    inWrite = true;
    switch (writeStep++) {
      case 0 -> segment.mark(0, 512);
      case 1 -> disk = 1;
      default -> {
        if (marksAgain) {
          segment.markAgain(0, 512);
        }
      }
    }
    inWrite = false;
  }

  private void pass() {
    final long marks = segment.take(0);
    onMoment();
    if (marks != 0) {
      copy = disk;
      onMoment();
      segment.copied(0, marks);
    }
    onMoment();
  }

  /** Passes until nothing is dirty; the first may die on its way. */
  private void copyAll() {
    try {
      pass();
      pass();
    } catch (final Died e) {
      // The next one goes on with what is in the segment.
    }
    clientDeath = Integer.MAX_VALUE;
    while (writeStep < STEPS) {
      moment++;
      onMoment();
    }
    do {
      pass();
    } while (segment.take(0) != 0);
  }

  /** As in most passes, an older mark is there. */
  private void reset() {
    inWrite = true;
    segment.mark(0, 1);
    segment.copied(0, segment.take(0));
    segment.mark(0, 1);
    inWrite = false;
    disk = 0;
    copy = 0;
    writeStep = 0;
    moment = 0;
  }

  /** How many of all runs end with a copy that is not the disk. */
  private int losses() {
    int losses = 0;
    int runs = 0;
    for (int mark = 0; mark < LAST_MOMENT; mark++) {
      for (int land = mark; land < LAST_MOMENT; land++) {
        for (int again = land; again < LAST_MOMENT; again++) {
          for (int slaveDies = 1; slaveDies <= STEPS; slaveDies++) {
            for (int clientDies = 0; clientDies <= LAST_MOMENT; clientDies++) {
              reset();
              moments = new int[] {mark, land, again};
              slaveDeath = slaveDies;
              clientDeath = clientDies == LAST_MOMENT ? Integer.MAX_VALUE : clientDies;
              copyAll();
              assertEquals(1, disk);
              losses += copy == disk ? 0 : 1;
              runs++;
            }
          }
        }
      }
    }
    assertTrue(runs > 10_000, "runs " + runs);
    return losses;
  }

  @Test
  void shouldNeverLoseAChange() {
    assertEquals(0, losses());
  }

  /** The test of the test: with one mark before the change some order loses it. */
  @Test
  void shouldNeedTheSecondMark() {
    marksAgain = false;
    assertTrue(losses() > 0);
  }
}
