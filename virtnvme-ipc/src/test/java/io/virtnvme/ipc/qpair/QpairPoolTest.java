package io.virtnvme.ipc.qpair;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class QpairPoolTest {
  private static final int BLOCK_BYTES = 512;

  private record Run(long offset, int count) {}

  /** Against one boolean for each block: a positive step lends, another gives the oldest back. */
  @Property
  void shouldLendWhatIsFreeAndNothingTwice(
      @ForAll @IntRange(min = 1, max = 200) final int blockCount,
      @ForAll @Size(max = 200) final List<@IntRange(min = -40, max = 90) Integer> steps) {
    final QpairPool pool = new QpairPool((long) blockCount * BLOCK_BYTES + 100, BLOCK_BYTES);
    final boolean[] model = new boolean[blockCount];
    final Deque<Run> lent = new ArrayDeque<>();
    for (final int step : steps) {
      if (step > 0) {
        final long offset = pool.lend(step);
        assertEquals(longestFree(model) >= step, offset != QpairPool.NONE, () -> text(model, step));
        if (offset != QpairPool.NONE) {
          set(model, offset, step, true);
          lent.add(new Run(offset, step));
        }
      } else if (!lent.isEmpty()) {
        final Run run = step % 2 == 0 ? lent.removeFirst() : lent.removeLast();
        pool.giveBack(run.offset(), run.count());
        set(model, run.offset(), run.count(), false);
        assertThrows(
            IllegalArgumentException.class, () -> pool.giveBack(run.offset(), run.count()));
      }
      assertEquals(lentCount(model), blockCount - pool.freeCount());
    }
    lent.forEach(run -> pool.giveBack(run.offset(), run.count()));
    assertEquals(0, pool.lend(blockCount), "nothing is lost");
  }

  private static String text(final boolean[] model, final int count) {
    return count + " of " + Arrays.toString(model);
  }

  private static void set(
      final boolean[] model, final long offset, final int count, final boolean to) {
    assertEquals(0, offset % BLOCK_BYTES);
    for (int i = 0; i < count; i++) {
      final int block = (int) (offset / BLOCK_BYTES) + i;
      assertNotEquals(to, model[block]);
      model[block] = to;
    }
  }

  private static int lentCount(final boolean[] model) {
    int count = 0;
    for (final boolean isLent : model) {
      count += isLent ? 1 : 0;
    }
    return count;
  }

  private static int longestFree(final boolean[] model) {
    int longest = 0;
    int run = 0;
    for (final boolean isLent : model) {
      run = isLent ? 0 : run + 1;
      longest = Math.max(longest, run);
    }
    return longest;
  }

  @Test
  void shouldRefuseWhatCannotBeMeant() {
    final QpairPool pool = new QpairPool(10L * BLOCK_BYTES, BLOCK_BYTES);
    assertEquals(10, pool.blockCount());
    assertEquals(QpairPool.NONE, pool.lend(11));
    assertThrows(IllegalArgumentException.class, () -> pool.lend(0));
    assertEquals(0, pool.lend(4));
    final List<Run> wrong = new ArrayList<>();
    wrong.add(new Run(0, 5));
    wrong.add(new Run(-BLOCK_BYTES, 2));
    wrong.add(new Run(100, 1));
    wrong.add(new Run(0, 0));
    wrong.add(new Run(0, Integer.MAX_VALUE));
    wrong.add(new Run(Long.MAX_VALUE / BLOCK_BYTES * BLOCK_BYTES, 1));
    for (final Run run : wrong) {
      assertThrows(
          IllegalArgumentException.class, () -> pool.giveBack(run.offset(), run.count()), "" + run);
    }
    assertEquals(6, pool.freeCount());
    pool.clear();
    assertEquals(0, pool.lend(10));
    assertThrows(IllegalArgumentException.class, () -> new QpairPool(100, BLOCK_BYTES));
    assertThrows(IllegalArgumentException.class, () -> new QpairPool(100, 0));
  }

  @Test
  void shouldNotAllocate() {
    final QpairPool pool = new QpairPool(1 << 20, BLOCK_BYTES);
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long least = Long.MAX_VALUE;
    for (int window = 0; window < 5; window++) {
      final long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 1000; i++) {
        final long first = pool.lend(7);
        final long second = pool.lend(100);
        pool.giveBack(first, 7);
        pool.giveBack(second, 100);
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
    }
    assertEquals(0, least);
    assertTrue(pool.freeCount() == pool.blockCount());
    assertFalse(pool.lend(pool.blockCount()) == QpairPool.NONE);
  }
}
