package io.virtnvme.chaos.guest;

import java.time.Duration;
import java.util.function.Function;

/**
 * A command that runs in the guest while the test does something else.
 *
 * @param <T> what the command gives in the end
 */
public final class Running<T> {
  private final Guest guest;
  private final GuestPort.Job job;
  private final Function<CommandResult, T> parser;

  Running(final Guest guest, final GuestPort.Job job, final Function<CommandResult, T> parser) {
    this.guest = guest;
    this.job = job;
    this.parser = parser;
  }

  /**
   * Waits for the end of the command. A command that is late goes on running; {@link #cancel()}
   * ends it.
   *
   * @param timeout how long to wait at most
   * @return its result
   * @throws GuestTimeoutException when it still runs then; the message has its output so far and
   *     the guest's console
   * @throws GuestDiedException when QEMU is gone
   */
  public T await(final Duration timeout) {
    return parser.apply(guest.await(job, timeout));
  }

  /** Whether the command has ended. */
  public boolean isDone() {
    return job.isDone();
  }

  /** What it has printed until now. */
  public String outputSoFar() {
    return job.outputSoFar();
  }

  /**
   * Sends SIGKILL to the command and its children. A process that waits for a disk goes only when
   * the disk answers.
   */
  public void cancel() {
    guest.kill(job);
  }
}
