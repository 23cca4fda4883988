package io.virtnvme.tools.demo;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.tools.load.ClientProcess;
import io.virtnvme.tools.load.LoadProgress;
import io.virtnvme.tools.pair.PairRun;
import io.virtnvme.tools.pair.TemporaryPair;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * One demo from start to end. {@link #run} on the main thread; {@link #close} from there or from
 * the shutdown hook.
 */
final class DemoRun extends PairRun {
  private static final long TICK_NS = TimeUnit.SECONDS.toNanos(1);
  private static final long POLL_NS = TimeUnit.MILLISECONDS.toNanos(50);
  private static final long WARM_UP_NS = TimeUnit.SECONDS.toNanos(2);
  private static final long STANDBY_LIMIT_NS = TimeUnit.SECONDS.toNanos(120);
  private static final long SETTLE_NS = TimeUnit.MILLISECONDS.toNanos(250);
  private static final long KILL_POLL_NS = TimeUnit.MILLISECONDS.toNanos(5);

  /**
   * The pause that covers a kill, or begins up to this long after it, is its blackout: the kernel
   * may take a while to stop the process, and the client to see what was completed before. A longer
   * time would meet other pauses of the machine.
   */
  private static final long BLACKOUT_BEGIN_NS = TimeUnit.MILLISECONDS.toNanos(2);

  /** Pauses that begin later, up to here, may still be work of the takeover. */
  private static final long AFTERMATH_NS = TimeUnit.MILLISECONDS.toNanos(50);

  /** Far enough before a kill for a whole window of that kind. */
  private static final long QUIET_BEFORE_NS = 2 * AFTERMATH_NS;

  private static final int PLOT_BEFORE_MS = 6;
  private static final int PLOT_AFTER_MS = 26;

  private final DemoSettings settings;
  private final Blackouts blackouts = new Blackouts();
  private final Blackouts aftermaths = new Blackouts();

  /** The same measure where nothing was killed: what the machine itself does to the client. */
  private final Blackouts quiet = new Blackouts();

  private final Random random;
  private volatile TemporaryPair pair;
  private volatile ClientProcess client;
  private long startNs;
  private long lastTickNs;
  private long lastTickIos;
  private long lastTickBytes;

  DemoRun(final DemoSettings settings, final PrintWriter err) {
    super(err);
    this.settings = settings;
    this.random = new Random(settings.seed());
  }

  DemoReport run() throws IOException {
    pair = new TemporaryPair(settings.pair(), Map.of());
    say("seed %d, run directory %s", settings.seed(), pair.runDirectory().path());
    pair.startMaster();
    pair.awaitMaster();
    pair.createDisk();
    say("master and slave run; waiting for %d warm standby", settings.standbyCount());
    pair.awaitStandby(0, STANDBY_LIMIT_NS, this::watch);
    client = settings.startClient(pair, Map.of());
    client.awaitRunning(pair::logTail);
    startNs = System.nanoTime();
    lastTickNs = startNs;
    killAndWatch();
    client.check();
    final double loadSeconds = (System.nanoTime() - startNs) / 1e9;
    say("load done; reading the whole disk back");
    final JsonNode result = client.finish();
    return new DemoReport(
        settings, result, blackouts, aftermaths, quiet, pair.recoveries(), loadSeconds);
  }

  private void killAndWatch() throws IOException {
    final long endNs = startNs + TimeUnit.SECONDS.toNanos(settings.seconds());
    final long slotNs = Math.max(0, endNs - startNs - WARM_UP_NS) / Math.max(1, settings.kills());
    int killed = 0;
    for (int i = 0; i < settings.kills(); i++) {
      final long offsetNs = (long) (random.nextDouble() * slotNs);
      watchUntil(startNs + WARM_UP_NS + i * slotNs + offsetNs);
      final int next = pair.awaitStandby(killed, STANDBY_LIMIT_NS, this::watch);
      // Asking takes time from the client; a kill comes when nobody has asked for a while.
      watchUntil(System.nanoTime() + SETTLE_NS);
      killed = killOnce(i + 1, next);
    }
    watchUntil(endNs);
  }

  private int killOnce(final int number, final int pid) {
    final LoadProgress progress = client.progress();
    // As attentive where nothing happens as at the kill: the two are compared.
    progress.command(LoadProgress.COMMAND_ATTEND);
    watchUntil(System.nanoTime() + QUIET_BEFORE_NS);
    progress.kill(pid);
    while (progress.killedNs() == 0) {
      client.check();
      LockSupport.parkNanos(KILL_POLL_NS);
    }
    final long killNs = progress.killedNs();
    LockSupport.parkNanos(killNs + AFTERMATH_NS - System.nanoTime());
    progress.command(LoadProgress.COMMAND_RUN);
    // Until completions flow again; a client that sees none for long gives up by itself.
    while (progress.lastCompletionNs() - killNs < SETTLE_NS) {
      client.check();
      LockSupport.parkNanos(POLL_NS);
    }
    final long blackoutNs = progress.blackoutNs(killNs, BLACKOUT_BEGIN_NS);
    blackouts.add(blackoutNs);
    aftermaths.add(progress.longestPauseNs(killNs + BLACKOUT_BEGIN_NS, killNs + AFTERMATH_NS));
    final long quietNs = killNs - QUIET_BEFORE_NS;
    quiet.add(progress.longestPauseNs(quietNs + BLACKOUT_BEGIN_NS, quietNs + AFTERMATH_NS));
    say(
        "kill %d of %d: slave %d, blackout %.2f ms  |%s| %d ms",
        number,
        settings.kills(),
        pid,
        blackoutNs / 1e6,
        Sparkline.of(progress.iosPerMilli(killNs, PLOT_BEFORE_MS, PLOT_AFTER_MS)),
        PLOT_BEFORE_MS + PLOT_AFTER_MS);
    return pid;
  }

  private void watch() {
    watchUntil(System.nanoTime() + POLL_NS);
  }

  private void watchUntil(final long deadlineNs) {
    for (; ; ) {
      final long nowNs = System.nanoTime();
      if (client != null) {
        client.check();
        if (nowNs - lastTickNs >= TICK_NS) {
          tick(nowNs);
        }
      }
      final long leftNs = deadlineNs - nowNs;
      if (leftNs <= 0) {
        return;
      }
      LockSupport.parkNanos(Math.min(leftNs, POLL_NS));
    }
  }

  private void tick(final long nowNs) {
    final LoadProgress progress = client.progress();
    final long ios = progress.ios();
    final long bytes = progress.bytes();
    final double seconds = (nowNs - lastTickNs) / 1e9;
    say(
        "%5.1f s  %,9.0f IO/s  %,6.0f MiB/s  errors %d  verified %,d blocks",
        (nowNs - startNs) / 1e9,
        (ios - lastTickIos) / seconds,
        (bytes - lastTickBytes) / seconds / (1 << 20),
        progress.errors(),
        progress.verifiedBlocks());
    lastTickNs = nowNs;
    lastTickIos = ios;
    lastTickBytes = bytes;
  }

  @Override
  protected void end() {
    if (client != null) {
      client.close();
    }
    if (pair != null) {
      pair.close();
    }
  }
}
