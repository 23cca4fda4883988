package io.virtnvme.slave.control;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.Pages;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ResidentPagesTest {
  private static final int PAGE_COUNT = 1000;
  private static final long LENGTH_BYTES = (long) PAGE_COUNT * Pages.PAGE_BYTES;
  private static final long HOUR_NS = 3_600_000_000_000L;

  private final ResidentPages pages = new ResidentPages(0);
  private int fd;
  private Mapping guest;
  private Mapping ours;
  private List<MemoryRange> mapped;

  @BeforeEach
  void map() {
    fd = Memfd.create("guest", LENGTH_BYTES);
    guest = Mapping.map(fd, 0, LENGTH_BYTES);
    ours = Mapping.map(fd, 0, LENGTH_BYTES);
    mapped = List.of(new MemoryRange(ours.address(), LENGTH_BYTES));
  }

  @AfterEach
  void unmap() {
    guest.close();
    ours.close();
    Fds.close(fd);
  }

  @Test
  void shouldEnterWhatTheGuestHasTouchedAndNothingElse() throws IOException {
    touch(0, 3, 4, 5, 500, PAGE_COUNT - 1);

    pass(0);

    assertEquals(6, pages.enteredCount());
    assertEquals(6, enteredPages());
    assertEquals(6, residentPages());
  }

  @Test
  void shouldEnterInTheNextPassWhatTheGuestTouchedMeanwhile() throws IOException {
    touch(7);
    pass(0);
    touch(8);

    pages.slice(mapped, 1);
    assertEquals(1, pages.enteredCount(), "before it is due");
    pass(HOUR_NS);

    assertEquals(2, enteredPages());
  }

  @Test
  void shouldNotTouchWhatIsNotMappedAnyMore() {
    touch(1);
    pass(0);
    ours.close();

    pages.slice(List.of(), HOUR_NS);
    assertEquals(0, pages.enteredCount());

    ours = Mapping.map(fd, 0, LENGTH_BYTES);
    assertEquals(0, pages.enteredCount());
  }

  @Test
  void shouldStopAtItsLimit() throws IOException {
    final ResidentPages few = new ResidentPages(0, 2);
    touch(1, 10, 20, 30);

    while (few.waitMs(0) < 1000) {
      few.slice(mapped, 0);
    }

    assertEquals(2, few.enteredCount());
    assertEquals(2, enteredPages());
  }

  @Test
  void shouldGoOnPastMemoryThatWasCutShort() throws IOException {
    touch(1, 900);
    Fds.truncate(fd, 10L * Pages.PAGE_BYTES);

    pass(0);

    assertEquals(1, pages.enteredCount());
  }

  private void touch(final int... indices) {
    for (final int index : indices) {
      Mem.putByte(guest.address() + (long) index * Pages.PAGE_BYTES, (byte) 1);
    }
  }

  /** Until the pass that is due is over. */
  private void pass(final long nowNs) {
    do {
      pages.slice(mapped, nowNs);
    } while (pages.waitMs(nowNs) < 1000);
  }

  /** How many pages of our mapping are in the page table: bit 63 of their words in pagemap. */
  private int enteredPages() throws IOException {
    int count = 0;
    try (RandomAccessFile file = new RandomAccessFile("/proc/self/pagemap", "r")) {
      final byte[] words = new byte[PAGE_COUNT * Long.BYTES];
      file.seek(ours.address() / Pages.PAGE_BYTES * Long.BYTES);
      file.readFully(words);
      for (int i = Long.BYTES - 1; i < words.length; i += Long.BYTES) {
        count += words[i] < 0 ? 1 : 0;
      }
    }
    return count;
  }

  /** How many pages the file has. */
  private int residentPages() {
    final long vector = Mem.allocate(PAGE_COUNT);
    try {
      Pages.residency(guest.address(), LENGTH_BYTES, vector);
      int count = 0;
      for (int i = 0; i < PAGE_COUNT; i++) {
        count += Mem.getByte(vector + i) & 1;
      }
      return count;
    } finally {
      Mem.free(vector);
    }
  }
}
