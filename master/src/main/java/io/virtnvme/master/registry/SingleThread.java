package io.virtnvme.master.registry;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Executors of one daemon thread: Chronicle's appenders belong to the thread that made them. */
final class SingleThread {
  private SingleThread() {}

  static ExecutorService executor(final String name) {
    return Executors.newSingleThreadExecutor(
        task -> {
          final Thread thread = new Thread(task, name);
          thread.setDaemon(true);
          return thread;
        });
  }
}
