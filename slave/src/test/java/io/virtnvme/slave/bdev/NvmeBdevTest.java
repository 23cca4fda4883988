package io.virtnvme.slave.bdev;

import static io.virtnvme.slave.bdev.BlockChannel.DONE;
import static io.virtnvme.slave.bdev.BlockChannel.FLAG_DURABLE;
import static io.virtnvme.slave.bdev.BlockChannel.FLAG_UNMAP;
import static io.virtnvme.slave.bdev.BlockChannel.OP_FLUSH;
import static io.virtnvme.slave.bdev.BlockChannel.OP_READ;
import static io.virtnvme.slave.bdev.BlockChannel.OP_UNMAP;
import static io.virtnvme.slave.bdev.BlockChannel.OP_WRITE;
import static io.virtnvme.slave.bdev.BlockChannel.OP_WRITE_ZEROES;
import static io.virtnvme.slave.bdev.BlockChannel.PENDING;
import static io.virtnvme.slave.bdev.BlockChannel.RETRY;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.queue.DeviceQueueFault;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.Counter;
import io.virtnvme.ipc.nvme.queue.InjectedErrors;
import io.virtnvme.ipc.nvme.soft.SoftFaults;
import io.virtnvme.ipc.nvme.soft.SoftOptions;
import io.virtnvme.ipc.sys.Errno;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NvmeBdevTest {
  private static final int PAGE = NvmeRig.PAGE;

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
    rig.close();
  }

  private static byte[] random(final int seed, final int lengthBytes) {
    final byte[] content = new byte[lengthBytes];
    new Random(seed).nextBytes(content);
    return content;
  }

  @Test
  void shouldMoveAnyShapeOfBuffersBothWays() {
    final long[][] shapes = {
      {0, 512},
      {0, 4096},
      {512, 4096},
      {512, 8192},
      {3584, 512, 4096 * 5, 4096, 4096 * 9, 512},
      {0, 128 * 1024},
      {2048, 300 * 1024},
      // Not for PRPs: a gap inside a page, an odd address, lengths that are no blocks.
      {0, 512, 8192, 512},
      {1, 4096},
      {0, 100, 4096, 412, 8192, 4096},
      {100, 70_000 - 70_000 % 512},
      {0, 4096, 5000, 1024, 12_288, 8192},
    };
    int seed = 0;
    for (final long[] shape : shapes) {
      long length = 0;
      for (int i = 1; i < shape.length; i += 2) {
        length += shape[i];
      }
      final byte[] content = random(++seed, (int) length);
      int done = 0;
      for (int i = 0; i < shape.length; i += 2) {
        rig.fill(shape[i], Arrays.copyOfRange(content, done, done + (int) shape[i + 1]));
        done += (int) shape[i + 1];
      }
      final long offset = 1536L * seed;
      assertEquals(DONE, rig.run(OP_WRITE, offset, 0, shape), () -> Arrays.toString(shape));
      assertArrayEquals(content, rig.medium((int) offset, (int) length));
      final long[] back = shape.clone();
      for (int i = 0; i < back.length; i += 2) {
        back[i] += 2 << 20;
      }
      assertEquals(DONE, rig.run(OP_READ, offset, 0, back));
      done = 0;
      for (int i = 0; i < back.length; i += 2) {
        assertArrayEquals(
            Arrays.copyOfRange(content, done, done + (int) back[i + 1]),
            rig.guestBytes(back[i], (int) back[i + 1]),
            () -> Arrays.toString(shape));
        done += (int) back[i + 1];
      }
    }
    assertTrue(rig.counter(Counter.BOUNCED) > 0);
    assertEquals(0, rig.queue.inFlightCount());
  }

  @Test
  void shouldBounceNothingThatPrpsCanSay() {
    rig.run(OP_WRITE, 0, 0, 512, 64 * 1024);
    rig.run(OP_READ, 0, 0, 0, 4096, 8192, 4096, 4 * PAGE, 512);
    assertEquals(0, rig.counter(Counter.BOUNCED));
    assertEquals(2, rig.device.executed().size());
  }

  @Test
  void shouldReachMemoryThatTheDeviceDoesNotSee() {
    rig.dma.remove(rig.guest);
    rig.fill(0, random(1, 40_960));
    assertEquals(DONE, rig.run(OP_WRITE, 1024, 0, 0, 40_960));
    assertArrayEquals(random(1, 40_960), rig.medium(1024, 40_960));
    assertEquals(DONE, rig.run(OP_READ, 1024, 0, 1 << 20, 40_960));
    assertArrayEquals(random(1, 40_960), rig.guestBytes(1 << 20, 40_960));
    assertEquals(6, rig.counter(Counter.BOUNCED));
  }

  @Test
  void shouldClearAndFlush() {
    rig.fill(0, random(1, 65_536));
    assertEquals(DONE, rig.run(OP_WRITE, 0, FLAG_DURABLE, 0, 65_536));
    assertTrue((rig.device.executed().get(0).dword12() & 1 << 30) != 0);
    rig.channel.submit(OP_WRITE_ZEROES, 0, 0, 512, 1024, FLAG_UNMAP, NvmeRig.tag(1));
    assertEquals(DONE, rig.await(1));
    assertTrue((rig.device.executed().get(1).dword12() & 1 << 25) != 0);
    rig.channel.submit(OP_UNMAP, 0, 0, 8192, 4096, 0, NvmeRig.tag(1));
    assertEquals(DONE, rig.await(1));
    rig.channel.submit(OP_FLUSH, 0, 0, 0, 0, 0, NvmeRig.tag(1));
    assertEquals(DONE, rig.await(1));
    assertEquals(NvmOpcode.FLUSH, rig.device.executed().get(3).opcode());
    final byte[] expected = random(1, 65_536);
    Arrays.fill(expected, 512, 1536, (byte) 0);
    Arrays.fill(expected, 8192, 12_288, (byte) 0);
    assertArrayEquals(expected, rig.medium(0, 65_536));
  }

  @Test
  void shouldWriteZeroesToADeviceThatCannotClear() {
    rig.close();
    rig = new NvmeRig(folder.resolve(""), SoftOptions.small().withNvmCommands(0), 0, 4);
    rig.fill(0, random(1, 300 * 1024));
    rig.run(OP_WRITE, 0, 0, 0, 300 * 1024);
    assertEquals(
        PENDING, rig.channel.submit(OP_WRITE_ZEROES, 0, 0, 512, 299 * 1024, 0, NvmeRig.tag(1)));
    assertEquals(DONE, rig.await(1));
    assertArrayEquals(new byte[299 * 1024], rig.medium(512, 299 * 1024));
    assertEquals(DONE, rig.channel.submit(OP_UNMAP, 0, 0, 0, 4096, 0, NvmeRig.tag(1)));
  }

  @Test
  void shouldRefuseWhatIsOutside() {
    final long end = (long) NvmeRig.BLOCK_COUNT * 512;
    assertEquals(-Errno.EINVAL, rig.run(OP_READ, end, 0, 0, 512));
    assertEquals(-Errno.EINVAL, rig.run(OP_READ, -512, 0, 0, 512));
    assertEquals(DONE, rig.run(OP_READ, end - 512, 0, 0, 512));
  }

  @Test
  void shouldTellMediaErrorsFromThoseThatPass() {
    rig.device.faults().failNext(false, NvmOpcode.READ, Status.UNRECOVERED_READ_ERROR, 1);
    assertEquals(-Errno.EIO, rig.run(OP_READ, 0, 0, 0, 512));
    assertEquals(1, rig.counter(Counter.MEDIA_ERRORS));
    assertEquals(0, rig.counter(Counter.RETRIES));
    for (final int status :
        new int[] {
          Status.INTERNAL_ERROR,
          Status.DATA_TRANSFER_ERROR,
          Status.TRANSIENT_TRANSPORT_ERROR,
          Status.ABORTED_BY_REQUEST,
          0x371
        }) {
      rig.device.faults().failNext(false, SoftFaults.ANY, status, NvmeRequest.RETRIES_MAX);
      assertEquals(DONE, rig.run(OP_WRITE, 0, 0, 0, 512), () -> "status " + status);
    }
    assertEquals(5 * NvmeRequest.RETRIES_MAX, rig.counter(Counter.RETRIES));
    rig.device
        .faults()
        .failNext(false, SoftFaults.ANY, Status.INTERNAL_ERROR, NvmeRequest.RETRIES_MAX + 1);
    assertEquals(-Errno.EIO, rig.run(OP_WRITE, 0, 0, 0, 512));
    rig.device
        .faults()
        .failNext(false, SoftFaults.ANY, Status.INTERNAL_ERROR | Status.DO_NOT_RETRY, 1);
    assertEquals(-Errno.EIO, rig.run(OP_WRITE, 0, 0, 0, 512));
    rig.device.faults().failNext(false, SoftFaults.ANY, Status.NAMESPACE_WRITE_PROTECTED, 1);
    assertEquals(-Errno.EROFS, rig.run(OP_WRITE, 0, 0, 0, 512));
    rig.device.faults().failNext(false, SoftFaults.ANY, Status.CAPACITY_EXCEEDED, 1);
    assertEquals(-Errno.ENOSPC, rig.run(OP_WRITE, 0, 0, 0, 512));
  }

  @Test
  void shouldSubmitAgainAsOftenAsTheMasterSays() {
    rig.queue.retries(1);
    rig.device.faults().failNext(false, SoftFaults.ANY, Status.INTERNAL_ERROR, 1);
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 0, 512));
    rig.device.faults().failNext(false, SoftFaults.ANY, Status.INTERNAL_ERROR, 2);
    assertEquals(-Errno.EIO, rig.run(OP_READ, 0, 0, 0, 512));
    rig.queue.retries(0);
    rig.device.faults().failNext(false, SoftFaults.ANY, Status.INTERNAL_ERROR, 1);
    assertEquals(-Errno.EIO, rig.run(OP_READ, 0, 0, 0, 512));
    rig.queue.retries(9);
    rig.device.faults().failNext(false, SoftFaults.ANY, Status.INTERNAL_ERROR, 9);
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 0, 512));
  }

  private void inject(final int opcode, final boolean isSubmitted, final int status, final int n) {
    assertTrue(InjectedErrors.add(rig.queue.address(), opcode, isSubmitted, status, n));
  }

  @Test
  void shouldMakeUpErrorsOfCommandsThatTheDeviceHasEnded() {
    rig.fill(0, random(1, 512));
    inject(NvmOpcode.WRITE, true, Status.WRITE_FAULT, 2);
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 4096, 512));
    assertEquals(-Errno.EIO, rig.run(OP_WRITE, 0, 0, 0, 512));
    assertArrayEquals(random(1, 512), rig.medium(0, 512), "the device has done it");
    // Where a dead slave stopped its successor goes on.
    rig.live();
    assertEquals(-Errno.EIO, rig.run(OP_WRITE, 0, 0, 0, 512));
    assertEquals(DONE, rig.run(OP_WRITE, 0, 0, 0, 512));
    assertEquals(2, rig.counter(Counter.MEDIA_ERRORS));
    inject(NvmOpcode.READ, true, Status.INTERNAL_ERROR, NvmeRequest.RETRIES_MAX);
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 4096, 512));
    assertArrayEquals(random(1, 512), rig.guestBytes(4096, 512));
    assertEquals(NvmeRequest.RETRIES_MAX, rig.counter(Counter.RETRIES));
    // What the device says itself stays as it is, and does not count.
    inject(NvmOpcode.READ, true, Status.UNRECOVERED_READ_ERROR, 1);
    rig.device.faults().failNext(false, NvmOpcode.READ, Status.CAPACITY_EXCEEDED, 1);
    assertEquals(-Errno.ENOSPC, rig.run(OP_READ, 0, 0, 4096, 512));
    assertEquals(-Errno.EIO, rig.run(OP_READ, 0, 0, 4096, 512));
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 4096, 512));
  }

  @Test
  void shouldMakeUpErrorsOfCommandsThatTheDeviceNeverGets() {
    rig.fill(0, random(1, 300 * 1024));
    inject(NvmOpcode.WRITE, false, Status.WRITE_FAULT, 1);
    assertEquals(-Errno.EIO, rig.run(OP_WRITE, 0, 0, 0, 512));
    assertEquals(0, rig.device.executed().size());
    assertEquals(0, rig.queue.inFlightCount());
    inject(NvmOpcode.WRITE, false, Status.INTERNAL_ERROR, NvmeRequest.RETRIES_MAX);
    assertEquals(DONE, rig.run(OP_WRITE, 0, 0, 0, 512));
    assertEquals(1, rig.device.executed().size());
    inject(NvmOpcode.WRITE, false, Status.INTERNAL_ERROR, NvmeRequest.RETRIES_MAX + 1);
    assertEquals(-Errno.EIO, rig.run(OP_WRITE, 0, 0, 0, 512));
    // In the middle of a request, whose first piece is done.
    assertEquals(PENDING, rig.submit(OP_WRITE, 1, 4096, 0, 0, 300 * 1024));
    inject(NvmOpcode.WRITE, false, Status.WRITE_FAULT, 1);
    assertEquals(-Errno.EIO, rig.await(1));
    for (int i = 0; i < 16; i++) {
      assertEquals(PENDING, rig.submit(OP_READ, i, 0, 0, i * 4096L, 512), "no slot is lost");
    }
    for (int i = 0; i < 16; i++) {
      assertEquals(DONE, rig.await(i));
    }
    assertEquals(0, rig.io.inFlightCount());
  }

  @Test
  void shouldForgetErrorsThatAreNotWantedAnyMore() {
    inject(NvmOpcode.WRITE, true, Status.WRITE_FAULT, 1000);
    inject(NvmOpcode.READ, true, Status.UNRECOVERED_READ_ERROR, 1000);
    InjectedErrors.end(rig.queue.address(), NvmOpcode.WRITE);
    assertEquals(DONE, rig.run(OP_WRITE, 0, 0, 0, 512));
    assertEquals(-Errno.EIO, rig.run(OP_READ, 0, 0, 0, 512));
    assertEquals(
        List.of(new InjectedErrors.Entry(NvmOpcode.READ, true, Status.UNRECOVERED_READ_ERROR, 999)),
        InjectedErrors.entries(rig.queue.address()));
    inject(NvmOpcode.READ, true, Status.INTERNAL_ERROR, 1);
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 0, 512), "the later rule counts");
    InjectedErrors.end(rig.queue.address(), NvmOpcode.READ);
    assertFalse(InjectedErrors.mayBe(rig.queue.address()));
    for (int opcode = 0; opcode < InjectedErrors.ENTRY_COUNT; opcode++) {
      inject(0x80 + opcode, true, Status.INTERNAL_ERROR, 1);
    }
    assertFalse(
        InjectedErrors.add(rig.queue.address(), NvmOpcode.READ, true, Status.INTERNAL_ERROR, 1));
  }

  @Test
  void shouldAnswerRetryWhenAllSlotsAreTakenAndGoOn() {
    rig.device.faults().hold(true);
    for (int i = 0; i < 16; i++) {
      assertEquals(PENDING, rig.submit(OP_READ, i, i * 512L, 0, i * 4096L, 512));
    }
    assertEquals(RETRY, rig.submit(OP_READ, 16, 0, 0, 0, 512));
    rig.cycle();
    assertEquals(16, rig.device.heldCount());
    assertEquals(16, rig.io.inFlightCount());
    assertTrue(rig.io.armWakeUp());
    rig.device.endHeld(15);
    rig.device.endHeld(3);
    assertEquals(DONE, rig.await(15));
    assertEquals(DONE, rig.await(3));
    assertEquals(PENDING, rig.submit(OP_READ, 16, 0, 0, 0, 512));
    rig.device.faults().hold(false);
    assertEquals(DONE, rig.await(16));
  }

  @Test
  void shouldGiveUpOnADeviceThatEndsWhatItDoesNotHave() {
    rig.device.faults().doubleNext(1);
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 0, 512));
    rig.cycle();
    assertEquals(DeviceQueueFault.UNKNOWN_COMMAND_ID.code(), rig.queue.fault());
    assertEquals(1, rig.counter(Counter.UNKNOWN_COMPLETIONS));
    assertEquals(RETRY, rig.submit(OP_READ, 1, 0, 0, 0, 512));
    rig.live();
    rig.cycle();
    assertEquals(RETRY, rig.submit(OP_READ, 1, 0, 0, 0, 512));
    reset();
    rig.cycle();
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 0, 512));
    for (final int id : new int[] {16, 0xFFFF, 5}) {
      rig.device.completeUnknown(NvmeRig.QUEUE_ID, id, 0);
      rig.cycle();
      assertEquals(DeviceQueueFault.UNKNOWN_COMMAND_ID.code(), rig.queue.fault());
      reset();
      rig.cycle();
      assertEquals(0, rig.queue.fault());
    }
  }

  private void reset() {
    rig.queue.shutGate();
    assertFalse(rig.queue.isShutAndSeen());
    rig.cycle();
    assertTrue(rig.queue.isShutAndSeen());
    rig.device.reset();
    rig.createQueues();
  }

  @Test
  void shouldRunEverythingAgainAfterAResetOfTheController() {
    rig.fill(0, random(1, 64 * 1024));
    assertEquals(PENDING, rig.submit(OP_WRITE, 1, 0, 0, 0, 64 * 1024));
    rig.device.faults().loseNext(2);
    assertEquals(PENDING, rig.submit(OP_WRITE, 2, 64 * 1024, 0, 1, 512));
    rig.cycle();
    rig.cycle();
    assertEquals(2, rig.io.inFlightCount());
    assertTrue(rig.queue.place(0) > 0 || rig.queue.place(1) > 0);
    rig.queue.shutGate();
    rig.cycle();
    assertEquals(RETRY, rig.submit(OP_READ, 3, 0, 0, 0, 512));
    assertTrue(rig.queue.isShutAndSeen());
    rig.device.reset();
    rig.createQueues();
    assertEquals(DONE, rig.await(1));
    assertEquals(DONE, rig.await(2));
    assertArrayEquals(random(1, 64 * 1024), rig.medium(0, 64 * 1024));
    rig.queue.shutGate();
    rig.cycle();
    rig.queue.openGate(false);
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 0, 512));
  }

  @Test
  void shouldRefuseAQueuePairOfAnotherDisk() {
    assertThrows(BdevException.class, () -> rig.bdev.resize(NvmeRig.BLOCK_COUNT + 1));
    rig.bdev.resize(8);
    assertEquals(4096, rig.channel.lengthBytes());
    assertEquals(-Errno.EINVAL, rig.run(OP_READ, 4096, 0, 0, 512));
  }

  @Test
  void shouldLetGoOfTheSegmentWhenTheDiskIsClosed() {
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 0, 512));
    rig.bdev.close();
    rig.cycle();
    assertEquals(RETRY, rig.submit(OP_READ, 0, 0, 0, 0, 512));
    assertEquals(0, rig.io.inFlightCount());
    rig.live();
    rig.bdev.close();
    rig.cycle();
    rig.live();
    assertEquals(DONE, rig.run(OP_READ, 0, 0, 0, 512));
  }

  @Test
  void shouldNotAllocatePerRequest() {
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    final ReactorIo.Listener listener = (tag, result) -> {};
    final long iovecs = rig.iovecs(512, 8192, 3 * PAGE, 4096, 1, 4096);
    long least = Long.MAX_VALUE;
    for (int window = 0; window < 5; window++) {
      long allocated = 0;
      for (int i = 0; i < 500; i++) {
        final long before = threads.getCurrentThreadAllocatedBytes();
        rig.channel.submit(OP_READ, iovecs, 1, 0, 8192, 0, NvmeRig.tag(1));
        rig.channel.submit(OP_WRITE, Iovecs.at(iovecs, 2), 1, 0, 4096, 0, NvmeRig.tag(2));
        rig.channel.submit(OP_FLUSH, 0, 0, 0, 0, 0, NvmeRig.tag(3));
        rig.io.poll(listener, 32);
        allocated += threads.getCurrentThreadAllocatedBytes() - before;
        rig.device.step();
        final long again = threads.getCurrentThreadAllocatedBytes();
        rig.io.poll(listener, 32);
        allocated += threads.getCurrentThreadAllocatedBytes() - again;
      }
      least = Math.min(least, allocated);
    }
    assertEquals(0, rig.io.inFlightCount());
    assertEquals(0, least);
  }
}
