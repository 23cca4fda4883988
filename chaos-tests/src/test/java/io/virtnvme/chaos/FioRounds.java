package io.virtnvme.chaos;

import io.virtnvme.chaos.guest.FioJob;
import io.virtnvme.chaos.guest.FioResult;
import io.virtnvme.chaos.guest.Guest;
import io.virtnvme.chaos.guest.Running;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * One fio run after the other on one disk of a guest until told to stop; each verifies every byte
 * that it wrote. A thread of its own starts them.
 */
final class FioRounds {
  private static final Duration ROUND_LIMIT = Duration.ofMinutes(3);

  /**
   * What all rounds of a disk came to.
   *
   * @param rounds fio runs, each with several passes of write and verify
   * @param errors of fio, 0 when all went well
   * @param writeBytes written
   * @param readBytes read back and verified
   * @param ios requests
   * @param latencyMax longest request
   * @param messages what fio complained about
   */
  record Total(
      int rounds,
      long errors,
      long writeBytes,
      long readBytes,
      long ios,
      Duration latencyMax,
      String messages) {
    static final Total NONE = new Total(0, 0, 0, 0, 0, Duration.ZERO, "");

    Total plus(final FioResult round) {
      return new Total(
          rounds + 1,
          errors + round.errors(),
          writeBytes + round.writeBytes(),
          readBytes + round.readBytes(),
          ios + round.readIos() + round.writeIos(),
          latencyMax.compareTo(round.latencyMax()) > 0 ? latencyMax : round.latencyMax(),
          messages + round.messages());
    }

    @Override
    public String toString() {
      return String.format(
          "%d rounds, %d requests, %.1f GiB written, %.1f GiB verified, err=%d, longest %d ms%s",
          rounds,
          ios,
          writeBytes / 1073741824.0,
          readBytes / 1073741824.0,
          errors,
          latencyMax.toMillis(),
          messages.isEmpty() ? "" : ": " + messages);
    }
  }

  private final Guest guest;
  private final FioJob job;
  private final CompletableFuture<Total> total;
  private volatile boolean stopping;

  FioRounds(final Guest guest, final FioJob job) {
    this.guest = guest;
    this.job = job;
    total = CompletableFuture.supplyAsync(this::run, FioRounds::startThread);
  }

  private static void startThread(final Runnable task) {
    final Thread thread = new Thread(task, "fio-rounds");
    thread.setDaemon(true);
    thread.start();
  }

  private Total run() {
    Total sum = Total.NONE;
    do {
      final Running<FioResult> round = guest.start(job);
      sum = sum.plus(round.await(ROUND_LIMIT));
    } while (!stopping && sum.errors() == 0);
    return sum;
  }

  /** Fails at once when fio has ended with an error. */
  void check() {
    if (total.isDone()) {
      throw new AssertionError("fio ended: " + result());
    }
  }

  /** Lets the present round end and gives the sum of all. */
  Total finish() {
    stopping = true;
    return result();
  }

  private Total result() {
    try {
      return total.get(ROUND_LIMIT.toSeconds() + 1, TimeUnit.SECONDS);
    } catch (final ExecutionException e) {
      throw new CompletionException(e.getCause());
    } catch (final TimeoutException e) {
      throw new AssertionError("fio does not end", e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    }
  }

  static List<Total> finishAll(final List<FioRounds> rounds) {
    rounds.forEach(each -> each.stopping = true);
    final List<Total> totals = new ArrayList<>();
    rounds.forEach(each -> totals.add(each.result()));
    return totals;
  }
}
