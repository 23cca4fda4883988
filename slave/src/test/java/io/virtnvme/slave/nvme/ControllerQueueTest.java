package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** NVMe over PCIe: Create and Delete I/O Queue, Doorbell Buffer Config, and refused commands. */
class ControllerQueueTest {
  private static final int INVALID_FIELD = 2;
  private static final int INVALID_PRP_OFFSET = 0x13;
  private static final int COMPLETION_QUEUE_INVALID = 0x100;
  private static final int INVALID_QUEUE_ID = 0x101;
  private static final int INVALID_QUEUE_SIZE = 0x102;
  private static final int INVALID_VECTOR = 0x108;
  private static final int INVALID_DELETION = 0x10C;

  private final ControllerRig rig = new ControllerRig();

  @BeforeEach
  void enable() {
    rig.enable();
  }

  @Test
  void shouldMakeQueuesBeforeTheDriverKnows() {
    rig.submit(ControllerRig.createCq(64, 1024, 64));
    while (rig.host.hasSteps()) {
      if (!rig.host.completions.isEmpty()) {
        assertTrue(rig.host.completionQueues.containsKey(64));
      }
      rig.host.step();
    }
    rig.succeed(ControllerRig.createSq(3, 2, 64));
    final CompletionQueue completionQueue = rig.host.completionQueues.get(64);
    assertEquals(1024, completionQueue.entryCount());
    assertEquals(64, completionQueue.vector());
    assertEquals(0x100000 + 64 * 0x10000, completionQueue.guestAddress());
    final SubmissionQueue submissionQueue = rig.host.submissionQueues.get(3);
    assertEquals(2, submissionQueue.entryCount());
    assertEquals(64, submissionQueue.completionQueueId());
  }

  @Test
  void shouldMakeAQueueWithoutInterrupts() {
    rig.succeed(ControllerRig.createCq(1, 2, 999).putInt(44, 999 << 16 | 1));
    assertEquals(-1, rig.host.completionQueues.get(1).vector());
  }

  @Test
  void shouldRefuseABadCompletionQueue() {
    rig.createQueuePair(1);
    rig.refuse(ControllerRig.createCq(0, 2, 0), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.createCq(1, 2, 0), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.createCq(65, 2, 0), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.createCq(0xFFFF, 2, 0), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.createCq(2, 1, 0), INVALID_QUEUE_SIZE, 42);
    rig.refuse(ControllerRig.createCq(2, 1025, 0), INVALID_QUEUE_SIZE, 42);
    rig.refuse(ControllerRig.createCq(2, 65536, 0), INVALID_QUEUE_SIZE, 42);
    rig.refuse(ControllerRig.createCq(2, 2, 65), INVALID_VECTOR, 46);
    rig.refuse(ControllerRig.createCq(2, 2, 0).putInt(44, 2), INVALID_FIELD, 44);
    rig.refuse(ControllerRig.createCq(2, 2, 0).putLong(24, 0x30004), INVALID_PRP_OFFSET, 24);
    rig.refuse(ControllerRig.createCq(2, 2, 0).putLong(24, 0), INVALID_FIELD, 24);
    rig.refuse(
        ControllerRig.createCq(2, 1024, 0).putLong(24, (1 << 30) - 0x3000), INVALID_FIELD, 24);
    rig.refuse(ControllerRig.createCq(2, 2, 0).putLong(24, -4096), INVALID_FIELD, 24);
    assertEquals(2, rig.host.completionQueues.size());
    rig.createQueuePair(2);
  }

  @Test
  void shouldRefuseABadSubmissionQueue() {
    rig.createQueuePair(1);
    rig.refuse(ControllerRig.createSq(0, 2, 1), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.createSq(1, 2, 1), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.createSq(65, 2, 1), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.createSq(2, 2, 0), INVALID_QUEUE_ID, 46);
    rig.refuse(ControllerRig.createSq(2, 2, 65), INVALID_QUEUE_ID, 46);
    rig.refuse(ControllerRig.createSq(2, 2, 2), COMPLETION_QUEUE_INVALID, 46);
    rig.refuse(ControllerRig.createSq(2, 1, 1), INVALID_QUEUE_SIZE, 42);
    rig.refuse(ControllerRig.createSq(2, 1025, 1), INVALID_QUEUE_SIZE, 42);
    rig.refuse(ControllerRig.createSq(2, 2, 1).putInt(44, 1 << 16), INVALID_FIELD, 44);
    rig.refuse(ControllerRig.createSq(2, 2, 1).putLong(24, 0x30800), INVALID_PRP_OFFSET, 24);
    rig.refuse(
        ControllerRig.createSq(2, 1024, 1).putLong(24, (1 << 30) - 0x1000), INVALID_FIELD, 24);
    assertEquals(2, rig.host.submissionQueues.size());
    rig.succeed(ControllerRig.createSq(2, 2, 1));
  }

  @Test
  void shouldRefuseEntriesOfAnotherSize() {
    rig.write(0x14, 4, 0x0056_0001);
    rig.refuse(ControllerRig.createCq(1, 2, 0), INVALID_QUEUE_SIZE, 42);
    rig.write(0x14, 4, 0x0047_0001);
    rig.succeed(ControllerRig.createCq(1, 2, 0));
    rig.refuse(ControllerRig.createSq(1, 2, 1), INVALID_QUEUE_SIZE, 42);
  }

  @Test
  void shouldDeleteQueues() {
    rig.createQueuePair(1);
    rig.succeed(ControllerRig.createSq(2, 2, 1));
    rig.refuse(ControllerRig.deleteCq(1), INVALID_DELETION, 40);
    rig.succeed(ControllerRig.deleteSq(1));
    rig.refuse(ControllerRig.deleteCq(1), INVALID_DELETION, 40);
    rig.succeed(ControllerRig.deleteSq(2));
    rig.refuse(ControllerRig.deleteSq(2), INVALID_QUEUE_ID, 40);
    rig.succeed(ControllerRig.deleteCq(1));
    rig.refuse(ControllerRig.deleteCq(1), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.deleteSq(0), INVALID_QUEUE_ID, 40);
    rig.refuse(ControllerRig.deleteCq(0), INVALID_QUEUE_ID, 40);
    assertEquals(1, rig.host.completionQueues.size());
    assertEquals(1, rig.host.submissionQueues.size());
  }

  @Test
  void shouldMakeAnotherQueueWithTheSameId() {
    rig.createQueuePair(1);
    final long creation = rig.host.submissionQueues.get(1).creation();
    rig.succeed(ControllerRig.deleteSq(1));
    rig.succeed(ControllerRig.createSq(1, 64, 1));
    assertTrue(rig.host.submissionQueues.get(1).creation() > creation);
  }

  @Test
  void shouldTakeAllQueues() {
    for (int id = 1; id <= 64; id++) {
      rig.succeed(ControllerRig.createCq(id, 1024, id));
      rig.succeed(ControllerRig.createSq(id, 1024, id));
    }
    assertEquals(65, rig.host.submissionQueues.size());
    assertTrue(rig.controller.image().length < ControllerImage.LENGTH_MAX);
  }

  @Test
  void shouldUseShadowDoorbells() {
    rig.succeed(ControllerRig.command(0x7C, 0).putLong(24, 0x5000).putLong(32, 0x6000));
    assertTrue(rig.host.calls.contains("shadow " + 0x5000 + " " + 0x6000));
    assertEquals(0x5000, rig.controller.state().shadowDoorbellAddress());
    assertEquals(0x6000, rig.controller.state().eventIndexAddress());
    final ByteBuffer bad = ControllerRig.command(0x7C, 0);
    rig.refuse(bad.putLong(24, 0x5001).putLong(32, 0x6000), INVALID_FIELD, 24);
    rig.refuse(bad.putLong(24, 0).putLong(32, 0x6000), INVALID_FIELD, 24);
    rig.refuse(bad.putLong(24, 1L << 40).putLong(32, 0x6000), INVALID_FIELD, 24);
    rig.refuse(bad.putLong(24, 0x5000).putLong(32, 0x6800), INVALID_FIELD, 32);
    rig.refuse(bad.putLong(24, 0x5000).putLong(32, 0), INVALID_FIELD, 32);
    rig.write(0x14, 4, ControllerRig.CC_DISABLE);
    assertEquals(0, rig.controller.state().shadowDoorbellAddress());
  }

  @ParameterizedTest
  @ValueSource(
      ints = {
        3, 7, 0xD, 0x10, 0x11, 0x14, 0x15, 0x18, 0x19, 0x1A, 0x1C, 0x1D, 0x1E, 0x20, 0x7F, 0x80,
        0x81, 0x82, 0x84, 0x86, 0xC0, 0xFF
      })
  void shouldRefuseWhatOacsDoesNotOffer(final int opcode) {
    rig.refuse(ControllerRig.command(opcode, 0), 1, 0);
  }

  @Test
  void shouldRefuseFusedCommandsAndSgls() {
    rig.refuse(ControllerRig.identify(1, 0).put(1, (byte) 1), INVALID_FIELD, 1);
    rig.refuse(ControllerRig.identify(1, 0).put(1, (byte) 2), INVALID_FIELD, 1);
    rig.refuse(ControllerRig.identify(1, 0).put(1, (byte) 0x40), INVALID_FIELD, 0x601);
    rig.refuse(ControllerRig.identify(1, 0).put(1, (byte) 0x80), INVALID_FIELD, 0x601);
  }

  @Test
  void shouldAnswerAnAbortWithNotAborted() {
    assertEquals(1, rig.succeed(ControllerRig.command(8, 0, 7 << 16 | 1, 0)));
    assertEquals(1, rig.succeed(ControllerRig.command(8, 0, -1, 0)));
  }

  @Test
  void shouldExecuteInOrderOneAtATime() {
    final long first = rig.submit(ControllerRig.createCq(1, 64, 1));
    final long second = rig.submit(ControllerRig.createSq(1, 64, 1));
    final long third = rig.submit(ControllerRig.deleteSq(1));
    rig.host.settle();
    assertEquals(0, rig.host.completionOf(first).status());
    assertEquals(0, rig.host.completionOf(second).status());
    assertEquals(0, rig.host.completionOf(third).status());
    assertFalse(rig.host.submissionQueues.containsKey(1));
  }

  @Test
  void shouldForgetWhatWasBegunBeforeAReset() {
    rig.createQueuePair(1);
    rig.host.completions.clear();
    for (final ByteBuffer command :
        List.of(ControllerRig.deleteSq(1), ControllerRig.identify(1, 0))) {
      rig.submit(command);
      rig.controller.writeRegister(0x14, 4, ControllerRig.CC_DISABLE, () -> {});
      rig.host.settle();
      assertTrue(rig.host.completions.isEmpty());
      assertNull(rig.controller.state().executed());
      rig.enable();
    }
  }

  @Test
  void shouldDropCommandsAtAReset() {
    rig.submit(ControllerRig.createCq(1, 64, 1));
    rig.submit(ControllerRig.identify(1, 0));
    rig.controller.writeRegister(0x14, 4, ControllerRig.CC_DISABLE, () -> {});
    rig.host.settle();
    assertEquals(0, rig.csts());
    assertTrue(rig.controller.state().completionQueues().isEmpty());
    rig.enable();
    rig.createQueuePair(1);
  }
}
