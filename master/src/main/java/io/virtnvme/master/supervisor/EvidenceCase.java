package io.virtnvme.master.supervisor;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The evidence about one slave that may hang, while it is being saved. Conductor thread. */
final class EvidenceCase {
  private final Path folder;
  private final List<Runnable> waiters = new ArrayList<>();
  private boolean saved;
  private boolean dropped;

  EvidenceCase(final Path folder) {
    this.folder = folder;
  }

  /** Where the files are, or will be. */
  Path folder() {
    return folder;
  }

  boolean isSaved() {
    return saved;
  }

  /** Everything that can be had is in the folder. */
  void saved() {
    saved = true;
    waiters.forEach(Runnable::run);
    waiters.clear();
  }

  /** Runs a task when everything is saved, at once if it is. */
  void whenSaved(final Runnable task) {
    if (saved) {
      task.run();
    } else {
      waiters.add(task);
    }
  }

  /** The slave moves again: nobody needs the files. */
  void drop() {
    dropped = true;
  }

  boolean isDropped() {
    return dropped;
  }
}
