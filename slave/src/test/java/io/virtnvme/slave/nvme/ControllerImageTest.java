package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.slave.session.SessionException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** The image goes between processes of different builds: its bytes are pinned. */
class ControllerImageTest {
  /** A state with something in every field. */
  static ControllerState full() {
    return new ControllerState(
        new RegisterState(0x0046_0001, 0x000F_001F, 0x1000, 0x2000, 0xFF, true, false, 1),
        new QueueTable(
            List.of(
                new CompletionQueue(0, 16, 0x2000, 0, 1),
                new CompletionQueue(1, 64, 0x3000, CompletionQueue.NO_INTERRUPT, 3)),
            List.of(
                new SubmissionQueue(0, 0, 32, 0x1000, 2),
                new SubmissionQueue(2, 1, 1024, 0x4000, 4)),
            5),
        new FeatureState(1, 0x20, 300, 200, 1, 0x0403, List.of(3, 7), 1, 0x100),
        new EventState(
            List.of(8L, 9L), new EventState.Completed(7, 0x0004_0002), 4, 8, List.of(1, 3)),
        new ErrorLog(0x1_0000_0001L, List.of(new CommandError(2, 0x77, 0x6080, 40, 0x1_2345, 1))),
        List.of(
            new ShownNamespace(ControllerRig.DISK_1, 9),
            new ShownNamespace(new Namespace(3, 5, 4096, true, ControllerRig.DISK_2.ids()), 0)),
        new ExecutedCommand(12, 0x6001, 0x55),
        0x5000,
        0x6000,
        0x1122_3344,
        6);
  }

  /** The same, with a namespace whose identifiers are not made from its UUID. */
  static ControllerState withOwnIds() {
    final NamespaceIds ids =
        NamespaceIds.of(
            ControllerRig.DISK_2.ids().uuid(),
            "00112233445566778899aabbccddeeff",
            "0123456789abcdef");
    return full()
        .withNamespaces(
            List.of(
                new ShownNamespace(ControllerRig.DISK_1, 9),
                new ShownNamespace(new Namespace(3, 5, 4096, true, ids), 0)));
  }

  @Example
  void shouldAppendIdentifiersThatAreNotMadeFromTheUuid() {
    final String plain = HexFormat.of().formatHex(ControllerImage.encode(full()));
    final String own = HexFormat.of().formatHex(ControllerImage.encode(withOwnIds()));
    // Version 2, 32 bytes more, one namespace of its own in the last count of the header.
    assertEquals("4e43544c02000000f8010000" + plain.substring(24, 392), own.substring(0, 392));
    assertEquals("01000000" + plain.substring(400), own.substring(392, plain.length()));
    assertEquals(
        "0300000000000000" + "7766554433221100ffeeddccbbaa9988" + "efcdab8967452301",
        own.substring(plain.length()));
  }

  @Example
  void shouldRefuseIdentifiersThatDoNotBelongToANamespace() {
    final byte[] image = ControllerImage.encode(withOwnIds());
    final int list = image.length - ControllerImage.OWN_IDS_LENGTH;
    for (final int id : new int[] {0, 2, 4, -1}) {
      final byte[] other = image.clone();
      other[list] = (byte) id;
      assertThrows(SessionException.class, () -> ControllerImage.decode(other));
    }
    final byte[] zeroes = image.clone();
    Arrays.fill(zeroes, list + 8, list + 24, (byte) 0);
    assertThrows(SessionException.class, () -> ControllerImage.decode(zeroes));
  }

  @Example
  void shouldKeepItsBytes() {
    assertEquals(
        "4e43544c01000000d801000001004600"
            + "1f000f0005000000ff00000000000000"
            + "00100000000000000020000000000000"
            + "05000000000000000050000000000000"
            + "00600000000000004433221100000000"
            + "06000000000000000100000001000000"
            + "01000000200000002c010000c8000000"
            + "01000000030400000100000000010000"
            + "04000000080000000300000001600000"
            + "55000000020004000c00000000000000"
            + "07000000000000000200000002000000"
            + "02000000020000000100000002000000"
            + "0200000000000000"
            // completion queues
            + "00000000100000000000000000000000"
            + "00200000000000000100000000000000"
            + "0100000040000000ffffffff00000000"
            + "00300000000000000300000000000000"
            // submission queues
            + "00000000200000000000000000000000"
            + "00100000000000000200000000000000"
            + "02000000000400000100000000000000"
            + "00400000000000000400000000000000"
            // errors
            + "02000000770000008060000028000000"
            + "45230100000000000100000000000000"
            // namespaces
            + "01000000000200000000000009000000"
            + "e8030000000000007746554433221100"
            + "01eeddccbbaa9988"
            + "03000000001000000100000000000000"
            + "05000000000000007746554433221100"
            + "02eeddccbbaa9988"
            // requests, changed namespaces, vectors
            + "08000000000000000900000000000000"
            + "01000000030000000300000007000000",
        HexFormat.of().formatHex(ControllerImage.encode(full())));
  }

  @Example
  void shouldDecodeWhatItEncoded() {
    final ControllerState initial =
        ControllerState.initial(List.of(new ShownNamespace(ControllerRig.DISK_1, 0)), 5);
    for (final ControllerState state : List.of(full(), withOwnIds(), initial)) {
      final byte[] image = ControllerImage.encode(state);
      assertEquals(state, ControllerImage.decode(image));
      assertArrayEquals(image, ControllerImage.encode(ControllerImage.decode(image)));
    }
  }

  @Example
  void shouldFitWhenEverythingIsFull() {
    final List<CompletionQueue> completionQueues = new ArrayList<>();
    final List<SubmissionQueue> submissionQueues = new ArrayList<>();
    for (int id = 0; id <= ControllerConfig.QUEUE_PAIRS_LIMIT; id++) {
      completionQueues.add(new CompletionQueue(id, 2, 0, 0, 2 * id + 1));
      submissionQueues.add(new SubmissionQueue(id, id, 2, 0, 2 * id + 2));
    }
    final List<Integer> vectors = new ArrayList<>();
    for (int vector = 0; vector < ControllerConfig.VECTORS_LIMIT; vector++) {
      vectors.add(vector);
    }
    final List<Integer> changed = new ArrayList<>();
    final List<ShownNamespace> namespaces = new ArrayList<>();
    for (int id = 1; id <= ControllerConfig.NAMESPACE_ID_LIMIT; id++) {
      changed.add(id);
      namespaces.add(new ShownNamespace(ControllerRig.disk(id, 1, 512), 0));
    }
    ErrorLog errors = ErrorLog.EMPTY;
    for (int i = 0; i < 100; i++) {
      errors = errors.plus(new CommandError(0, i, 0, 0, 0, 0));
    }
    final ControllerState state =
        new ControllerState(
            RegisterState.INITIAL,
            new QueueTable(completionQueues, submissionQueues, 1000),
            new FeatureState(0, 0, 0, 0, 0, 0, vectors, 0, 0),
            new EventState(List.of(1L, 2L, 3L, 4L), null, 0, 0, changed),
            errors,
            namespaces,
            null,
            0,
            0,
            0,
            0);
    final byte[] image = ControllerImage.encode(state);
    assertTrue(image.length <= ControllerImage.LENGTH_MAX, "bytes=" + image.length);
    assertEquals(state, ControllerImage.decode(image));
  }

  @Property(tries = 5000)
  void shouldRefuseOrUnderstandChangedBytes(
      @ForAll final long seed, @ForAll @IntRange(min = 1, max = 3) final int changes) {
    final Random random = new Random(seed);
    final byte[] image = ControllerImage.encode(random.nextBoolean() ? full() : withOwnIds());
    for (int i = 0; i < changes; i++) {
      image[random.nextInt(image.length)] = (byte) random.nextInt();
    }
    assertSound(image);
  }

  @Example
  void shouldRefuseOrUnderstandEachFlippedBit() {
    final byte[] image = ControllerImage.encode(withOwnIds());
    for (int bit = 0; bit < image.length * 8; bit++) {
      final byte[] flipped = image.clone();
      flipped[bit / 8] ^= (byte) (1 << bit % 8);
      assertSound(flipped);
    }
  }

  @Property(tries = 2000)
  void shouldRefuseAnyOtherLength(@ForAll @IntRange(min = 0, max = 1000) final int length) {
    final byte[] image = ControllerImage.encode(full());
    if (length != image.length) {
      final byte[] other = Arrays.copyOf(image, length);
      assertThrows(SessionException.class, () -> ControllerImage.decode(other));
    }
  }

  /** Refused with a text, or a state that encodes to the same bytes and that a controller takes. */
  static void assertSound(final byte[] image) {
    final ControllerState state;
    try {
      state = ControllerImage.decode(image);
    } catch (final SessionException e) {
      assertTrue(e.getMessage().startsWith("controller image: "), e.getMessage());
      return;
    }
    assertArrayEquals(image, ControllerImage.encode(state));
    final FakeQueueHost host = new FakeQueueHost();
    final NvmeController controller =
        new NvmeController(
            ControllerRig.CONFIG,
            List.of(ControllerRig.DISK_2),
            image,
            host,
            () -> IoTotals.NONE,
            () -> 0);
    host.attach(controller);
    controller.resume();
    host.settle();
    controller.readRegister(0, 8);
    ControllerImage.decode(controller.image());
  }
}
