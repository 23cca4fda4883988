package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The controller area: its layout, and what a death leaves of an image. */
class ControllerAreaTest {
  private final long address = Mem.allocate(ControllerAreaDescriptor.LENGTH);
  private final ControllerArea area = new ControllerArea(address);

  @AfterEach
  void free() {
    Mem.listener(null);
    Mem.free(address);
  }

  @Test
  void shouldLieAsItIsDrawn() {
    assertEquals(
        """
        controller area, version 1
             0   8  magic
             8   4  version
            12   4  queue_count
            16   8  generation
            24  40  padding
            64   8  commit
          4096 16512  counters
         24576 69632  image slot 0
         94208 69632  image slot 1
        163840 8256  CQ journals
        176128 528384  SQ journal 0
        704512 135168  SQ journal 1
        18006016      end
        image slot
             0   4  image_number
             4   4  length
             8   4  checksum
            12  52  padding
            64 65536  image
         69632      end
        """,
        ControllerAreaDescriptor.describe());
  }

  @Test
  void shouldKnowItsOwnAndNoOther() {
    assertTrue(area.validate(7).contains("magic=0x0"), area.validate(7));
    area.format(7);
    assertNull(area.validate(7));
    assertTrue(area.validate(8).contains("generation=7"), area.validate(8));
    Mem.putInt(address + 8, 2);
    assertTrue(area.validate(7).contains("version=2"), area.validate(7));
  }

  @Test
  void shouldHaveTheImageBeforeOrTheNewOneWhereverItDies() {
    area.format(1);
    assertNull(area.image());
    final Random random = new Random(5);
    byte[] before = new byte[300];
    area.store(before, true);
    for (int round = 0; round < 4; round++) {
      final byte[] next = NvmeRig.randomBytes(random, 1 + random.nextInt(60_000));
      boolean cut = true;
      for (int stores = 0; cut; stores++) {
        final int[] left = {stores};
        Mem.listener(
            (at, bytes) -> {
              if (left[0]-- == 0) {
                throw new InternalError("cut");
              }
            });
        try {
          area.store(next, false);
          cut = false;
        } catch (final InternalError e) {
          assertArrayEquals(before, area.image());
        } finally {
          Mem.listener(null);
        }
      }
      assertArrayEquals(next, area.image());
      before = next;
    }
    assertEquals(5, area.imageNumber());
    assertEquals(1, area.queueTableVersion());
  }

  @Test
  void shouldGoOnWhenNumbersRunOut() {
    area.format(1);
    Mem.putLong(address + 64, 0xFFFF_FFFEL);
    for (int i = 0; i < 4; i++) {
      final int before = area.imageNumber();
      area.store(new byte[] {(byte) i}, false);
      assertArrayEquals(new byte[] {(byte) i}, area.image());
      assertEquals(1, before + area.imageNumber() & 1, "the same slot twice");
    }
  }

  @Test
  void shouldNotTakeADamagedImage() {
    area.format(1);
    area.store(new byte[100], true);
    final long slot = address + ControllerAreaDescriptor.imageSlotOffset(1);
    Mem.putByte(slot + 64 + 50, (byte) 1);
    assertThrows(IllegalStateException.class, area::image);
    Mem.putByte(slot + 64 + 50, (byte) 0);
    Mem.putInt(slot + 4, -1);
    assertThrows(IllegalStateException.class, area::image);
  }

  @Test
  void shouldKeepJournalsApart() {
    for (int queue = 1; queue < ControllerAreaDescriptor.QUEUE_COUNT; queue++) {
      assertTrue(
          area.sqJournalAddress(queue)
              >= area.sqJournalAddress(queue - 1)
                  + io.virtnvme.journal.NvmeSqJournal.regionLength(queue == 1 ? 4096 : 1024));
      assertEquals(0, area.sqJournalAddress(queue) - address & 63);
      assertEquals(
          io.virtnvme.journal.NvmeCqJournal.regionLength(),
          area.cqJournalAddress(queue) - area.cqJournalAddress(queue - 1));
    }
  }
}
