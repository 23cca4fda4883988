package io.virtnvme.slave.control;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.sys.Pages;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Enters the pages that guests and memory disks have in use into the page table of a standby, which
 * would meet each of them with a page fault of its own after a takeover. In slices between the
 * messages of the master, since guests share the core, and pass after pass, since guests touch more
 * as they run. A page that nobody has touched yet is left alone: entering it would take memory from
 * the host. Control thread.
 */
final class ResidentPages {
  /** Pages looked at together. */
  private static final int STEP_PAGES = 256;

  private static final long NS_PER_MS = 1_000_000;

  /** A slice ends with the step that exceeds this. */
  private static final long SLICE_NS = 200_000;

  /** Between slices: a guest whose slave polls on this core is delayed by a tenth at most. */
  private static final int SLICE_REST_MS = 2;

  /** 64 GiB: their entries are 128 MiB of page tables. */
  private static final long PAGES_MAX = 16L << 20;

  private static final long PASS_REST_NS_MIN = 1000 * NS_PER_MS;
  private static final long PASS_REST_NS_MAX = 30_000 * NS_PER_MS;

  /** A thousandth of a core, when everything is entered and no guest has more than 16 GiB. */
  private static final int PASS_REST_SHARE = 1000;

  private final long vector = Mem.allocate(STEP_PAGES);
  private final long pagesMax;
  private Map<MemoryRange, BitSet> entered = new HashMap<>();
  private long enteredCount;
  private List<MemoryRange> ranges = List.of();
  private int rangeIndex;
  private int pageIndex;
  private long passNs;
  private long nextPassNs;

  ResidentPages(final long nowNs) {
    this(nowNs, PAGES_MAX);
  }

  ResidentPages(final long nowNs, final long pagesMax) {
    this.nextPassNs = nowNs;
    this.pagesMax = pagesMax;
  }

  /** How long to wait before the next {@link #slice}. */
  int waitMs(final long nowNs) {
    if (isInPass()) {
      return SLICE_REST_MS;
    }
    final long restNs = Math.max(0, nextPassNs - nowNs);
    return (int) Math.min(Integer.MAX_VALUE, (restNs + NS_PER_MS - 1) / NS_PER_MS);
  }

  private boolean isInPass() {
    return rangeIndex < ranges.size();
  }

  /** How many pages were entered, of ranges that are still there. */
  long enteredCount() {
    return enteredCount;
  }

  /**
   * Goes on by a slice, or begins a pass that is due.
   *
   * @param mapped what is mapped now: a range of the last call that is not among them is not
   *     touched any more
   */
  void slice(final List<MemoryRange> mapped, final long nowNs) {
    final boolean isChanged = !mapped.equals(ranges);
    if (!isChanged && !isInPass() && nowNs - nextPassNs < 0) {
      return;
    }
    if (isChanged || !isInPass()) {
      begin(mapped);
    }
    long sliceNs = 0;
    while (isInPass() && sliceNs < SLICE_NS) {
      step();
      sliceNs = System.nanoTime() - nowNs;
    }
    passNs += sliceNs;
    final long restNs = Math.min(PASS_REST_NS_MAX, passNs * PASS_REST_SHARE);
    nextPassNs = nowNs + Math.max(PASS_REST_NS_MIN, restNs);
  }

  private void begin(final List<MemoryRange> mapped) {
    final Map<MemoryRange, BitSet> before = entered;
    entered = new HashMap<>();
    enteredCount = 0;
    for (final MemoryRange range : mapped) {
      final BitSet pages = before.getOrDefault(range, new BitSet());
      entered.put(range, pages);
      enteredCount += pages.cardinality();
    }
    ranges = mapped;
    rangeIndex = 0;
    pageIndex = 0;
    passNs = 0;
  }

  private void step() {
    final MemoryRange range = ranges.get(rangeIndex);
    final long from = (range.address() & -Pages.PAGE_BYTES) + (long) pageIndex * Pages.PAGE_BYTES;
    final long leftBytes = range.address() + range.lengthBytes() - from;
    final int count =
        (int) Math.min(STEP_PAGES, (leftBytes + Pages.PAGE_BYTES - 1) / Pages.PAGE_BYTES);
    if (count > 0 && Pages.residency(from, (long) count * Pages.PAGE_BYTES, vector)) {
      enterRuns(entered.get(range), from, count);
    }
    pageIndex += count;
    if (count < STEP_PAGES) {
      rangeIndex++;
      pageIndex = 0;
    }
  }

  private void enterRuns(final BitSet pages, final long from, final int count) {
    int page = 0;
    while (page < count) {
      final int runFirst = page;
      while (page < count && isMissing(pages, page)) {
        page++;
      }
      final int runCount = page - runFirst;
      if (runCount > 0
          && enteredCount + runCount <= pagesMax
          && Pages.populate(
              from + (long) runFirst * Pages.PAGE_BYTES, (long) runCount * Pages.PAGE_BYTES)) {
        pages.set(pageIndex + runFirst, pageIndex + page);
        enteredCount += runCount;
      }
      page++;
    }
  }

  private boolean isMissing(final BitSet pages, final int page) {
    return (Mem.getByte(vector + page) & 1) != 0 && !pages.get(pageIndex + page);
  }
}
