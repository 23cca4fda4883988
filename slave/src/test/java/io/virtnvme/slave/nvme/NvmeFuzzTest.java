package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/**
 * A driver that writes anything anywhere: entries, lists, doorbells. The disk fails the test when
 * it is asked for something wrong, the guards when somebody stores outside guest memory; and a
 * driver that behaves again is served again.
 */
class NvmeFuzzTest {
  private static final int SIZE = 16;
  private static final int STEPS = 120;

  private final Random random = new Random();

  @Property(tries = 400)
  void shouldHarmNobodyElse(@ForAll final long seed) {
    random.setSeed(seed);
    final NvmeTestDisk disk = new NvmeTestDisk(1 << 20, 512);
    try (NvmeRig rig = new NvmeRig(disk, 1, 8, SIZE, SIZE)) {
      rig.startAgent();
      final byte[] lists = new byte[64 * 4096];
      random.nextBytes(lists);
      rig.put(rig.guestLists, lists);
      for (int step = 0; step < STEPS; step++) {
        step(rig, disk);
      }
      serveAgain(rig, disk);
    }
  }

  private void step(final NvmeRig rig, final NvmeTestDisk disk) {
    switch (random.nextInt(9)) {
      case 0 -> rig.ringHead(random.nextInt(12));
      case 1 -> rig.queues[random.nextInt(2)].ring(random.nextInt(SIZE + 4));
      case 2 -> Mem.putLong(rig.hostOf(pointer(rig) & -8L), pointer(rig));
      case 3 -> disk.room(random.nextInt(5) - 1);
      case 4 -> {
        if (disk.heldCount() > 0) {
          disk.finish(random, rig.agent, random.nextInt(3) == 0 ? -5 : 0);
        }
      }
      case 5 -> {
        if (random.nextInt(10) == 0) {
          rig.agent.memory(random.nextBoolean() ? rig.memory : part(rig));
        }
      }
      case 6 -> {
        rig.reports.runTasks();
        rig.reports.whenLogged.forEach(Runnable::run);
      }
      default -> {
        submit(rig.queues[random.nextInt(2)], rig);
        rig.cycle();
      }
    }
  }

  private void submit(final TestQueue queue, final NvmeRig rig) {
    final TestCommand command = new TestCommand(random.nextInt(14), random.nextInt(0x10000), 1);
    for (int i = 0; i < 16; i++) {
      if (random.nextInt(12) == 0) {
        command.dwords[i] = random.nextInt();
      }
    }
    final int psdt = random.nextInt(10) == 0 ? 3 : random.nextInt(3);
    command.pointer(
        psdt,
        pointer(rig),
        psdt == 0 ? pointer(rig) : (random.nextInt(64) * 16L) | ((long) random.nextInt(4) << 60));
    command.blocks(random.nextInt(2100), 1 + random.nextInt(64));
    queue.add(command);
    queue.ring();
  }

  private long pointer(final NvmeRig rig) {
    return switch (random.nextInt(8)) {
      case 0 -> rig.guestData + 2L * NvmeRig.DATA_BYTES - 1 - random.nextInt(5000);
      case 1 -> rig.guestLists + random.nextInt(64 * 4096 - 8);
      case 2 -> NvmeRig.GUEST + random.nextInt(5 * 64 * 1024);
      case 3 -> rig.guestLists + random.nextInt(64) * 4096L;
      default -> rig.guestData + random.nextInt(2 * NvmeRig.DATA_BYTES / 4096) * 4096L;
    };
  }

  /** Only a part of memory: perhaps without the queues. */
  private DmaMemory part(final NvmeRig rig) {
    final List<MemoryRegion> regions = rig.memory.readable().regions();
    final GuestMemory map = GuestMemory.of(List.of(regions.get(random.nextInt(regions.size()))));
    return new DmaMemory(map, map);
  }

  private void serveAgain(final NvmeRig rig, final NvmeTestDisk disk) {
    disk.room(-1);
    rig.agent.memory(rig.memory);
    while (disk.heldCount() > 0) {
      disk.finish(random, rig.agent, 0);
    }
    // As the driver sees its completion queue now, it takes all that is there, again and again.
    for (int i = 0; i < 400; i++) {
      rig.cycle();
      Mem.putIntRelease(rig.doorbells + 12, tail(rig));
    }
    assertEquals(0, rig.agent.inFlightCount());
    assertEquals(0, rig.agent.heldByChannelCount());
    assertTrue(rig.guardsHold());
  }

  /** The completion queue's tail, which the journal counts. */
  private static int tail(final NvmeRig rig) {
    return (int) (Mem.getLong(rig.area.cqJournalAddress(1) + 16) % 8);
  }
}
