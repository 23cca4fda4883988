package io.virtnvme.slave.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.nvme.device.DmaSpace;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.slave.bdev.DmaMap;
import io.virtnvme.slave.session.MappedArea;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Which of a guest's memory a device reaches, and until when. */
class GuestDmaTest {
  private static final long PAGE = 4096;
  private static final long PIECE = 16 * PAGE;
  private static final long WINDOW = 1L << 32;
  private static final long WINDOW_BYTES = 16L << 20;
  private static final long LARGE_PAGE_MASK = (2L << 20) - 1;

  /** An IOMMU that refuses what overlaps, as the kernel's does. */
  private static final class Space implements DmaSpace {
    final TreeMap<Long, Long> mapped = new TreeMap<>();
    boolean isFull;

    @Override
    public void map(final long address, final long iova, final long lengthBytes) {
      if (isFull) {
        throw new SysException("full", Errno.ENOSPC);
      }
      final Long before = mapped.lowerKey(iova + lengthBytes);
      assertTrue(before == null || before + mapped.get(before) <= iova, "mapped twice");
      mapped.put(iova, lengthBytes);
    }

    @Override
    public void unmap(final long iova, final long lengthBytes) {
      assertTrue(mapped.containsKey(iova), "was not mapped");
      mapped.subMap(iova, iova + lengthBytes).clear();
    }
  }

  private final Space space = new Space();
  private final GuestDma dma = new GuestDma("Nvme0", space, WINDOW, WINDOW_BYTES, PIECE);
  private final List<Integer> fds = new ArrayList<>();

  @AfterEach
  void close() {
    fds.forEach(Fds::close);
  }

  private MappedArea area(final long lengthBytes) {
    final int fd = Memfd.create("guest", lengthBytes);
    fds.add(fd);
    return MappedArea.map(fd, 0, lengthBytes, "a guest");
  }

  private int mapAll() {
    int pieces = 1;
    while (dma.mapNext()) {
      pieces++;
    }
    return pieces;
  }

  @Test
  void shouldMapALargeAreaPieceByPieceAndInOneRange() {
    final MappedArea area = area(3 * PIECE + PAGE);
    dma.add(area);
    assertEquals(DmaMap.UNMAPPED, dma.map().iova(area.address(), PAGE));
    assertTrue(dma.mapNext());
    final long iova = dma.map().iova(area.address(), PIECE);
    assertTrue(iova >= WINDOW && iova < WINDOW + WINDOW_BYTES);
    assertEquals(area.address() & LARGE_PAGE_MASK, iova & LARGE_PAGE_MASK);
    assertEquals(DmaMap.UNMAPPED, dma.map().iova(area.address() + PIECE, PAGE));
    assertEquals(3, mapAll());
    assertEquals(iova + 3 * PIECE, dma.map().iova(area.address() + 3 * PIECE, PAGE));
    assertEquals(4, space.mapped.size());
    dma.add(area);
    assertFalse(dma.mapNext());
    area.unmap();
    assertTrue(space.mapped.isEmpty());
    assertEquals(DmaMap.UNMAPPED, dma.map().iova(area.address(), PAGE));
  }

  @Test
  void shouldEndWithAnAreaThatWasNotMappedToTheEnd() {
    final MappedArea area = area(3 * PIECE);
    dma.add(area);
    assertTrue(dma.mapNext());
    area.unmap();
    assertTrue(space.mapped.isEmpty());
    assertFalse(dma.mapNext());
    assertTrue(space.mapped.isEmpty());
  }

  @Test
  void shouldGiveAddressesThatAreFreeAgain() {
    final MappedArea first = area(4L << 20);
    final MappedArea second = area(2L << 20);
    final MappedArea tooMuch = area(12L << 20);
    dma.add(first);
    dma.add(second);
    dma.add(tooMuch);
    mapAll();
    assertNotEquals(dma.map().iova(first.address(), PAGE), dma.map().iova(second.address(), PAGE));
    assertEquals(DmaMap.UNMAPPED, dma.map().iova(tooMuch.address(), PAGE));
    tooMuch.unmap();
    first.unmap();
    final MappedArea third = area(PIECE);
    dma.add(third);
    mapAll();
    assertNotEquals(DmaMap.UNMAPPED, dma.map().iova(third.address(), PIECE));
    second.unmap();
    third.unmap();
    assertTrue(space.mapped.isEmpty());
  }

  @Test
  void shouldLeaveTheRestToBounceBuffersWhenNothingMoreCanBeMapped() {
    final MappedArea area = area(2 * PIECE);
    dma.add(area);
    assertTrue(dma.mapNext());
    space.isFull = true;
    assertFalse(dma.mapNext());
    assertNotEquals(DmaMap.UNMAPPED, dma.map().iova(area.address(), PIECE));
    assertEquals(DmaMap.UNMAPPED, dma.map().iova(area.address() + PIECE, PAGE));
    area.unmap();
    assertTrue(space.mapped.isEmpty());
  }

  @Test
  void shouldTouchNothingOnceTheDeviceIsGone() {
    final MappedArea area = area(PIECE);
    dma.add(area);
    mapAll();
    dma.close();
    area.unmap();
    assertEquals(1, space.mapped.size());
    dma.add(area(PIECE));
    assertFalse(dma.mapNext());
  }
}
