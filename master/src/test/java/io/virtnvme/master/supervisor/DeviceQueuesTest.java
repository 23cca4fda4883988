package io.virtnvme.master.supervisor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.master.nvme.SoftDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Queue pairs of bdevs that come and go, on a device in software that grants four. */
class DeviceQueuesTest {
  private static final int REACTOR_COUNT = 2;

  @TempDir private Path folder;
  private SoftDevice soft;
  private SegmentDirectory segments;
  private DeviceQueues queues;

  @BeforeEach
  void setUp() throws IOException {
    soft = new SoftDevice(Files.createDirectory(folder.resolve("device")));
    segments =
        new SegmentDirectory(Files.createDirectory(folder.resolve("s")), 7, BootId.current());
    queues = new DeviceQueues(segments, REACTOR_COUNT);
  }

  @AfterEach
  void tearDown() {
    queues.release();
    soft.close();
  }

  private List<DeviceCare.Pair> make(final String bdev, final long firstBlock) {
    return queues.make(soft.device(), new DeviceQueues.Disk(bdev, 1, 512, firstBlock, 100));
  }

  private static List<Integer> ids(final List<DeviceCare.Pair> pairs) {
    return pairs.stream().map(pair -> pair.queue().geometry().queueId()).toList();
  }

  @Test
  void shouldGiveNumbersAndAddressesBackThatAreNotUsedAnyMore() {
    final int mappedBefore = soft.mappedCount();
    final List<DeviceCare.Pair> first = make("a", 0);
    assertEquals(List.of(1, 2), ids(first));
    assertEquals("", queues.problem(soft.device(), 1));
    final List<DeviceCare.Pair> second = make("b", 100);
    assertEquals(List.of(3, 4), ids(second));
    assertEquals(100, second.get(1).queue().geometry().firstBlock());
    assertFalse(second.get(0).queue().isGateOpen());
    assertTrue(queues.problem(soft.device(), 1).contains("grants 4"));
    assertEquals(mappedBefore + 4, soft.mappedCount());
    final long iova = first.get(0).queue().geometry().iova();
    queues.unmake(soft.device(), List.of("a"));
    assertEquals(mappedBefore + 2, soft.mappedCount());
    assertFalse(Files.exists(segments.nvmeQueue("a", 0)));
    assertFalse(Files.exists(segments.nvmeQueue("a", 1)));
    assertTrue(Files.exists(segments.nvmeQueue("b", 1)));
    final List<DeviceCare.Pair> third = make("c", 200);
    assertEquals(List.of(1, 2), ids(third));
    assertEquals(iova, third.get(0).queue().geometry().iova());
    assertEquals(4, queues.pairs().size());
  }

  @Test
  void shouldRemoveWhatAnAttachmentBeforeHasLeft() throws IOException {
    make("a", 0);
    for (final String left : List.of("a", "b")) {
      for (int i = REACTOR_COUNT - 1; i < REACTOR_COUNT + 2; i++) {
        if (!Files.exists(segments.nvmeQueue(left, i))) {
          Files.writeString(segments.nvmeQueue(left, i), "old");
        }
      }
    }
    Files.writeString(segments.nvmeQueue("b", 0), "old");
    Files.writeString(segments.nvmeQueue("c", 0), "another's");
    queues.removeStale(List.of("a", "b"));
    for (int i = 0; i < REACTOR_COUNT + 2; i++) {
      assertEquals(i < REACTOR_COUNT, Files.exists(segments.nvmeQueue("a", i)));
      assertFalse(Files.exists(segments.nvmeQueue("b", i)));
    }
    assertTrue(Files.exists(segments.nvmeQueue("c", 0)));
  }

  @Test
  void shouldAdoptOnlyQueuePairsOfReactorsAndEachOnce() throws IOException {
    make("a", 0);
    queues.forget();
    // Files of a bdev that had these numbers before.
    Files.copy(segments.nvmeQueue("a", 0), segments.nvmeQueue("a", REACTOR_COUNT));
    Files.copy(segments.nvmeQueue("a", 1), segments.nvmeQueue("b", 0));
    queues.adopt(List.of("a"));
    assertEquals(List.of(1, 2), ids(queues.pairs()));
    queues.forget();
    final BadSegmentException refused =
        assertThrows(BadSegmentException.class, () -> queues.adopt(List.of("a", "b")));
    assertTrue(refused.getMessage().contains("queue 2"), refused::getMessage);
    assertEquals(List.of(), queues.pairs());
    queues.removeStale(List.of("a", "b"));
  }

  @Test
  void shouldLeaveNothingOfABdevThatCannotBeMapped() {
    final int mappedBefore = soft.mappedCount();
    soft.refuseMappingAfter(1);
    assertThrows(RuntimeException.class, () -> make("a", 0));
    assertEquals(List.of(), queues.pairs());
    assertEquals(mappedBefore, soft.mappedCount());
    assertFalse(Files.exists(segments.nvmeQueue("a", 0)));
    assertFalse(Files.exists(segments.nvmeQueue("a", 1)));
    assertEquals(List.of(1, 2), ids(make("a", 0)));
  }

  @Test
  void shouldKnowWhenTheDeviceHasEndedWhatWasGivenToItBefore() {
    final DeviceQueueSegment queue = make("a", 0).get(1).queue();
    make("b", 100);
    Mem.putLong(queue.address() + DeviceQueueSegment.SUBMITTED_OFFSET, 3);
    final long place =
        queue.address() + DeviceQueueSegment.slotOffset(2) + DeviceQueueSegment.PLACE_OFFSET;
    Mem.putLong(place, 2);
    final List<DeviceQueues.Mark> marks = queues.marks();
    assertFalse(queues.isPast(marks));
    queues.unmake(soft.device(), List.of("b"));
    assertFalse(queues.isPast(marks), "another bdev's end changes nothing");
    Mem.putLong(place, 4);
    assertTrue(queues.isPast(marks), "that came later");
    Mem.putLong(place, 3);
    assertFalse(queues.isPast(marks));
    queue.openGate(true);
    assertTrue(queues.isPast(marks), "a reset has ended it");
    final List<DeviceQueues.Mark> again = queues.marks();
    assertFalse(queues.isPast(again));
    queues.unmake(soft.device(), List.of("a"));
    assertTrue(queues.isPast(again), "deleted with all that was in it");
  }
}
