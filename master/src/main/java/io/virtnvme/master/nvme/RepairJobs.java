package io.virtnvme.master.nvme;

import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Consumer;

/**
 * What a repair has the device do, in the device's thread: one thing at a time, and each ends
 * within the limits of the driver. What follows runs in {@link #settle}. Conductor thread.
 */
final class RepairJobs {
  private final NvmeController controller;
  private final Executor deviceThread;
  private DeviceJob job;

  RepairJobs(final NvmeController controller, final Executor deviceThread) {
    this.controller = controller;
    this.deviceThread = deviceThread;
  }

  /** Whether something was started that did not settle yet. */
  boolean isBusy() {
    return job != null;
  }

  /** Lets follow what follows from a job that has ended; whether one had. */
  boolean settle() {
    if (job == null || !job.isEnded()) {
      return false;
    }
    final DeviceJob ended = job;
    job = null;
    ended.settle();
    return true;
  }

  private void start(final Runnable steps, final Runnable whenEnded) {
    job = new DeviceJob(steps, whenEnded);
    deviceThread.execute(job);
  }

  /**
   * Looks at the registers, and at the health log when that is wanted.
   *
   * @param whenEnded takes the log; null when there is none
   */
  void check(final boolean isHealthWanted, final Consumer<HealthLog> whenEnded) {
    final HealthLog[] health = new HealthLog[1];
    start(
        () -> {
          controller.check();
          if (isHealthWanted) {
            health[0] = controller.health();
          }
        },
        () -> whenEnded.accept(health[0]));
  }

  /** Asks the controller to give up these commands. */
  void abort(final List<QueueWatch.Command> commands, final Runnable whenEnded) {
    start(
        () -> {
          for (final QueueWatch.Command command : commands) {
            controller.abort(command.queue().queueId(), command.slot());
          }
        },
        whenEnded);
  }

  /** Resets the controller; its state says how that ended. */
  void reset(final String why, final Runnable whenEnded) {
    start(() -> controller.reset(why), whenEnded);
  }

  /** Finds out whether there is anything behind the registers. */
  void probe(final Consumer<Boolean> whenEnded) {
    final boolean[] answers = new boolean[1];
    start(() -> answers[0] = controller.answers(), () -> whenEnded.accept(answers[0]));
  }

  /**
   * Creates queue pairs that the device does not have and that no slave touches.
   *
   * @param whenEnded takes why each of them was refused, empty strings for those that are there
   */
  void create(final List<WatchedQueue> wanted, final Consumer<String[]> whenEnded) {
    final String[] problems = new String[wanted.size()];
    start(
        () -> {
          for (int i = 0; i < problems.length; i++) {
            wanted.get(i).segment().clearCompletions();
            try {
              wanted.get(i).requireNamespace(controller.namespaces());
              controller.createQueuePair(wanted.get(i).address());
              problems[i] = "";
            } catch (final NvmeDeviceException e) {
              problems[i] = e.getMessage();
            }
          }
        },
        () -> whenEnded.accept(problems));
  }

  /**
   * Deletes a queue pair.
   *
   * @param whenEnded takes why it was not deleted; an empty string when it was
   */
  void delete(final int queueId, final Consumer<String> whenEnded) {
    final String[] problem = new String[1];
    start(
        () -> {
          try {
            controller.deleteQueuePair(queueId);
            problem[0] = "";
          } catch (final NvmeDeviceException e) {
            problem[0] = e.getMessage();
          }
        },
        () -> whenEnded.accept(problem[0]));
  }
}
