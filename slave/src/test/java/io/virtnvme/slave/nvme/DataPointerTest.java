package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;

/**
 * PRPs and SGLs, right and wrong, against walkers that follow the specification byte by byte and
 * know guest memory as a map from addresses to words.
 */
class DataPointerTest {
  private static final int PAGE = 4096;
  private static final long BASE = 0x40_0000;
  private static final int PAGES = 600;
  private static final int OK = 0;
  private static final int TRANSFER_ERROR = 0x04;
  private static final int SGL_SEGMENT = 0x0D;
  private static final int SGL_COUNT = 0x0E;
  private static final int SGL_LENGTH = 0x0F;
  private static final int SGL_TYPE = 0x11;
  private static final int PRP_OFFSET = 0x13;
  private static final int CAPACITY = 5000;
  private static final int TRASH_BYTES = 1000;

  /** Stands for a byte that falls away. */
  private static final long NOWHERE = -1;

  /** Guest memory in two host pieces with a hole between them in guest addresses. */
  private static final class Memory implements AutoCloseable {
    final long host = Mem.allocate((long) PAGES * PAGE);
    final Map<Long, Long> words = new HashMap<>();
    final GuestMemory map;
    final long list = Mem.allocate(CAPACITY * 16L);
    final long trash = Mem.allocate(TRASH_BYTES);

    Memory(final int holePage) {
      final List<MemoryRegion> regions = new ArrayList<>();
      final long first = (long) holePage * PAGE;
      regions.add(new MemoryRegion(BASE, BASE, first, host, -1, 0));
      regions.add(
          new MemoryRegion(
              BASE + first + PAGE,
              BASE + first + PAGE,
              (long) (PAGES - holePage - 1) * PAGE,
              host + first + PAGE,
              -1,
              0));
      map = GuestMemory.of(regions);
    }

    boolean has(final long address, final long length) {
      for (long at = address; at < address + length; at++) {
        if (map.contiguousLength(at) == 0) {
          return false;
        }
      }
      return true;
    }

    /** A word in guest memory, wherever it is: one that is nowhere cannot be read either. */
    void put(final long address, final long value) {
      words.put(address, value);
      if (has(address, 8)) {
        Mem.putLong(host + address - BASE, value);
      }
    }

    long word(final long address) {
      return words.getOrDefault(address, 0L);
    }

    @Override
    public void close() {
      Mem.free(host);
      Mem.free(list);
      Mem.free(trash);
    }
  }

  /** What came out: a status, and the guest address of each byte. */
  private record Walk(int status, List<Long> bytes) {
    static Walk failed(final int status) {
      return new Walk(status, List.of());
    }
  }

  private static Walk actual(
      final Memory memory, final int psdt, final long first, final long second, final long length) {
    final long command = Mem.allocate(64);
    final TestCommand wanted = new TestCommand(2, 1, 1).pointer(psdt, first, second);
    for (int i = 0; i < 16; i++) {
      Mem.putInt(command + i * 4L, wanted.dwords[i]);
    }
    final IovecList list = new IovecList();
    list.begin(memory.list, CAPACITY);
    final int status =
        new DataPointer(memory.trash, TRASH_BYTES)
            .read(command, new DmaMemory(memory.map, memory.map), true, length, list);
    Mem.free(command);
    if (status != OK) {
      return Walk.failed(status);
    }
    final List<Long> bytes = new ArrayList<>();
    for (int i = 0; i < list.count(); i++) {
      final long base = Mem.getLong(memory.list + i * 16L);
      for (long b = 0; b < Mem.getLong(memory.list + i * 16L + 8); b++) {
        final boolean isTrash = base >= memory.trash && base < memory.trash + TRASH_BYTES;
        bytes.add(isTrash ? NOWHERE : base + b - memory.host + BASE);
      }
    }
    return new Walk(OK, bytes);
  }

  // PRPs, by the letter: the entries of a transfer one after the other, each a page's worth.
  private static Walk prpModel(
      final Memory memory, final long first, final long second, final long length) {
    final List<Long> bytes = new ArrayList<>();
    if (first % 4 != 0) {
      return Walk.failed(PRP_OFFSET);
    }
    long entry = first;
    long list = -1;
    while (true) {
      for (long at = entry; at < (entry / PAGE + 1) * PAGE && bytes.size() < length; at++) {
        if (!memory.has(at, 1)) {
          return Walk.failed(TRANSFER_ERROR);
        }
        bytes.add(at);
      }
      final long left = length - bytes.size();
      if (left == 0) {
        return new Walk(OK, bytes);
      }
      if (list == -1 && left <= PAGE) {
        entry = second;
        list = -2;
      } else {
        if (list == -1) {
          list = second;
          if (list % 8 != 0) {
            return Walk.failed(PRP_OFFSET);
          }
        }
        if (list % PAGE == PAGE - 8 && left > PAGE) {
          if (!memory.has(list, 8)) {
            return Walk.failed(TRANSFER_ERROR);
          }
          list = memory.word(list);
          if (list % PAGE != 0) {
            return Walk.failed(PRP_OFFSET);
          }
        }
        if (!memory.has(list, 8)) {
          return Walk.failed(TRANSFER_ERROR);
        }
        entry = memory.word(list);
        list += 8;
      }
      if (entry % PAGE != 0) {
        return Walk.failed(PRP_OFFSET);
      }
    }
  }

  private static long page(final Random random, final int wrong) {
    final long page = BASE + (long) random.nextInt(PAGES) * PAGE;
    return switch (random.nextInt(wrong)) {
      case 0 -> page + 1 + random.nextInt(PAGE - 1);
      case 1 -> random.nextLong();
      case 2 -> BASE + (long) PAGES * PAGE;
      default -> page;
    };
  }

  /** In a list both sides see the same: no page of a list is data of the same command here. */
  @Property(tries = 2000)
  void shouldReadPrpsAsTheSpecificationSays(
      @ForAll final long seed,
      @ForAll @IntRange(max = 4095) final int offset,
      @ForAll @LongRange(min = 1, max = 1 << 20) final long length,
      @ForAll @IntRange(min = 4, max = 3000) final int wrong,
      @ForAll @IntRange(max = 511) final int listEntry) {
    final Random random = new Random(seed);
    try (Memory memory = new Memory(1 + random.nextInt(PAGES - 2))) {
      long list = BASE + (long) random.nextInt(PAGES) * PAGE + listEntry * 8L;
      final long second = random.nextInt(wrong) == 0 ? list + 1 + random.nextInt(7) : list;
      for (int pages = 0; pages < 4; pages++) {
        for (; list % PAGE != PAGE - 8; list += 8) {
          memory.put(list, page(random, wrong));
        }
        final long next = page(random, wrong);
        memory.put(list, next);
        if (next % PAGE != 0 || !memory.has(next, PAGE)) {
          break;
        }
        list = next;
      }
      final long first = page(random, wrong) / PAGE * PAGE + offset;
      final long used =
          length <= PAGE - first % PAGE + PAGE && random.nextInt(20) != 0
              ? page(random, wrong)
              : second;
      final Walk model = prpModel(memory, first, used, length);
      final Walk actual = actual(memory, 0, first, used, length);
      assertPrpsEqual(model, actual);
    }
  }

  /**
   * A list that cannot be read whole ends the walk before the pages that it names are looked at.
   */
  private static void assertPrpsEqual(final Walk model, final Walk actual) {
    if (model.status != OK) {
      assertEquals(
          true,
          actual.status == PRP_OFFSET || actual.status == TRANSFER_ERROR,
          model.status + " but " + actual.status);
    } else {
      assertEquals(model, actual);
    }
  }

  @Property(tries = 200)
  void shouldTellWhichPrpIsWrong(
      @ForAll @IntRange(max = 4095) final int offset, @ForAll final boolean isFirst) {
    try (Memory memory = new Memory(300)) {
      final long first = BASE + (isFirst ? offset : 0);
      final long second = BASE + PAGE + (isFirst ? 0 : offset);
      final int expected =
          isFirst ? (offset % 4 == 0 ? OK : PRP_OFFSET) : offset == 0 ? OK : PRP_OFFSET;
      // The second entry is not looked at when the first page is long enough.
      if (isFirst) {
        assertEquals(expected, actual(memory, 0, first, second, 2 * PAGE - offset).status);
      }
      if (!isFirst) {
        assertEquals(expected, actual(memory, 0, BASE, second, 2 * PAGE).status);
      }
      final int listExpected = offset % 8 == 0 ? OK : PRP_OFFSET;
      for (int i = 0; i < 1024; i++) {
        memory.put(BASE + 10 * PAGE + i * 8L, BASE + 12L * PAGE);
      }
      assertEquals(
          listExpected, actual(memory, 0, BASE, BASE + 10 * PAGE + offset, 3 * PAGE).status);
    }
  }

  // SGLs, by the letter.
  private static Walk sglModel(
      final Memory memory, final long address, final long word, final long length) {
    final List<Long> bytes = new ArrayList<>();
    long at = address;
    long current = word;
    int descriptors = 0;
    final int top = (int) (current >>> 60);
    if ((current >>> 56 & 15) != 0 || top > 3) {
      return Walk.failed(SGL_TYPE);
    }
    if (top <= 1) {
      final int status =
          take(memory, top == 1 ? NOWHERE : at, current & 0xFFFF_FFFFL, length, bytes);
      return status != OK
          ? Walk.failed(status)
          : bytes.size() < length ? Walk.failed(SGL_LENGTH) : new Walk(OK, bytes);
    }
    while (true) {
      final boolean last = current >>> 60 == 3;
      final long segmentBytes = current & 0xFFFF_FFFFL;
      if (segmentBytes == 0 || segmentBytes % 16 != 0) {
        return Walk.failed(SGL_SEGMENT);
      }
      final long count = segmentBytes / 16;
      descriptors += (int) Math.min(count, 100_000);
      if (descriptors > 1024) {
        return Walk.failed(SGL_COUNT);
      }
      long nextAt = 0;
      long next = 0;
      for (long i = 0; i < count; i++) {
        if (!memory.has(at + i * 16, 16)) {
          return Walk.failed(TRANSFER_ERROR);
        }
        final long where = memory.word(at + i * 16);
        final long what = memory.word(at + i * 16 + 8);
        final int type = (int) (what >>> 60);
        if ((what >>> 56 & 15) != 0 || type > 3) {
          return Walk.failed(SGL_TYPE);
        }
        if (type <= 1) {
          if (i == count - 1 && !last) {
            return Walk.failed(SGL_SEGMENT);
          }
          final int status =
              take(memory, type == 1 ? NOWHERE : where, what & 0xFFFF_FFFFL, length, bytes);
          if (status != OK) {
            return Walk.failed(status);
          }
        } else if (last) {
          return Walk.failed(SGL_SEGMENT);
        } else if (i != count - 1) {
          return Walk.failed(SGL_COUNT);
        } else {
          nextAt = where;
          next = what;
        }
      }
      if (last) {
        return bytes.size() < length ? Walk.failed(SGL_LENGTH) : new Walk(OK, bytes);
      }
      at = nextAt;
      current = next;
    }
  }

  private static int take(
      final Memory memory,
      final long address,
      final long blockBytes,
      final long length,
      final List<Long> bytes) {
    for (long i = 0; i < blockBytes && bytes.size() < length; i++) {
      if (address != NOWHERE && !memory.has(address + i, 1)) {
        return TRANSFER_ERROR;
      }
      bytes.add(address == NOWHERE ? NOWHERE : address + i);
    }
    return OK;
  }

  private static long descriptor(final Random random, final long length, final int wrong) {
    final long word = length & 0xFFFF_FFFFL;
    return switch (random.nextInt(wrong)) {
      case 0 -> word | (long) random.nextInt(16) << 60;
      case 1 -> word | (long) random.nextInt(16) << 56;
      default -> word | (random.nextInt(8) == 0 ? 1L : 0L) << 60;
    };
  }

  @Property(tries = 2000)
  void shouldReadSglsAsTheSpecificationSays(
      @ForAll final long seed,
      @ForAll @IntRange(min = 1, max = 5) final int segments,
      @ForAll @IntRange(min = 3, max = 400) final int wrong) {
    final Random random = new Random(seed);
    try (Memory memory = new Memory(1 + random.nextInt(PAGES - 2))) {
      long total = 0;
      long at = BASE + (long) random.nextInt(PAGES / 2) * PAGE + random.nextInt(64) * 8L;
      final long firstAt = at;
      int count = 1 + random.nextInt(12);
      final long firstBytes = count * 16L + (random.nextInt(wrong) == 0 ? random.nextInt(16) : 0);
      final boolean single = segments == 1;
      final long firstWord = firstBytes | (single ? 3L : 2L) << 60;
      for (int segment = 1; segment <= segments; segment++) {
        final boolean last = segment == segments;
        for (int i = 0; i < (last ? count : count - 1); i++) {
          final int bytes = random.nextInt(6) == 0 ? 0 : 1 + random.nextInt(9000);
          memory.put(at + i * 16L, page(random, wrong) + random.nextInt(PAGE));
          memory.put(at + i * 16L + 8, descriptor(random, bytes, wrong));
          total += bytes;
        }
        if (!last) {
          final int nextCount = random.nextInt(wrong) == 0 ? 0 : 1 + random.nextInt(12);
          final long nextAt =
              BASE + (long) (PAGES / 2 + segment * 10) * PAGE + random.nextInt(64) * 8L;
          final long kind = segment + 1 == segments ? 3L : 2L;
          memory.put(at + (count - 1) * 16L, nextAt);
          memory.put(
              at + (count - 1) * 16L + 8,
              random.nextInt(wrong) == 0 ? 5 : nextCount * 16L | kind << 60);
          at = nextAt;
          count = nextCount;
        }
      }
      final long length = Math.max(1, total - (random.nextInt(3) - 1L) * random.nextInt(50));
      assertEquals(
          sglModel(memory, firstAt, firstWord, length),
          actual(memory, 1, firstAt, firstWord, length));
    }
  }

  @Property(tries = 500)
  void shouldEndAnSglThatLeadsToItself(@ForAll @IntRange(min = 1, max = 200) final int count) {
    try (Memory memory = new Memory(500)) {
      for (int i = 0; i < count - 1; i++) {
        memory.put(BASE + i * 16L, BASE);
        memory.put(BASE + i * 16L + 8, 0);
      }
      memory.put(BASE + (count - 1) * 16L, BASE);
      memory.put(BASE + (count - 1) * 16L + 8, count * 16L | 2L << 60);
      assertEquals(SGL_COUNT, actual(memory, 1, BASE, count * 16L | 2L << 60, 512).status);
    }
  }

  @Property(tries = 500)
  void shouldTakeASingleDataBlock(
      @ForAll @IntRange(max = 3 * PAGE) final int offset,
      @ForAll @IntRange(min = 1, max = 3 * PAGE) final int blockBytes,
      @ForAll @IntRange(min = 1, max = 3 * PAGE) final int length) {
    try (Memory memory = new Memory(4)) {
      assertEquals(
          sglModel(memory, BASE + offset, blockBytes, length),
          actual(memory, 1, BASE + offset, blockBytes, length));
    }
  }
}
