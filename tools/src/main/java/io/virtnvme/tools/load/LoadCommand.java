package io.virtnvme.tools.load;

import io.virtnvme.ipc.nvme.client.NvmeClientException;
import io.virtnvme.ipc.vfiouser.VfioUserClientException;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEndException;
import io.virtnvme.tools.OptionRange;
import io.virtnvme.tools.pair.FrontEnd;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code virtnvme load}: the client process of the demo. */
@Command(
    name = "load",
    hidden = true,
    mixinStandardHelpOptions = true,
    description = "Run the verifying load of the demo against a disk's socket.")
public final class LoadCommand implements Callable<Integer> {
  private static final int BLOCK_COUNT_MAX = 1 << 26;

  @Spec private CommandSpec spec;

  @Option(
      names = "--front-end",
      defaultValue = "blk",
      description = "What the disk is seen as: ${COMPLETION-CANDIDATES}.")
  private FrontEnd frontEnd;

  @Option(names = "--socket", required = true, description = "Socket of the disk.")
  private String socketPath;

  @Option(names = "--progress", required = true, description = "Progress file of the watcher.")
  private Path progressPath;

  @Option(
      names = "--blocks",
      defaultValue = "16384",
      description = "Blocks of 4 KiB to use; all must be zero (default: ${DEFAULT-VALUE}).")
  private int blockCount;

  @Option(
      names = "--broken-block",
      defaultValue = "0",
      description =
          "First of as many blocks again where every request must fail (blk only); used when the"
              + " watcher says so. 0 = none.")
  private int brokenBlock;

  @Option(names = "--queue-depth", defaultValue = "32", description = "Requests per queue.")
  private int queueDepth;

  @Option(names = "--queues", defaultValue = "1", description = "Queues.")
  private int queueCount;

  @Option(names = "--packed", description = "Packed rings.")
  private boolean packed;

  @Option(names = "--memory", defaultValue = "0", description = "Guest memory to use, MiB.")
  private int memoryMegabytes;

  @Option(names = "--huge-pages", description = "Guest memory on huge pages.")
  private boolean hugePages;

  @Option(names = "--io-blocks-max", defaultValue = "32", description = "Longest request, 4 KiB.")
  private int ioBlocksMax;

  @Option(names = "--read-percent", defaultValue = "50", description = "Share of reads.")
  private int readPercent;

  @Option(names = "--seed", defaultValue = "1", description = "Seed of the order of requests.")
  private long seed;

  @Option(names = "--core", defaultValue = "-1", description = "Core of the polling thread.")
  private int core;

  @Option(
      names = "--think-us",
      defaultValue = "0",
      description = "Pause between looks, for clients that share a core; 0 = poll.")
  private int thinkUs;

  @Option(
      names = "--stall-limit-ms",
      defaultValue = "30000",
      description = "Without a completion for so long the disk counts as dead.")
  private int stallLimitMs;

  /** For picocli. */
  public LoadCommand() {}

  @Override
  public Integer call() {
    if (frontEnd == FrontEnd.QPAIR) {
      throw new ParameterException(
          spec.commandLine(), "--front-end qpair: a guest's are blk and nvme");
    }
    OptionRange.check(spec, "--blocks", blockCount, ioBlocksMax, BLOCK_COUNT_MAX);
    // Not next to the good ones: the kernel would merge requests over the edge.
    OptionRange.check(
        spec,
        "--broken-block",
        brokenBlock,
        brokenBlock == 0 ? 0 : blockCount + 1,
        BLOCK_COUNT_MAX);
    OptionRange.check(spec, "--queue-depth", queueDepth, 1, 1024);
    OptionRange.check(spec, "--queues", queueCount, 1, 64);
    OptionRange.check(spec, "--io-blocks-max", ioBlocksMax, 1, 256);
    OptionRange.check(spec, "--think-us", thinkUs, 0, 1_000_000);
    OptionRange.check(spec, "--read-percent", readPercent, 0, 100);
    OptionRange.check(spec, "--memory", memoryMegabytes, 0, 65_536);
    final LoadSettings settings =
        new LoadSettings(
            frontEnd,
            socketPath,
            progressPath,
            blockCount,
            brokenBlock,
            queueDepth,
            queueCount,
            packed,
            memoryMegabytes,
            hugePages,
            ioBlocksMax,
            readPercent,
            seed,
            System.nanoTime() ^ ProcessHandle.current().pid(),
            core,
            TimeUnit.MICROSECONDS.toNanos(thinkUs),
            stallLimitMs);
    try (LoadProgress progress = LoadProgress.open(progressPath)) {
      return run(settings, progress);
    }
  }

  private int run(final LoadSettings settings, final LoadProgress progress) {
    final PrintWriter err = spec.commandLine().getErr();
    try (LoadClient client = new LoadClient(settings, progress)) {
      client.checkCapacity();
      final LoadResult result = client.run();
      progress.state(result.isSound() ? LoadProgress.State.DONE : LoadProgress.State.FAILED);
      final PrintWriter out = spec.commandLine().getOut();
      out.println(result.toJson());
      out.flush();
      return result.isSound() ? 0 : 1;
    } catch (final VhostUserFrontEndException
        | VfioUserClientException
        | NvmeClientException
        | LoadException e) {
      progress.state(LoadProgress.State.FAILED);
      err.println("virtnvme load: " + e.getMessage());
      return 1;
    }
  }
}
