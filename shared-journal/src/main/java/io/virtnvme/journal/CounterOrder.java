package io.virtnvme.journal;

/**
 * Puts inflight heads in fetch order without allocating. The counters are private copies: the
 * region itself may change under the sort.
 */
final class CounterOrder {
  private CounterOrder() {}

  /**
   * Heap sort by counter, unsigned, then by item; both arrays move together.
   *
   * @param counters keys, one per item
   * @param items what is sorted
   * @param count how many of them, 0..length
   */
  static void sort(final long[] counters, final int[] items, final int count) {
    for (int root = count / 2 - 1; root >= 0; root--) {
      siftDown(counters, items, root, count);
    }
    for (int end = count - 1; end > 0; end--) {
      swap(counters, items, 0, end);
      siftDown(counters, items, 0, end);
    }
  }

  private static void siftDown(
      final long[] counters, final int[] items, final int start, final int end) {
    int parent = start;
    while (2 * parent + 1 < end) {
      int child = 2 * parent + 1;
      if (child + 1 < end && isBefore(counters, items, child, child + 1)) {
        child++;
      }
      if (!isBefore(counters, items, parent, child)) {
        return;
      }
      swap(counters, items, parent, child);
      parent = child;
    }
  }

  private static boolean isBefore(
      final long[] counters, final int[] items, final int left, final int right) {
    final int order = Long.compareUnsigned(counters[left], counters[right]);
    return order < 0 || (order == 0 && items[left] < items[right]);
  }

  private static void swap(
      final long[] counters, final int[] items, final int left, final int right) {
    final long counter = counters[left];
    counters[left] = counters[right];
    counters[right] = counter;
    final int item = items[left];
    items[left] = items[right];
    items[right] = item;
  }
}
