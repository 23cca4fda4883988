package io.virtnvme.master.supervisor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.master.nvme.RepairOptions;
import io.virtnvme.master.nvme.RepairState;
import io.virtnvme.master.nvme.SoftDevice;
import io.virtnvme.master.nvme.Trouble;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.rpc.NvmeControllerInfo.State;
import io.virtnvme.master.rpc.RpcException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The repair of a device in software as a master runs it; slaves answer when the test says so. */
class DeviceCareTest implements DeviceCare.SlaveView, DeviceCare.Listener {
  private static final long LIMIT_NS = TimeUnit.SECONDS.toNanos(20);
  private static final String BDEV = "Nvme0n1";
  private static final String PART = "Nvme0n1p0";

  @TempDir private Path folder;
  private final ExecutorService deviceThread = Executors.newSingleThreadExecutor();
  private final List<CompletableFuture<Void>> questions = new ArrayList<>();
  private final List<String> events = new ArrayList<>();

  /** Ahead of the real one by as much as a test lets pass. */
  private long aheadNs;

  private final EventLoop loop = new EventLoop(() -> System.nanoTime() + aheadNs);
  private SoftDevice soft;
  private DeviceCare care;

  @BeforeEach
  void setUp() {
    soft = new SoftDevice(folder);
    care =
        new DeviceCare(
            soft.device(),
            deviceThread,
            List.of(new DeviceCare.Pair(BDEV, soft.queue())),
            RepairOptions.DEFAULT,
            loop,
            this,
            this);
    care.start();
  }

  @AfterEach
  void tearDown() throws InterruptedException {
    care.stop();
    deviceThread.shutdown();
    assertTrue(deviceThread.awaitTermination(20, TimeUnit.SECONDS));
    soft.close();
    loop.close();
  }

  @Override
  public boolean isOwned(final String bdev) {
    assertTrue(List.of(BDEV, PART).contains(bdev), bdev);
    return true;
  }

  @Override
  public CompletableFuture<Void> awaitCycles() {
    // Whoever polls after this sees the gate.
    assertTrue(care.queues().stream().anyMatch(queue -> !queue.isGateOpen()));
    final CompletableFuture<Void> answer = new CompletableFuture<>();
    questions.add(answer);
    return answer;
  }

  @Override
  public void onRepair(
      final RepairState before, final RepairState now, final Trouble trouble, final String reason) {
    events.add(now.label());
  }

  @Override
  public void onNote(final Trouble trouble, final String sentence) {
    events.add("note " + trouble.label());
  }

  @Override
  public void onQueue(final String bdev, final String problem) {
    events.add("queue " + bdev + problem);
  }

  private void await(final BooleanSupplier condition) {
    final long beganNs = System.nanoTime();
    while (!condition.getAsBoolean()) {
      loop.doWork(true);
      assertTrue(System.nanoTime() - beganNs < LIMIT_NS, () -> events + " " + care.info());
    }
  }

  /** Lets the loop run, so long that what could happen by itself has happened. */
  private void steps() {
    for (int i = 0; i < 10; i++) {
      loop.doWork(true);
    }
  }

  @Test
  void shouldResetOnlyWhenEverySlaveHasPolled() {
    final CompletableFuture<Void> reset = care.reset("asked for");
    await(() -> !questions.isEmpty());
    steps();
    assertEquals(List.of("shutting"), events);
    assertEquals(State.RESETTING, care.state());
    assertEquals(1, soft.queue().creation());
    assertEquals(1, questions.size(), "each slave is asked once");
    questions.get(0).complete(null);
    await(reset::isDone);
    reset.join();
    assertEquals(List.of("shutting", "resetting", "watching", "queue " + BDEV), events);
    assertEquals(2, soft.queue().creation());
    assertTrue(soft.queue().isGateOpen());
    assertEquals(State.ENABLED, care.state());
    assertEquals(1, care.info().states().get("resetting"));
  }

  @Test
  void shouldResetWhenTheReactorHasSeenTheGateThoughNobodyAnswers() {
    final CompletableFuture<Void> reset = care.reset("asked for");
    await(() -> !questions.isEmpty());
    soft.pollSlave();
    await(reset::isDone);
    reset.join();
    assertEquals(2, soft.queue().creation());
  }

  @Test
  void shouldNotTakeAnAnswerForALaterGate() {
    final CompletableFuture<Void> first = care.reset("asked for");
    await(() -> !questions.isEmpty());
    soft.pollSlave();
    await(first::isDone);
    final CompletableFuture<Void> second = care.reset("asked for again");
    await(() -> care.info().state().equals("shutting"));
    // The question of the first reset: who answers it may have polled before this gate was shut.
    questions.get(0).complete(null);
    await(() -> questions.size() == 2);
    steps();
    assertEquals("shutting", care.info().state());
    assertEquals(2, soft.queue().creation());
    questions.get(1).complete(null);
    await(second::isDone);
    assertEquals(3, soft.queue().creation());
  }

  @Test
  void shouldResetNothingWhenASlaveDoesNotAnswer() {
    final CompletableFuture<Void> reset = care.reset("asked for");
    await(() -> !questions.isEmpty());
    questions.get(0).completeExceptionally(new RpcException(RpcException.ETIMEDOUT, "late"));
    steps();
    assertFalse(reset.isDone());
    aheadNs = RepairOptions.DEFAULT.gateWaitNs();
    await(reset::isDone);
    final Throwable failure = assertThrows(CompletionException.class, reset::join).getCause();
    assertEquals(RpcException.ETIMEDOUT, ((RpcException) failure).code());
    assertTrue(failure.getMessage().contains("nothing was reset"), failure::getMessage);
    assertTrue(soft.queue().isGateOpen());
    assertEquals(1, soft.queue().creation());
    assertEquals(State.ENABLED, care.state());
    assertEquals(0, care.info().states().get("resetting"));
  }

  @Test
  void shouldRepairADeviceThatFailsByItself() {
    soft.failFatally();
    await(() -> !questions.isEmpty());
    assertEquals(State.RESETTING, care.state());
    assertEquals("controller", care.info().trouble());
    questions.get(0).complete(null);
    await(() -> soft.queue().creation() == 2);
    assertEquals(State.ENABLED, care.state());
    assertEquals(1, care.info().troubles().get("controller"));
  }

  @Test
  void shouldTakeQueuePairsInAndOutWhileOthersServe() {
    care.retries(9);
    try (DeviceQueueSegment part = soft.segment(2)) {
      care.add(new DeviceCare.Pair(PART, part));
      await(part::isGateOpen);
      assertEquals(1, part.creation());
      assertEquals(10, Mem.getInt(part.address() + DeviceQueueSegment.RETRIES_OFFSET));
      final CompletableFuture<Void> gone = care.remove(PART);
      assertFalse(part.isGateOpen());
      await(() -> !questions.isEmpty());
      steps();
      assertFalse(gone.isDone(), "a slave may still be beyond the gate");
      questions.get(0).complete(null);
      await(gone::isDone);
      assertEquals(List.of(soft.queue()), care.queues());
    }
    assertTrue(soft.queue().isGateOpen());
    // The controller has given the number back.
    try (DeviceQueueSegment part = soft.segment(2)) {
      care.add(new DeviceCare.Pair(PART, part));
      await(part::isGateOpen);
      assertEquals(State.ENABLED, care.state());
      final CompletableFuture<Void> gone = care.remove(PART);
      care.stop();
      assertTrue(gone.isDone(), "whoever detaches does not wait for it");
    }
  }

  @Test
  void shouldGoByItsNewLimits() {
    care.options(RepairOptions.DEFAULT.withLinkWaitNs(TimeUnit.HOURS.toNanos(2)));
    soft.unplug();
    await(() -> care.info().state().equals("link_down"));
    aheadNs = TimeUnit.HOURS.toNanos(1);
    steps();
    assertEquals("link_down", care.info().state());
    assertTrue(care.isWaiting(), "it can be detached all the time");
    assertFalse(care.isWatching());
    aheadNs = TimeUnit.HOURS.toNanos(3);
    await(() -> care.info().state().equals("gone"));
  }

  @Test
  void shouldSayThatAResetEndsWithTheDevice() {
    final CompletableFuture<Void> reset = care.reset("asked for");
    care.stop();
    final Throwable failure = assertThrows(CompletionException.class, reset::join).getCause();
    assertEquals(RpcException.EBUSY, ((RpcException) failure).code());
  }
}
