package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.nvme.Status;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Reactors, journal and guest in one, on the test's thread: every call is a step that is done
 * later, in order. What a killed process leaves (committed image, inflight commands, completions)
 * outlives {@link #kill}. Checks what a controller must never do.
 */
final class FakeQueueHost implements QueueHost {
  static final long MEMORY_BYTES = 1L << 30;

  /** A published completion. */
  record Done(long fetchNumber, int status, int result) {}

  final List<String> calls = new ArrayList<>();
  final List<Done> completions = new ArrayList<>();
  final Map<Integer, CompletionQueue> completionQueues = new TreeMap<>();
  final Map<Integer, SubmissionQueue> submissionQueues = new TreeMap<>();

  /** Commands fetched from the admin queue and not completed. */
  final Map<Long, byte[]> inflight = new TreeMap<>();

  /** The data of the last transfer. */
  byte[] data;

  byte[] committed;
  int transferStatus = Status.SUCCESS;
  boolean isWriteCacheOn = true;
  private final Deque<Runnable> steps = new ArrayDeque<>();
  private long nextFetchNumber;
  private long adminCreation;
  private NvmeController controller;

  void attach(final NvmeController newController) {
    controller = newController;
  }

  boolean hasSteps() {
    return !steps.isEmpty();
  }

  void step() {
    steps.remove().run();
  }

  void settle() {
    while (!steps.isEmpty()) {
      step();
    }
  }

  /** The process dies: queues stand still, calls are lost. */
  void kill() {
    steps.clear();
    completionQueues.clear();
    submissionQueues.clear();
    controller = null;
  }

  /** The driver puts a command into the admin queue and rings. */
  long submit(final byte[] entry) {
    assertTrue(submissionQueues.containsKey(0), "the admin queue does not run");
    final long fetchNumber = nextFetchNumber++;
    inflight.put(fetchNumber, entry.clone());
    controller.execute(new Request(fetchNumber, entry));
    return fetchNumber;
  }

  /** The only completion of a command. */
  Done completionOf(final long fetchNumber) {
    final List<Done> found =
        completions.stream().filter(done -> done.fetchNumber() == fetchNumber).toList();
    assertEquals(1, found.size(), "completions of command " + fetchNumber);
    return found.get(0);
  }

  private void publish(final long fetchNumber, final int status, final int result) {
    assertNotNull(inflight.remove(fetchNumber), "not inflight: " + fetchNumber);
    completions.add(new Done(fetchNumber, status, result));
  }

  private final class Request implements AdminRequest {
    private final long fetchNumber;
    private final byte[] entry;

    Request(final long fetchNumber, final byte[] entry) {
      this.fetchNumber = fetchNumber;
      this.entry = entry;
    }

    @Override
    public long fetchNumber() {
      return fetchNumber;
    }

    @Override
    public byte[] entry() {
      return entry;
    }

    @Override
    public void transfer(final byte[] newData, final Transferred whenTransferred) {
      steps.add(
          () -> {
            if (transferStatus == Status.SUCCESS) {
              data = newData;
            }
            whenTransferred.onTransferred(transferStatus);
          });
    }

    @Override
    public void complete(
        final byte[] image, final AdminOutcome outcome, final Runnable whenJournalled) {
      if (image != null) {
        steps.add(() -> committed = image);
      }
      steps.add(
          () -> {
            if (!outcome.isOutstanding()) {
              publish(fetchNumber, outcome.status(), outcome.result());
            }
            steps.add(whenJournalled);
          });
    }
  }

  @Override
  public void storeImage(final byte[] image, final Runnable whenCommitted) {
    steps.add(() -> committed = image);
    steps.add(whenCommitted);
  }

  @Override
  public boolean isReachable(
      final long guestAddress, final long lengthBytes, final boolean isForWriting) {
    return guestAddress >= 0x1000 && guestAddress <= MEMORY_BYTES - lengthBytes;
  }

  private ControllerState committedState() {
    return ControllerImage.decode(committed);
  }

  @Override
  public void startCompletionQueue(final CompletionQueue queue, final Runnable whenStarted) {
    calls.add("start CQ " + queue.queueId());
    steps.add(
        () -> {
          assertTrue(
              committedState().completionQueues().contains(queue), "started before its image");
          assertNull(completionQueues.put(queue.queueId(), queue), "started twice");
          isWriteCacheOn = committedState().isWriteCacheOn();
          whenStarted.run();
        });
  }

  @Override
  public void startSubmissionQueue(final SubmissionQueue queue, final Runnable whenStarted) {
    calls.add("start SQ " + queue.queueId());
    steps.add(
        () -> {
          assertTrue(
              committedState().submissionQueues().contains(queue), "started before its image");
          assertTrue(completionQueues.containsKey(queue.completionQueueId()), "no CQ runs");
          assertNull(submissionQueues.put(queue.queueId(), queue), "started twice");
          if (queue.queueId() == 0) {
            if (adminCreation != queue.creation()) {
              adminCreation = queue.creation();
              nextFetchNumber = 0;
              inflight.clear();
              completions.clear();
            }
            inflight.forEach((number, entry) -> controller.execute(new Request(number, entry)));
          }
          whenStarted.run();
        });
  }

  @Override
  public void stopSubmissionQueue(final int queueId, final Runnable whenStopped) {
    calls.add("stop SQ " + queueId);
    steps.add(
        () -> {
          submissionQueues.remove(queueId);
          whenStopped.run();
        });
  }

  @Override
  public void stopCompletionQueue(final int queueId, final Runnable whenStopped) {
    calls.add("stop CQ " + queueId);
    steps.add(
        () -> {
          assertFalse(
              submissionQueues.values().stream().anyMatch(q -> q.completionQueueId() == queueId),
              "a submission queue uses it");
          completionQueues.remove(queueId);
          whenStopped.run();
        });
  }

  @Override
  public void stopAll(final Runnable whenStopped) {
    calls.add("stop all");
    steps.add(
        () -> {
          completionQueues.clear();
          submissionQueues.clear();
        });
    steps.add(whenStopped);
  }

  @Override
  public void completeEvent(
      final byte[] image, final long fetchNumber, final int result, final Runnable whenJournalled) {
    steps.add(() -> committed = image);
    steps.add(
        () -> {
          if (inflight.containsKey(fetchNumber)) {
            publish(fetchNumber, Status.SUCCESS, result);
          }
          steps.add(whenJournalled);
        });
  }

  @Override
  public void ringDoorbell(final int offset, final int value, final Runnable whenDone) {
    calls.add("ring " + offset + " " + value);
    steps.add(whenDone);
  }

  @Override
  public void shadowDoorbells(
      final long shadowAddress, final long eventIndexAddress, final Runnable whenDone) {
    calls.add("shadow " + shadowAddress + " " + eventIndexAddress);
    steps.add(whenDone);
  }

  @Override
  public void writeCache(final boolean isOn, final Runnable whenDone) {
    steps.add(
        () -> {
          isWriteCacheOn = isOn;
          whenDone.run();
        });
  }

  @Override
  public void flush(final Runnable whenDone) {
    calls.add("flush");
    steps.add(whenDone);
  }
}
