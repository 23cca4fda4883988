package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayList;
import java.util.List;

/** The controller's side of the queues, as small as can be; a new one is made after each crash. */
final class NvmeDevice {
  private record Command(NvmeSqJournal queue, int slot) {}

  private final NvmeArea area;
  private final TestMemory memory;
  private final NvmeCqJournal completions;
  private final NvmeSqJournal[] queues;
  private final List<Command> inflight = new ArrayList<>();

  NvmeDevice(final NvmeArea area, final TestMemory memory) {
    this.area = area;
    this.memory = memory;
    this.completions = new NvmeCqJournal(memory.address() + area.cqJournalOffset(), area.cqSize);
    this.queues = new NvmeSqJournal[area.sqCount];
    completions.ring(area.cqEntry(memory, 0));
  }

  /** Takes over whatever is in memory. */
  void start() {
    final long creation = area.creation(memory, area.sqCount);
    if (completions.isNew(creation)) {
      completions.initialise(creation);
    } else {
      assertNull(completions.validate(creation));
    }
    for (int queue = 0; queue < queues.length; queue++) {
      startQueue(queue);
    }
    recover();
  }

  private void startQueue(final int queue) {
    queues[queue] =
        new NvmeSqJournal(
            memory.address() + area.sqJournalOffset(queue),
            NvmeArea.QUEUE_ID_BASE + queue,
            area.sqSize);
    final long creation = area.creation(memory, queue);
    if (queues[queue].isNew(creation)) {
      queues[queue].initialise(creation);
    } else {
      assertNull(queues[queue].validate(creation));
    }
    completions.attach(queues[queue]);
  }

  /** Of a new device, or of one that stopped in the middle of something. */
  void recover() {
    assertEquals(0, completions.recover().inconsistencyCount());
    inflight.clear();
    final int[] slots = new int[area.sqSize];
    for (final NvmeSqJournal queue : queues) {
      final int count = queue.inflightSlots(slots);
      assertEquals(count, queue.inflightCount());
      for (int i = 0; i < count; i++) {
        inflight.add(new Command(queue, slots[i]));
      }
    }
  }

  /** Answers to the commands of a queue that are inflight, in the order of their submission. */
  List<Integer> inflightAnswers(final int queue) {
    final List<Integer> answers = new ArrayList<>();
    for (final Command command : inflight) {
      if (command.queue == queues[queue]) {
        answers.add(answer(command));
      }
    }
    return answers;
  }

  private static int answer(final Command command) {
    final long[] words = new long[8];
    for (int i = 0; i < words.length; i++) {
      words[i] = Mem.getLong(command.queue.commandAddress(command.slot) + 8L * i);
    }
    return NvmeDriver.digest(words);
  }

  /** Fetches a batch; returns how many. */
  int fetch(final int queue, final int limit) {
    final NvmeSqJournal sq = queues[queue];
    final int count =
        Math.min(Math.min(limit, sq.freeCount()), sq.submittedCount(area.sqTail(memory, queue)));
    for (int i = 0; i < count; i++) {
      inflight.add(new Command(sq, sq.fetch(area.sqEntry(memory, queue, sq.nextIndex()))));
    }
    if (count > 0) {
      sq.fetchCommit();
    }
    return count;
  }

  /** Completes a batch of any of the commands inflight, as many as there is room for. */
  void complete(final int limit, final int choice) {
    int count = 0;
    while (count < limit && !inflight.isEmpty() && completions.room(area.cqHead(memory)) > 0) {
      final Command command = inflight.remove((choice + count) % inflight.size());
      final int answer = answer(command);
      completions.post(command.queue, command.slot, NvmeDriver.status(answer), answer);
      count++;
    }
    completions.postCommit();
  }

  /** A submission queue is deleted with commands inflight; another one stands there now. */
  void recreate(final int queue) {
    completions.detach(queues[queue]);
    inflight.removeIf(command -> command.queue == queues[queue]);
    startQueue(queue);
  }

  int inflightCount() {
    return inflight.size();
  }

  /** Throws if anything is left in the journals of idle queues. */
  void checkIdle() {
    for (int queue = 0; queue < queues.length; queue++) {
      final NvmeJournalInspector.Report report =
          NvmeJournalInspector.submission(
              memory.address() + area.sqJournalOffset(queue),
              NvmeSqJournal.regionLength(area.sqSize));
      assertEquals(List.of(), report.inflight());
      assertEquals(List.of(), report.problems());
      assertEquals(area.sqSize, queues[queue].freeCount());
    }
  }
}
