package io.virtnvme.slave.qpair;

/** Tasks in the order in which they came; as many as there are slots. One reactor thread. */
final class TaskQueue {
  private final QpairTask[] tasks;
  private int first;
  private int count;

  TaskQueue(final int capacity) {
    tasks = new QpairTask[capacity];
  }

  int count() {
    return count;
  }

  void add(final QpairTask task) {
    tasks[wrapped(first + count)] = task;
    count++;
  }

  QpairTask get(final int index) {
    return tasks[wrapped(first + index)];
  }

  void removeFirst(final int removed) {
    first = wrapped(first + removed);
    count -= removed;
  }

  void clear() {
    first = 0;
    count = 0;
  }

  private int wrapped(final int index) {
    return index >= tasks.length ? index - tasks.length : index;
  }
}
