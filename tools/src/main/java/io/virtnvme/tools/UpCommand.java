package io.virtnvme.tools;

import io.virtnvme.master.MasterContext;
import io.virtnvme.master.MasterMain;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code virtnvme up}: the master in the foreground. */
@Command(
    name = "up",
    mixinStandardHelpOptions = true,
    description = {
      "Run a pair: the master in the foreground, its slaves beside it.",
      "Ready when DIR/rpc.sock answers. Adopts the slaves of a master that died on the same run"
          + " directory. SIGTERM and Ctrl-C end the slaves too, unless --leave-slaves is given."
    })
final class UpCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Calls to make after the start, in SPDK's JSON configuration form.")
  private Path configFile;

  @Option(
      names = "--cores",
      paramLabel = "LIST",
      description =
          "Cores for the reactors, one each, as in 1,3-5 (default: one reactor on any core).")
  private String cores;

  @Option(
      names = "--slaves",
      paramLabel = "N",
      defaultValue = "1",
      description = "Slaves that share the cores (default: ${DEFAULT-VALUE}).")
  private int slaveCount;

  @Option(
      names = "--standby",
      paramLabel = "N",
      defaultValue = "1",
      description = "Warm standbys (default: ${DEFAULT-VALUE}).")
  private int standbyCount;

  @Option(
      names = "--hang-limit-ms",
      paramLabel = "MS",
      defaultValue = "1000",
      description =
          "A reactor without a heartbeat for so long is killed; 0 = never (default:"
              + " ${DEFAULT-VALUE}).")
  private long hangLimitMs;

  @Option(
      names = "--idle-spin-us",
      paramLabel = "US",
      defaultValue = "50",
      description =
          "How long a reactor without work polls before it sleeps (default: ${DEFAULT-VALUE}).")
  private long idleSpinUs;

  @Option(
      names = "--leave-slaves",
      description = "Leave slaves and guests running on SIGTERM, for the next 'up' to adopt.")
  private boolean leaveSlaves;

  @Option(
      names = "--keep-mem-disks",
      description = "Keep the contents of memory disks when everything is stopped.")
  private boolean keepMemDisks;

  @Override
  public Integer call() throws InterruptedException {
    if (hangLimitMs < 0 || idleSpinUs < 0) {
      throw new ParameterException(spec.commandLine(), "a time cannot be negative");
    }
    if (cores != null) {
      parseCores();
    }
    return MasterMain.run(this::context, spec.root().commandLine().getParseResult().originalArgs());
  }

  private MasterContext context() {
    final MasterContext context =
        new MasterContext()
            .runDirectory(runDirectory.path())
            .slaveCount(slaveCount)
            .standbyCount(standbyCount)
            .hangNsMax(TimeUnit.MILLISECONDS.toNanos(hangLimitMs))
            .idleSpinNs(TimeUnit.MICROSECONDS.toNanos(idleSpinUs))
            .leaveSlavesOnStop(leaveSlaves)
            .keepMemDisksOnStop(keepMemDisks);
    if (configFile != null) {
      context.configFile(configFile);
    }
    if (cores != null) {
      context.cores(parseCores());
    }
    return context;
  }

  private List<Integer> parseCores() {
    try {
      return CoreList.parse(cores);
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), "--cores: " + e.getMessage(), e);
    }
  }
}
