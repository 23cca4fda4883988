package io.virtnvme.tools.migrate;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.tools.BlockStore;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.OptionRange;
import io.virtnvme.tools.RunDirectory;
import io.virtnvme.tools.nbd.NbdAddress;
import io.virtnvme.tools.nbd.NbdClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.Socket;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
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
          + " only what the destination does not have, and completes what was begun.",
      "An NBD server (qemu-nbd, nbdkit, ...) or a file gets a copy of the disk as it was at one"
          + " moment, and the disk stays here, unless --handover is given. A rerun sends everything."
    },
    footer = {
      "",
      "Example:",
      "  virtnvme migrate --disk disk0 --to host2:7700 --tls-keystore host1.p12 \\",
      "    --tls-truststore ca.p12 --tls-password-file secret",
      "  virtnvme migrate --disk disk0 --to 'nbd+unix:///copy?socket=/run/copy.nbd'",
      "Exit codes: 0 the destination has it, 1 not yet, 2 usage."
    })
public final class MigrateCommand implements Callable<Integer> {
  private static final String FILE_PREFIX = "file:";
  private static final int MS_MAX = 10_000;
  private static final long MIB_MAX = 1_000_000;
  private static final int CONNECT_MS = 10_000;
  private static final int SILENCE_MS = 120_000;
  private static final long CANCEL_SECONDS = 10;

  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;
  @Mixin private LinkOptions link;

  @Option(names = "--disk", paramLabel = "NAME", required = true, description = "The bdev.")
  private String disk;

  @Option(
      names = "--to",
      paramLabel = "ADDRESS",
      required = true,
      description =
          "HOST:PORT where 'virtnvme receive' listens, nbd://HOST[:PORT]/EXPORT,"
              + " nbd+unix:///EXPORT?socket=PATH, or file:PATH of a file or block device.")
  private String to;

  @Option(
      names = "--handover",
      description =
          "With NBD or a file: this host refuses to change the disk from the moment of the copy on.")
  private boolean handOver;

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

  @Option(
      names = "--find-duplicates",
      description =
          "Send chunks that are equal to others as that: for disks with many of them behind a slow"
              + " network. What was learnt is kept in the run directory for the next attempt.")
  private boolean findDuplicates;

  @Option(
      names = "--throttle",
      description =
          "Slow the writes of guests down, further with each pass, when the rest does not become"
              + " less; down to 1 MiB/s.")
  private boolean throttle;

  @Option(names = "--json", description = "Print one JSON object at the end.")
  private boolean json;

  public MigrateCommand() {}

  @Override
  public Integer call() throws IOException {
    OptionRange.check(spec, "--bandwidth", bandwidthMib, 0, MIB_MAX);
    OptionRange.check(spec, "--max-blackout", maxBlackoutMs, 1, MS_MAX);
    final boolean isStore = to.startsWith(FILE_PREFIX) || NbdAddress.isMeant(to);
    checkOptions(isStore);
    final PrintWriter err = spec.commandLine().getErr();
    final Progress progress =
        new Progress(
            line -> {
              err.println("migrate: " + line);
              err.flush();
            },
            System::nanoTime);
    final CountDownLatch over = new CountDownLatch(1);
    try (Destination destination = isStore ? openStore() : connect()) {
      final Source source =
          new Source(
              destination,
              new DiskControl(runDirectory, disk),
              new SourceSettings(
                  to,
                  bandwidthMib << 20,
                  maxBlackoutMs,
                  verify,
                  findDuplicates,
                  throttle,
                  !isStore || handOver),
              progress);
      Runtime.getRuntime().addShutdownHook(new Thread(() -> cancel(source, over), "cancel"));
      run(source);
      report(source, progress);
    } finally {
      over.countDown();
    }
    return 0;
  }

  private void checkOptions(final boolean isStore) {
    if (!isStore) {
      link.check(spec);
      if (handOver) {
        throw new ParameterException(
            spec.commandLine(), "--handover: 'virtnvme receive' takes over without it");
      }
    } else if (findDuplicates) {
      throw new ParameterException(
          spec.commandLine(), "--find-duplicates: only 'virtnvme receive' can copy chunks");
    }
  }

  private Destination connect() throws IOException {
    final Socket socket = link.connect(LinkOptions.parse(spec, "--to", to, 1));
    try {
      socket.setSoTimeout(SILENCE_MS);
      return new PeerDestination(Wire.over(socket), disk, verify);
    } catch (final IOException e) {
      socket.close();
      throw e;
    }
  }

  private Destination openStore() throws IOException {
    try {
      final BlockStore store;
      if (to.startsWith(FILE_PREFIX)) {
        link.checkPlain(spec, true);
        store = FileStore.open(Path.of(to.substring(FILE_PREFIX.length())));
      } else {
        final NbdAddress address = NbdAddress.parse(to);
        link.checkPlain(spec, address.socket() instanceof UnixDomainSocketAddress);
        store = NbdClient.connect(address, CONNECT_MS, SILENCE_MS);
      }
      return new StoreDestination(store, verify, handOver);
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), "--to: " + e.getMessage(), e);
    } catch (final IOException e) {
      throw new IOException("cannot use " + to + ": " + e.getMessage(), e);
    }
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
      result.put("disk", disk).put("to", to).put("state", source.isMoved() ? "moved" : "copied");
      result.put("passes", progress.passCount()).put("seconds", progress.elapsedNs() / 1e9);
      result.put("sent_bytes", progress.sentBytes()).put("zero_bytes", progress.zeroBytes());
      result.put("skipped_bytes", progress.skippedBytes());
      result.put("duplicate_bytes", progress.duplicateBytes());
      result.put("verified", verify).put("mismatches", source.mismatchCount());
      if (source.blackoutNs() >= 0) {
        result.put("blackout_ms", blackoutMs);
      }
      out.println(result);
    } else {
      out.printf(
          Locale.ROOT,
          "%s %s %s: %d passes, %.1f MiB sent, %.1f s%s%n",
          disk,
          source.isMoved() ? "is at" : "was copied to",
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
