package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.Counter;
import io.virtnvme.master.MasterContext;
import io.virtnvme.master.MasterMain;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.tools.RunDirectory;
import io.virtnvme.tools.load.LoadCommand;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;

/**
 * A pair with a real NVMe device, and a load on its disk that checks every byte: slaves are killed,
 * the controller is reset, the master is killed, and the device goes back to the kernel. Prints a
 * line per step; runs in a guest.
 */
public final class DeviceDiskMain {
  private static final String CONTROLLER = "Nvme0";
  private static final String DISK = CONTROLLER + "n1";
  private static final String FRONT_END = "d0";
  private static final int BLOCK_COUNT = 2048;
  private static final long HANG_LIMIT_NS = TimeUnit.SECONDS.toNanos(60);
  private static final int KILL_DELAY_NS = 1_000_000;
  private static final long FULL_AFTER_NS = 200_000_000;

  private final Pair pair;
  private final String address;

  private DeviceDiskMain(final Pair pair, final String address) {
    this.pair = pair;
    this.address = address;
  }

  /**
   * A master and nothing else: an emulated processor takes long to load what other commands need.
   */
  static final class OnlyMaster {
    private static final int RUN_DIRECTORY_INDEX = 2;

    private OnlyMaster() {}

    public static void main(final String[] arguments) throws InterruptedException {
      System.exit(
          MasterMain.run(
              new MasterContext()
                  .runDirectory(Path.of(arguments[RUN_DIRECTORY_INDEX]))
                  .cores(List.of(PairOptions.slaveCore()))
                  .hangNsMax(HANG_LIMIT_NS)
                  .standbyCount(0)));
    }
  }

  /** A load and nothing else, for the same reason. */
  static final class OnlyLoad {
    private OnlyLoad() {}

    public static void main(final String[] arguments) {
      System.exit(
          new CommandLine(new LoadCommand())
              .setCaseInsensitiveEnumValuesAllowed(true)
              .execute(Arrays.copyOfRange(arguments, 1, arguments.length)));
    }
  }

  /** One argument: the PCI address. */
  public static void main(final String[] arguments) {
    try (Pair pair = Pair.start(PairOptions.ofFirstCompiler().withMain(OnlyMaster.class))) {
      say("started");
      try {
        new DeviceDiskMain(pair, arguments[0]).run();
      } catch (final RuntimeException | AssertionError e) {
        say(pair.evidence());
        throw e;
      }
    }
    say("stopped");
  }

  private static void say(final String text) {
    System.out.println(ManagementFactory.getRuntimeMXBean().getUptime() + " ms: " + text);
  }

  private void run() {
    say(
        "attached "
            + pair.call(
                "bdev_nvme_attach_controller",
                Json.of("name", CONTROLLER, "trtype", "PCIe", "traddr", address)));
    say(
        "again "
            + refusal(
                "bdev_nvme_attach_controller",
                "name",
                "Other",
                "trtype",
                "PCIe",
                "traddr",
                address));
    say("bdev " + pair.call("bdev_get_bdevs", Json.of("name", DISK)));
    pair.createController(FRONT_END, DISK, false);
    try (LoadProcess load =
        LoadProcess.start(
            pair,
            FRONT_END,
            LoadOptions.withPauses(7).withBlockCount(BLOCK_COUNT),
            OnlyLoad.class)) {
      say("load runs");
      killSlave(load);
      pair.call("bdev_nvme_reset_controller", Json.of("name", CONTROLLER));
      load.awaitIos(500);
      say("reset");
      say("health " + pair.call("bdev_nvme_get_controller_health_info", name()));
      killMaster(load);
      say("in use " + refusal("bdev_nvme_detach_controller", "name", CONTROLLER));
      sayHowItWent();
      final JsonNode result = load.finish();
      say("load sound=" + result.path("sound").asBoolean() + " ios=" + result.path("ios").asLong());
    }
    Waiting.until(
        "the front-end is gone", Pair.ANSWER_LIMIT, () -> !isRefused("vhost_delete_controller"));
    pair.call("bdev_nvme_detach_controller", name());
    say("detached " + pair.call("bdev_nvme_get_controllers"));
  }

  private void sayHowItWent() {
    try (DeviceQueueSegment queue =
        DeviceQueueSegment.open(RunDirectory.of(pair.path()).segments(), DISK, 0)) {
      final long completions = queue.counter(Counter.COMPLETIONS);
      final long bounced = queue.counter(Counter.BOUNCED);
      say(
          "completions="
              + completions
              + " bounced="
              + bounced
              + " adopted="
              + queue.counter(Counter.ADOPTED)
              + " again="
              + queue.counter(Counter.RETRIES)
              + " errors="
              + (queue.counter(Counter.MEDIA_ERRORS) + queue.counter(Counter.OTHER_ERRORS)));
      if (bounced > completions / 2) {
        throw new AssertionError("the device does not reach the guest's memory");
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** While the device has commands of it. */
  private void killSlave(final LoadProcess load) {
    final int pid = pair.activePid();
    pair.killAtWork(
        pid,
        () ->
            Waiting.until(
                "the rings are full",
                Pair.ANSWER_LIMIT,
                () -> System.nanoTime() - load.progress().lastCompletionNs() > FULL_AFTER_NS),
        KILL_DELAY_NS);
    load.awaitIos(500);
    say("slave killed");
  }

  private void killMaster(final LoadProcess load) {
    pair.killMaster();
    load.awaitIos(500);
    load.pause();
    pair.startMaster();
    load.resume();
    load.awaitIos(500);
    final JsonNode adopted = pair.call("bdev_nvme_get_controllers", name()).get(0);
    say("master killed " + adopted.path("virtnvme").path("driver_state").asText());
    say("no health " + refusal("bdev_nvme_get_controller_health_info", "name", CONTROLLER));
    pair.call("bdev_nvme_reset_controller", name());
    load.awaitIos(500);
    say("health again " + pair.call("bdev_nvme_get_controller_health_info", name()));
  }

  private static ObjectNode name() {
    return Json.of("name", CONTROLLER);
  }

  private String refusal(final String method, final Object... params) {
    try {
      pair.call(method, Json.of(params));
    } catch (final RpcException e) {
      return e.code() + " " + e.getMessage();
    }
    throw new AssertionError(method + " was not refused");
  }

  private boolean isRefused(final String method) {
    try {
      pair.call(method, Json.of("ctrlr", FRONT_END));
      return false;
    } catch (final RpcException e) {
      return true;
    }
  }
}
