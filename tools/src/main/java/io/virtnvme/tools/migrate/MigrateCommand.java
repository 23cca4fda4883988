package io.virtnvme.tools.migrate;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.OptionRange;
import io.virtnvme.tools.RunDirectory;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code virtnvme migrate}: a disk in use moves to another host. */
@Command(
    name = "migrate",
    mixinStandardHelpOptions = true,
    description = {
      "Move a disk to another host, where 'virtnvme receive' waits for it, while guests use it.",
      "Everything is sent, then what changed meanwhile, until the rest takes less than half of"
          + " --max-blackout; for that rest guests wait. From then on the disk is the"
          + " destination's, and this host refuses to change it.",
      "Killed or interrupted before that, the disk stays here. Run it again in any case: it sends"
          + " only what the destination does not have, and completes what was begun."
    },
    footer = {
      "",
      "Example:",
      "  virtnvme migrate --disk disk0 --to host2:7700 --tls-keystore host1.p12 \\",
      "    --tls-truststore ca.p12 --tls-password-file secret",
      "Exit codes: 0 the destination has it, 1 not yet, 2 usage."
    })
public final class MigrateCommand implements Callable<Integer> {
  private static final int MS_MAX = 10_000;
  private static final long MIB_MAX = 1_000_000;
  private static final int SILENCE_MS = 120_000;
  private static final long CANCEL_SECONDS = 10;

  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;
  @Mixin private LinkOptions link;

  @Option(names = "--disk", paramLabel = "NAME", required = true, description = "The bdev.")
  private String disk;

  @Option(
      names = "--to",
      paramLabel = "HOST:PORT",
      required = true,
      description = "Where 'virtnvme receive' listens.")
  private String to;

  @Option(
      names = "--bandwidth",
      paramLabel = "MIB",
      defaultValue = "0",
      description = "MiB per second to be sent at most (default: no limit).")
  private long bandwidthMib;

  @Option(
      names = "--max-blackout",
      paramLabel = "MS",
      defaultValue = "200",
      description = "How long guests may have to wait, 1 to 10000 (default: ${DEFAULT-VALUE}).")
  private int maxBlackoutMs;

  @Option(
      names = "--verify",
      description = "The destination reads again what it has written, before guests wait.")
  private boolean verify;

  @Option(names = "--json", description = "Print one JSON object at the end.")
  private boolean json;

  public MigrateCommand() {}

  @Override
  public Integer call() throws IOException {
    OptionRange.check(spec, "--bandwidth", bandwidthMib, 0, MIB_MAX);
    OptionRange.check(spec, "--max-blackout", maxBlackoutMs, 1, MS_MAX);
    link.check(spec);
    final InetSocketAddress address = LinkOptions.parse(spec, "--to", to, 1);
    final PrintWriter err = spec.commandLine().getErr();
    final Progress progress =
        new Progress(
            line -> {
              err.println("migrate: " + line);
              err.flush();
            });
    final CountDownLatch over = new CountDownLatch(1);
    try (Socket socket = link.connect(address);
        Wire wire = Wire.over(socket)) {
      socket.setSoTimeout(SILENCE_MS);
      final Source source =
          new Source(
              wire,
              new DiskControl(runDirectory, disk),
              new SourceSettings(to, bandwidthMib << 20, maxBlackoutMs, verify),
              progress);
      Runtime.getRuntime().addShutdownHook(new Thread(() -> cancel(source, over), "cancel"));
      run(source);
      report(source, progress);
    } finally {
      over.countDown();
    }
    return 0;
  }

  /** Interrupted: the main thread leaves things as they were, unless the disk changes hands. */
  private static void cancel(final Source source, final CountDownLatch over) {
    source.cancel();
    try {
      over.await(CANCEL_SECONDS, TimeUnit.SECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void run(final Source source) throws IOException {
    try {
      source.run();
    } catch (final IOException | QpairException e) {
      throw new CommandFailedException(
          e.getMessage()
              + (source.isMoved()
                  ? "; "
                      + disk
                      + " belongs to "
                      + to
                      + " now: run both commands again to complete it"
                  : "; " + disk + " stays here"),
          e);
    }
  }

  private void report(final Source source, final Progress progress) {
    final PrintWriter out = spec.commandLine().getOut();
    final double blackoutMs = source.blackoutNs() / 1e6;
    if (json) {
      final ObjectNode result = JsonNodeFactory.instance.objectNode();
      result.put("disk", disk).put("to", to).put("state", "moved");
      result.put("passes", progress.passCount()).put("seconds", progress.elapsedNs() / 1e9);
      result.put("sent_bytes", progress.sentBytes()).put("zero_bytes", progress.zeroBytes());
      result.put("skipped_bytes", progress.skippedBytes());
      result.put("verified", verify).put("mismatches", source.mismatchCount());
      if (source.blackoutNs() >= 0) {
        result.put("blackout_ms", blackoutMs);
      }
      out.println(result);
    } else {
      out.printf(
          Locale.ROOT,
          "%s is at %s: %d passes, %.1f MiB sent, %.1f s%s%n",
          disk,
          to,
          progress.passCount(),
          progress.sentBytes() / (double) (1 << 20),
          progress.elapsedNs() / 1e9,
          source.blackoutNs() < 0
              ? ""
              : String.format(Locale.ROOT, ", guests waited for %.1f ms", blackoutMs));
    }
    out.flush();
  }
}
