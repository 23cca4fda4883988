package io.virtnvme.slave.bdev;

import static io.virtnvme.slave.bdev.BlockChannel.DONE;
import static io.virtnvme.slave.bdev.BlockChannel.FLAG_RECOVERED;
import static io.virtnvme.slave.bdev.BlockChannel.OP_FLUSH;
import static io.virtnvme.slave.bdev.BlockChannel.OP_READ;
import static io.virtnvme.slave.bdev.BlockChannel.OP_WRITE;
import static io.virtnvme.slave.bdev.BlockChannel.PENDING;
import static io.virtnvme.slave.bdev.BlockChannel.RETRY;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.Counter;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A slave dies with commands on the device; the next one waits for them. */
class NvmeTakeoverTest {
  @TempDir private Path folder;
  private NvmeRig rig;

  @BeforeEach
  void setUp() {
    rig = NvmeRig.of(folder);
  }

  @AfterEach
  void tearDown() {
    assertEquals(0, rig.device.badDoorbellCount());
    assertEquals(0, rig.device.dmaFaultCount());
    assertEquals(0, rig.counter(Counter.INCONSISTENCIES));
    assertEquals(0, rig.counter(Counter.UNKNOWN_COMPLETIONS));
    rig.close();
  }

  private static byte[] random(final int seed, final int lengthBytes) {
    final byte[] content = new byte[lengthBytes];
    new Random(seed).nextBytes(content);
    return content;
  }

  @Test
  void shouldWaitForWhatTheDeviceHoldsAndSubmitNothingAgain() {
    rig.device.faults().hold(true);
    rig.fill(0, random(1, 8192));
    assertEquals(PENDING, rig.submit(OP_WRITE, 4, 0, 0, 0, 8192));
    assertEquals(PENDING, rig.submit(OP_WRITE, 9, 8192, 0, 8192, 4096));
    channelFlush(11, 0);
    rig.cycle();
    assertEquals(3, rig.device.heldCount());
    rig.live();
    assertEquals(PENDING, rig.submit(OP_WRITE, 9, 8192, FLAG_RECOVERED, 8192, 4096));
    assertEquals(PENDING, rig.submit(OP_WRITE, 4, 0, FLAG_RECOVERED, 0, 8192));
    assertEquals(PENDING, channelFlush(11, FLAG_RECOVERED));
    assertEquals(3, rig.counter(Counter.ADOPTED));
    assertEquals(PENDING, rig.submit(OP_READ, 1, 0, 0, 1 << 20, 512));
    rig.device.faults().hold(false);
    assertEquals(DONE, rig.await(9));
    assertEquals(DONE, rig.await(4));
    assertEquals(DONE, rig.await(11));
    assertEquals(DONE, rig.await(1));
    assertEquals(4, rig.device.executed().size());
    assertArrayEquals(random(1, 8192), rig.medium(0, 8192));
  }

  private int channelFlush(final int slot, final int flags) {
    return rig.channel.submit(OP_FLUSH, 0, 0, 0, 0, flags, NvmeRig.tag(slot));
  }

  @Test
  void shouldFindTheEndOfWhatEndedMeanwhile() {
    rig.submit(OP_WRITE, 4, 0, 0, 0, 4096);
    rig.cycle();
    rig.device.step();
    rig.live();
    assertEquals(PENDING, rig.submit(OP_WRITE, 4, 0, FLAG_RECOVERED, 0, 4096));
    assertEquals(DONE, rig.await(4));
    assertEquals(1, rig.device.executed().size());
  }

  /** It was put into the queue, and the device was never told. */
  @Test
  void shouldRingForWhatTheDeadSlaveDidNot() {
    rig.submit(OP_WRITE, 4, 0, 0, 0, 4096);
    rig.device.step();
    assertEquals(0, rig.device.heldCount());
    rig.live();
    assertEquals(PENDING, rig.submit(OP_WRITE, 4, 0, FLAG_RECOVERED, 0, 4096));
    assertEquals(1, rig.counter(Counter.ADOPTED));
    assertEquals(DONE, rig.await(4));
    assertEquals(1, rig.device.executed().size());
  }

  /** The front-end has another request there by now, or another session: nothing may overtake. */
  @Test
  void shouldSubmitNothingBeforeWhatNobodyAsksForHasEnded() {
    rig.device.faults().hold(true);
    rig.fill(0, random(1, 4096));
    rig.submit(OP_WRITE, 4, 0, 0, 0, 4096);
    rig.cycle();
    rig.live();
    rig.fill(4096, random(2, 4096));
    assertEquals(RETRY, rig.submit(OP_WRITE, 4, 0, 0, 4096, 4096));
    assertEquals(RETRY, rig.submit(OP_WRITE, 5, 0, FLAG_RECOVERED, 4096, 4096));
    assertEquals(RETRY, rig.submit(OP_READ, 4, 0, FLAG_RECOVERED, 4096, 4096));
    assertEquals(RETRY, rig.submit(OP_WRITE, 4, 512, FLAG_RECOVERED, 4096, 4096));
    assertEquals(RETRY, rig.submit(OP_WRITE, 4, 0, FLAG_RECOVERED, 4096, 2048));
    rig.channel.bind(NvmeRig.RING_SLOT, NvmeRig.SESSION + 1, 1);
    assertEquals(RETRY, rig.submit(OP_WRITE, 4, 0, FLAG_RECOVERED, 4096, 4096));
    assertEquals(1, rig.io.inFlightCount());
    rig.device.faults().hold(false);
    rig.cycle();
    rig.cycle();
    assertEquals(0, rig.io.inFlightCount());
    assertEquals(PENDING, rig.submit(OP_WRITE, 4, 0, 0, 4096, 4096));
    assertEquals(DONE, rig.await(4));
    assertArrayEquals(random(2, 4096), rig.medium(0, 4096));
    assertTrue(rig.ends.isEmpty());
  }

  /** 300 KiB are three commands; a slave dies with the second one on the device. */
  @Test
  void shouldGoOnInTheMiddleOfALongRequest() {
    rig.fill(0, random(1, 300 * 1024));
    rig.submit(OP_WRITE, 4, 512, 0, 0, 300 * 1024);
    rig.cycle();
    rig.device.faults().hold(true);
    rig.cycle();
    rig.cycle();
    assertEquals(1, rig.device.executed().size());
    assertEquals(1, rig.device.heldCount());
    rig.live();
    assertEquals(PENDING, rig.submit(OP_WRITE, 4, 512, FLAG_RECOVERED, 0, 300 * 1024));
    rig.device.faults().hold(false);
    assertEquals(DONE, rig.await(4));
    assertEquals(3, rig.device.executed().size());
    assertArrayEquals(random(1, 300 * 1024), rig.medium(512, 300 * 1024));
  }

  @Test
  void shouldTakeAPredecessorsDataOutOfTheBounceBuffer() {
    System.arraycopy(random(3, 8192), 0, rig.device.blocks(), NvmeRig.FIRST_BLOCK * 512, 8192);
    rig.device.faults().hold(true);
    rig.submit(OP_READ, 4, 0, 0, 1, 100, 4096, 8092);
    rig.cycle();
    rig.live();
    assertEquals(PENDING, rig.submit(OP_READ, 4, 0, FLAG_RECOVERED, 1, 100, 4096, 8092));
    rig.device.faults().hold(false);
    assertEquals(DONE, rig.await(4));
    assertEquals(1, rig.device.executed().size());
    final byte[] expected = random(3, 8192);
    assertArrayEquals(java.util.Arrays.copyOf(expected, 100), rig.guestBytes(1, 100));
    assertArrayEquals(
        java.util.Arrays.copyOfRange(expected, 100, 8192), rig.guestBytes(4096, 8092));
  }

  @Test
  void shouldSubmitAgainWhatAResetBetweenTwoLivesTookAway() {
    rig.device.faults().loseNext(1);
    rig.submit(OP_WRITE, 4, 0, 0, 0, 4096);
    rig.cycle();
    rig.queue.shutGate();
    rig.device.reset();
    rig.live();
    assertEquals(RETRY, rig.submit(OP_WRITE, 4, 0, FLAG_RECOVERED, 0, 4096));
    rig.createQueues();
    assertEquals(PENDING, rig.submit(OP_WRITE, 4, 0, FLAG_RECOVERED, 0, 4096));
    assertEquals(0, rig.counter(Counter.ADOPTED));
    assertEquals(DONE, rig.await(4));
  }

  /** An error in the middle of a step of this process; its own commands are waited for. */
  @Test
  void shouldDrainItsOwnCommandsWhenItRecoversInPlace() {
    rig.device.faults().hold(true);
    rig.submit(OP_WRITE, 4, 0, 0, 0, 4096);
    rig.cycle();
    rig.io.recover();
    assertEquals(1, rig.io.inFlightCount());
    rig.cycle();
    assertEquals(RETRY, rig.submit(OP_WRITE, 5, 0, 0, 0, 4096));
    rig.device.faults().hold(false);
    rig.cycle();
    rig.cycle();
    assertEquals(0, rig.io.inFlightCount());
    assertTrue(rig.ends.isEmpty());
    assertEquals(PENDING, rig.submit(OP_WRITE, 4, 0, 0, 0, 4096));
    assertEquals(DONE, rig.await(4));
  }

  /** Deaths at random places, with requests in flight: each ends once, and nothing is undone. */
  @Test
  void shouldKeepEveryAcknowledgedWriteOverManyDeaths() {
    final Random random = new Random(7);
    final int[] wanted = new int[12];
    final boolean[] inFlight = new boolean[12];
    for (int round = 0; round < 3000; round++) {
      final int slot = random.nextInt(12);
      switch (random.nextInt(6)) {
        case 0, 1 -> {
          if (!inFlight[slot]) {
            wanted[slot]++;
            write(slot, wanted[slot], 0, inFlight);
          }
        }
        case 2 -> rig.io.poll(rig, 4);
        case 3 -> rig.device.step();
        case 4 -> rig.device.faults().hold(random.nextBoolean());
        default -> {
          rig.live();
          for (int i = 0; i < 12; i++) {
            if (inFlight[i]) {
              inFlight[i] = false;
              write(i, wanted[i], FLAG_RECOVERED, inFlight);
            }
          }
        }
      }
      for (int i = 0; i < 12; i++) {
        final Integer end = rig.ends.remove(i);
        if (end != null) {
          assertTrue(inFlight[i]);
          assertEquals(DONE, end);
          inFlight[i] = false;
          assertEquals(wanted[i], rig.medium(i * 4096, 1)[0] & 0xFF);
          wanted[i] &= 0x7F;
        }
      }
    }
    assertTrue(rig.counter(Counter.ADOPTED) > 100, () -> "" + rig.counter(Counter.ADOPTED));
    assertFalse(rig.queue.inFlightCount() > 12);
  }

  private void write(final int slot, final int value, final int flags, final boolean[] inFlight) {
    rig.fill(slot * 4096L, new byte[] {(byte) value});
    inFlight[slot] = true;
    while (rig.submit(OP_WRITE, slot, slot * 4096L, flags, slot * 4096L, 4096) == RETRY) {
      rig.device.faults().hold(false);
      rig.cycle();
    }
  }
}
