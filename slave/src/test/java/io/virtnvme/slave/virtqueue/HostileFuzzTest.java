package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.journal.PackedInflight;
import io.virtnvme.journal.SplitInflight;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/**
 * Random bytes wherever guest and front-end can write: nothing is thrown, no store lands outside
 * guest memory (guards), and the disk is never given a buffer outside of it (the disk checks).
 */
class HostileFuzzTest {
  private static final int STEPS = 120;
  private static final int QUEUE_SIZE = 16;

  private static Rig rig(final boolean packed, final long features, final int room) {
    final TestDisk disk = new TestDisk(1 << 20, 512);
    if (room > 0) {
      disk.asynchronous(room);
    }
    return Rig.started(packed, QUEUE_SIZE, features, disk);
  }

  private static long features(final Random random) {
    return (random.nextBoolean() ? VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC) : 0)
        | (random.nextBoolean() ? VirtioFeature.of(VirtioFeature.RING_EVENT_IDX) : 0);
  }

  @Property(tries = 1500)
  void shouldSurviveRandomBytesInTheRing(@ForAll final long seed, @ForAll final boolean packed) {
    final Random random = new Random(seed);
    try (Rig rig = rig(packed, features(random), random.nextInt(4))) {
      final long ringBytes = rig.guestData - Rig.GUEST_RINGS;
      Mem.copyIn(Rig.randomBytes(random, QUEUE_SIZE * 16), 0, rig.descriptors(), QUEUE_SIZE * 16);
      for (int i = 0; i < 20; i++) {
        final long at = rig.memory.translate(Rig.GUEST_RINGS + random.nextInt((int) ringBytes), 1);
        Mem.putByte(at, (byte) random.nextInt());
        final int index = random.nextInt(QUEUE_SIZE);
        Mem.putShort(rig.setup.availAddress() + 4 + 2L * index, (short) random.nextInt(20));
        Mem.putShort(rig.setup.availAddress() + 2, (short) random.nextInt(20));
        turn(rig, random);
      }
      assertTrue(rig.guardsHold());
    }
  }

  @Property(tries = 1500)
  void shouldSurviveBitFlipsInRequests(@ForAll final long seed, @ForAll final boolean packed) {
    final Random random = new Random(seed);
    try (Rig rig = rig(packed, features(random), random.nextInt(4))) {
      for (int i = 0; i < STEPS; i++) {
        submit(rig, random);
        if (random.nextInt(3) == 0) {
          flip(rig.descriptors(), QUEUE_SIZE * 16, random);
        }
        if (random.nextInt(3) == 0) {
          // Headers and indirect tables.
          final long slots = rig.memory.translate(rig.driver.headerGuestAddress(0), 1);
          flip(slots, 4096, random);
        }
        rig.driver.publish();
        turn(rig, random);
        rig.reapAll();
      }
      assertTrue(rig.guardsHold());
    }
  }

  @Property(tries = 1500)
  void shouldSurviveRandomBytesInTheJournal(@ForAll final long seed, @ForAll final boolean packed) {
    final Random random = new Random(seed);
    final int journalBytes =
        (int)
            (packed
                ? PackedInflight.regionLength(QUEUE_SIZE)
                : SplitInflight.regionLength(QUEUE_SIZE));
    try (Rig rig = rig(packed, features(random), random.nextInt(4))) {
      for (int i = 0; i < STEPS; i++) {
        submit(rig, random);
        rig.driver.publish();
        turn(rig, random);
        for (int n = random.nextInt(3); n > 0; n--) {
          flip(rig.journal, journalBytes, random);
        }
        if (random.nextInt(10) == 0) {
          rig.disk.die(random);
          rig.dropAgent();
          rig.startAgent();
        } else if (random.nextInt(10) == 0) {
          rig.agent.recoverInPlace();
          if (rig.agent.awaitsIdle()) {
            while (rig.disk.heldCount() > 0) {
              rig.disk.finish(random, rig.agent, 0);
            }
            rig.agent.onChannelIdle();
          }
        }
        rig.reapAll();
      }
      assertTrue(rig.guardsHold());
    }
  }

  private static void flip(final long address, final int lengthBytes, final Random random) {
    final long at = address + random.nextInt(lengthBytes);
    Mem.putByte(at, (byte) (Mem.getByte(at) ^ 1 << random.nextInt(8)));
  }

  private static void submit(final Rig rig, final Random random) {
    final boolean in = random.nextBoolean();
    final int token =
        rig.driver.begin(in ? BlkRequest.TYPE_IN : BlkRequest.TYPE_OUT, random.nextInt(1000));
    if (token != DriverQueue.NONE) {
      for (int n = 1 + random.nextInt(3); n > 0; n--) {
        rig.driver.data(rig.guestData + random.nextInt(Rig.DATA_BYTES), 512, in);
      }
      rig.driver.add();
    }
  }

  private static void turn(final Rig rig, final Random random) {
    rig.agent.poll(1 + random.nextInt(8));
    if (rig.disk.heldCount() > 0 && random.nextBoolean()) {
      rig.disk.finish(random, rig.agent, random.nextInt(4) == 0 ? -5 : 0);
    }
    rig.agent.flush();
    if (random.nextInt(4) == 0) {
      rig.agent.armKicks();
    }
  }
}
