package io.virtnvme.tools.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.OptionRange;
import io.virtnvme.tools.pair.FrontEnd;
import io.virtnvme.tools.pair.PairSettings;
import io.virtnvme.tools.pair.Placement;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code virtnvme bench}. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    description = {
      "Measure a disk of ours, alone or in alternation with other back-ends.",
      "",
      "Starts a pair in a temporary run directory and a load client as a process of its own, with one"
          + " polling thread on another core than the slave's. Progress goes to stderr, the result"
          + " to stdout: medians of all rounds, and what the client reaches against a peer that does"
          + " nothing.",
      "Works that write destroy what is on the file or behind the socket.",
      "Exit code 0 only if every run was made and no request failed."
    })
public final class BenchCommand implements Callable<Integer> {
  private static final String BLKIO = "libblkio";
  private static final String BLKIO_LIBRARY = "libblkio.so.1";
  private static final String URING_PREFIX = "uring:";
  private static final String PAGE_NAME = "bench.html";
  private static final String JSON_NAME = "bench.json";

  private enum Peer {
    QEMU_STORAGE_DAEMON;

    @Override
    public String toString() {
      return "qemu-storage-daemon";
    }
  }

  private enum Comparison {
    JOURNAL;

    @Override
    public String toString() {
      return "journal";
    }
  }

  @Spec private CommandSpec spec;

  @Option(
      names = "--front-end",
      paramLabel = "KIND",
      defaultValue = "blk",
      description =
          "What the disks are seen as: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private FrontEnd frontEnd;

  @Option(
      names = "--client",
      paramLabel = "NAME",
      defaultValue = "virtnvme",
      description =
          "Who drives the disks: virtnvme, or libblkio[:FILE], which neither we nor the peers have"
              + " written; FILE is its "
              + BLKIO_LIBRARY
              + ", if it is not installed (default: ${DEFAULT-VALUE}).")
  private String client;

  @Option(
      names = "--bdev",
      paramLabel = "KIND",
      defaultValue = "mem",
      description =
          "Our disk: null, mem, or uring:FILE; a FILE that is not there is made, and removed"
              + " afterwards (default: ${DEFAULT-VALUE}).")
  private String bdev;

  @Option(
      names = "--size",
      paramLabel = "MIB",
      defaultValue = "256",
      description = "Length of the disk, or how much of it is used (default: ${DEFAULT-VALUE}).")
  private int megabytes;

  @Option(
      names = "--work",
      paramLabel = "LIST",
      split = ",",
      defaultValue = "randread,randwrite",
      description =
          "randread, randwrite, mixed (70 %% reads): 4 KiB at random; seqread, seqwrite: 128 KiB"
              + " (default: ${DEFAULT-VALUE}).")
  private List<Work> works;

  @Option(
      names = "--queue-depth",
      paramLabel = "LIST",
      split = ",",
      defaultValue = "1,32,128",
      description = "Requests in flight (default: ${DEFAULT-VALUE}).")
  private List<Integer> queueDepths;

  @Option(
      names = "--rate",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Requests per second, due at fixed times whatever happened to those before them; a latency"
              + " counts from the moment when a request was due, also where it had to wait for one of"
              + " the queue depth. 0: each follows the completion of another one (default:"
              + " ${DEFAULT-VALUE}).")
  private int ratePerSecond;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      defaultValue = "3",
      description = "Length of each run (default: ${DEFAULT-VALUE}).")
  private int seconds;

  @Option(
      names = "--warm-up-ms",
      paramLabel = "MS",
      defaultValue = "1000",
      description = "Time before each run that does not count (default: ${DEFAULT-VALUE}).")
  private int warmUpMs;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "3",
      description =
          "Runs of each kind, one subject after the other in each round (default:"
              + " ${DEFAULT-VALUE}).")
  private int rounds;

  @Option(names = "--packed", description = "Packed rings instead of split ones.")
  private boolean packed;

  @Option(
      names = "--no-indirect",
      description = "Descriptors of a request in the ring itself instead of a table of its own.")
  private boolean direct;

  @Option(
      names = "--no-journal",
      description =
          "Our pair without its inflight journal (split rings only); for measuring, a disk without"
              + " it does not survive a kill.")
  private boolean noJournal;

  @Option(
      names = "--compare",
      paramLabel = "WHAT",
      description = "journal: our pair with and without its inflight journal, in alternation.")
  private Comparison comparison;

  @Option(
      names = "--socket",
      paramLabel = "PATH",
      description = "Socket of another back-end to compare with; may be given several times.")
  private List<String> sockets = new ArrayList<>();

  @Option(
      names = "--peer",
      paramLabel = "NAME",
      description =
          "qemu-storage-daemon: start one and compare with it. It serves null-co for null, a file in"
              + " /dev/shm for mem, the same FILE for uring.")
  private Peer peer;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description =
          "Folder for "
              + PAGE_NAME
              + " with tables and pictures, and "
              + JSON_NAME
              + "; made if needed. A run that is cut short leaves what it has.")
  private Path out;

  @Option(names = "--json", description = "Print the result as one JSON object.")
  private boolean json;

  /** For picocli. */
  public BenchCommand() {}

  @Override
  public Integer call() throws IOException {
    final BenchSettings settings = settings();
    final BenchReport report =
        new BenchReport(
            settings, Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(), commandLine());
    if (out != null) {
      Files.createDirectories(out);
    }
    final BenchRun run = new BenchRun(settings, report, spec.commandLine().getErr());
    final AtomicBoolean printed = new AtomicBoolean();
    final Thread hook =
        new Thread(
            () -> {
              run.close();
              if (printed.compareAndSet(false, true)) {
                report.message("interrupted");
                print(report);
              }
            },
            "cleanup");
    Runtime.getRuntime().addShutdownHook(hook);
    try {
      run.run();
      return 0;
    } catch (final CommandFailedException | IOException e) {
      if (run.isClosed()) {
        // Ctrl-C: the failure is only the echo of what the shutdown hook ended.
        return 1;
      }
      report.message(e.getMessage());
      throw e;
    } finally {
      final boolean first = !run.isClosed() && printed.compareAndSet(false, true);
      run.close();
      if (first) {
        print(report);
      }
    }
  }

  /** What to type for the same again. */
  private String commandLine() {
    final List<String> arguments = spec.commandLine().getParseResult().originalArgs();
    final int first = arguments.indexOf(spec.name()) + 1;
    return "virtnvme bench " + String.join(" ", arguments.subList(first, arguments.size()));
  }

  private void print(final BenchReport report) {
    try {
      final JsonNode result = report.toJson();
      final String text = new ObjectMapper().writeValueAsString(result);
      // First: a full disk must not swallow what was measured.
      spec.commandLine().getOut().println(json ? text : report.toText());
      spec.commandLine().getOut().flush();
      if (out != null) {
        Files.writeString(out.resolve(JSON_NAME), text);
        Files.writeString(out.resolve(PAGE_NAME), BenchPage.render(result));
      }
    } catch (final IOException e) {
      throw new CommandFailedException("no result can be written: " + e.getMessage(), e);
    }
  }

  private BenchSettings settings() {
    OptionRange.check(spec, "--size", megabytes, 1, 1 << 20);
    OptionRange.check(spec, "--seconds", seconds, 1, 86_400);
    OptionRange.check(spec, "--warm-up-ms", warmUpMs, 0, 600_000);
    OptionRange.check(spec, "--rounds", rounds, 1, 1000);
    for (final int queueDepth : queueDepths) {
      OptionRange.check(spec, "--queue-depth", queueDepth, 1, 256);
    }
    OptionRange.check(spec, "--rate", ratePerSecond, 0, RunOrder.RATE_MAX);
    final boolean uring = bdev.startsWith(URING_PREFIX);
    if (comparison != null && (noJournal || uring)) {
      throw new ParameterException(
          spec.commandLine(),
          "--compare journal needs two pairs at once: not with --no-journal, and not on one file"
              + " (--bdev "
              + bdev
              + ")");
    }
    if (frontEnd != FrontEnd.BLK && (packed || noJournal || comparison != null || peer != null)) {
      throw new ParameterException(
          spec.commandLine(),
          "--front-end nvme or qpair: --packed, --no-journal, --compare and --peer are for blk");
    }
    final String blkioLibrary = blkioLibrary();
    if (blkioLibrary != null && (frontEnd != FrontEnd.BLK || packed)) {
      throw new ParameterException(
          spec.commandLine(),
          "--client libblkio drives split rings of vhost-user-blk only: not with --packed or"
              + " another --front-end");
    }
    if (packed && (noJournal || comparison != null)) {
      throw new ParameterException(
          spec.commandLine(), "--packed: a packed ring cannot run without its journal");
    }
    return new BenchSettings(
        frontEnd,
        blkioLibrary,
        kind(),
        uring ? Path.of(bdev.substring(URING_PREFIX.length())).toAbsolutePath() : null,
        megabytes,
        works,
        queueDepths,
        ratePerSecond,
        seconds,
        rounds,
        warmUpMs,
        packed,
        !direct,
        comparison != null ? List.of(true, false) : List.of(!noJournal),
        List.copyOf(sockets),
        peer != null,
        Placement.clientCore(),
        Placement.reactorCore());
  }

  /** Null for our own client. */
  private String blkioLibrary() {
    if (client.equals("virtnvme")) {
      return null;
    }
    if (client.equals(BLKIO)) {
      return BLKIO_LIBRARY;
    }
    if (client.startsWith(BLKIO + ":") && client.length() > BLKIO.length() + 1) {
      return Path.of(client.substring(BLKIO.length() + 1)).toAbsolutePath().toString();
    }
    throw new ParameterException(
        spec.commandLine(), "--client: '" + client + "' is none of virtnvme, libblkio[:FILE]");
  }

  private PairSettings.Kind kind() {
    if (bdev.equals("null")) {
      return PairSettings.Kind.NULL;
    }
    if (bdev.equals("mem")) {
      return PairSettings.Kind.MEM;
    }
    if (bdev.startsWith(URING_PREFIX) && bdev.length() > URING_PREFIX.length()) {
      return PairSettings.Kind.URING;
    }
    throw new ParameterException(
        spec.commandLine(), "--bdev: '" + bdev + "' is none of null, mem, uring:FILE");
  }
}
