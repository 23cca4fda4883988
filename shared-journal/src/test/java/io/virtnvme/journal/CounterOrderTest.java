package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

class CounterOrderTest {
  @Property
  void shouldSortByUnsignedCounterThenByItem(@ForAll final List<Long> counters) {
    final List<Integer> expected = new ArrayList<>();
    final long[] keys = new long[counters.size()];
    final int[] items = new int[counters.size()];
    for (int i = 0; i < keys.length; i++) {
      expected.add(i);
      keys[i] = counters.get(i);
      items[i] = i;
    }
    expected.sort(
        Comparator.<Integer, Long>comparing(counters::get, Long::compareUnsigned)
            .thenComparingInt(i -> i));
    CounterOrder.sort(keys, items, items.length);
    for (int i = 0; i < items.length; i++) {
      assertEquals(expected.get(i), items[i]);
      assertEquals(counters.get(items[i]), keys[i]);
    }
  }
}
