package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.Counter;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.ipc.qpair.QpairRequest;
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
import java.util.function.ToLongFunction;
import picocli.CommandLine;

/**
 * A pair with a real NVMe device whose first namespace is two disks: a load on one checks every
 * byte, while slaves are killed, the controller is reset, and the master is killed; the other has a
 * bad sector. Then the device goes back to the kernel. Prints a line per step; runs in a guest.
 */
public final class DeviceDiskMain {
  /** On the first of the two disks; its blocks have 512 bytes, too. */
  public static final int BAD_SECTOR = 4096;

  /** Every byte of the second namespace. */
  public static final byte SECOND_CONTENT = 'S';

  private static final String CONTROLLER = "Nvme0";
  private static final String DEVICE = CONTROLLER + "n1";
  private static final String BAD_DISK = DEVICE + "p0";
  private static final String DISK = DEVICE + "p1";
  private static final String FRONT_END = "d0";
  private static final String BAD_FRONT_END = "bad";
  private static final String SECOND = CONTROLLER + "n2";
  private static final String SECOND_FRONT_END = "second";
  private static final int BLOCK_COUNT = 1024;
  private static final int BLOCK_BYTES = 512;
  private static final int MADE_UP_ERRORS = 5;
  private static final long HANG_LIMIT_NS = TimeUnit.SECONDS.toNanos(60);

  /** The device needs longer for what the rings hold. */
  private static final int KILL_DELAY_NS = 10_000_000;

  private static final long FULL_AFTER_NS = 200_000_000;
  private static final long READ_NS_MAX = TimeUnit.SECONDS.toNanos(20);

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

  private static long millisSince(final long beganNs) {
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - beganNs);
  }

  private void run() {
    final long beganNs = System.nanoTime();
    final JsonNode bdevs =
        pair.call(
            "bdev_nvme_attach_controller",
            Json.of("name", CONTROLLER, "trtype", "PCIe", "traddr", address));
    say("attached " + bdevs + " in " + millisSince(beganNs) + " ms");
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
    say("split " + pair.call("bdev_split_create", Json.of("base_bdev", DEVICE, "split_count", 2)));
    say("bdev " + pair.call("bdev_get_bdevs", Json.of("name", DISK)));
    say("whole " + refusal("vhost_create_blk_controller", "ctrlr", FRONT_END, "dev_name", DEVICE));
    readBadSector();
    readSecondNamespace();
    pair.createController(FRONT_END, DISK, false);
    try (LoadProcess load =
        LoadProcess.start(
            pair,
            FRONT_END,
            LoadOptions.withPauses(7).withBlockCount(BLOCK_COUNT),
            OnlyLoad.class)) {
      say("load runs");
      makeUpErrors(load);
      killSlave(load);
      reset(load);
      say("health " + pair.call("bdev_nvme_get_controller_health_info", name()));
      killMaster(load);
      say("in use " + refusal("bdev_nvme_detach_controller", "name", CONTROLLER));
      sayHowItWent();
      final JsonNode result = load.finish();
      say("load sound=" + result.path("sound").asBoolean() + " ios=" + result.path("ios").asLong());
    }
    giveBack();
  }

  private void giveBack() {
    for (final String controller : List.of(FRONT_END, BAD_FRONT_END, SECOND_FRONT_END)) {
      Waiting.until(
          controller + " has no front-end",
          Pair.ANSWER_LIMIT,
          () -> !isRefused("vhost_delete_controller", controller));
    }
    say("whole again " + pair.call("bdev_split_delete", Json.of("base_bdev", DEVICE)));
    final long beganNs = System.nanoTime();
    pair.call("bdev_nvme_detach_controller", name());
    final long tookMs = millisSince(beganNs);
    say("detached " + pair.call("bdev_nvme_get_controllers") + " in " + tookMs + " ms");
  }

  /** The error of the medium reaches whoever reads there, and nobody else. */
  private void readBadSector() {
    try (QpairClient client = reader(BAD_FRONT_END, BAD_DISK)) {
      read(client, BAD_SECTOR - 8, 8);
      read(client, BAD_SECTOR + 1, 8);
      try {
        read(client, BAD_SECTOR, 1);
        throw new AssertionError("the bad sector was read");
      } catch (final QpairException e) {
        say("medium " + e.getMessage());
      }
      read(client, 0, 8);
    }
    Waiting.until(
        "the master has counted it",
        Pair.ANSWER_LIMIT,
        () -> repair().path("troubles").path("media").asLong() == 1);
    say("repair " + repair());
  }

  private void readSecondNamespace() {
    try (QpairClient client = reader(SECOND_FRONT_END, SECOND)) {
      read(client, 5, 8);
      for (int i = 0; i < 8 * BLOCK_BYTES; i++) {
        if (Mem.getByte(client.poolAddress() + i) != SECOND_CONTENT) {
          throw new AssertionError("not the second namespace: byte " + i);
        }
      }
    }
    say("second namespace sound");
  }

  private QpairClient reader(final String name, final String bdev) {
    pair.createSecondaryEndpoint(name, bdev, true);
    return QpairLoad.attach(pair.path().resolve("virtnvme").resolve(name), false);
  }

  private JsonNode repair() {
    return pair.call("bdev_nvme_get_controllers", name()).get(0).path("virtnvme").path("repair");
  }

  private static void read(final QpairClient client, final long firstBlock, final int blockCount) {
    client.run(QpairRequest.READ, 0, firstBlock, blockCount, 0, READ_NS_MAX);
  }

  /** Of a kind that slaves do not tell guests. */
  private void makeUpErrors(final LoadProcess load) {
    final long before = counter(Counter.RETRIES);
    pair.call(
        "bdev_nvme_add_error_injection",
        Json.of(
            "name",
            CONTROLLER,
            "cmd_type",
            "io",
            "opc",
            NvmOpcode.WRITE,
            "sc",
            Status.INTERNAL_ERROR,
            "err_count",
            MADE_UP_ERRORS));
    load.awaitIos(500);
    final long again = counter(Counter.RETRIES) - before;
    say("made up " + again);
    if (again != MADE_UP_ERRORS) {
      throw new AssertionError("errors made up: " + again);
    }
  }

  private void reset(final LoadProcess load) {
    final long beganNs = System.nanoTime();
    pair.call("bdev_nvme_reset_controller", name());
    final long tookMs = millisSince(beganNs);
    load.awaitIos(500);
    say(
        "reset in "
            + tookMs
            + " ms, blackout "
            + blackoutMs(load, beganNs, TimeUnit.MILLISECONDS.toNanos(tookMs))
            + " ms");
  }

  private static long blackoutMs(
      final LoadProcess load, final long momentNs, final long toleranceNs) {
    return TimeUnit.NANOSECONDS.toMillis(load.progress().blackoutNs(momentNs, toleranceNs));
  }

  private long counter(final Counter counter) {
    return ofQueue(queue -> queue.counter(counter));
  }

  /** Looks at the queue pair of the disk under load. */
  private long ofQueue(final ToLongFunction<DeviceQueueSegment> look) {
    try (DeviceQueueSegment queue =
        DeviceQueueSegment.open(RunDirectory.of(pair.path()).segments(), DISK, 0)) {
      return look.applyAsLong(queue);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void sayHowItWent() {
    final long completions = counter(Counter.COMPLETIONS);
    final long bounced = counter(Counter.BOUNCED);
    say(
        "completions="
            + completions
            + " bounced="
            + bounced
            + " adopted="
            + counter(Counter.ADOPTED)
            + " again="
            + counter(Counter.RETRIES)
            + " errors="
            + (counter(Counter.MEDIA_ERRORS) + counter(Counter.OTHER_ERRORS)));
    if (bounced > completions / 2) {
      throw new AssertionError("the device does not reach the guest's memory");
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
    final long killedNs = System.nanoTime();
    final long left = ofQueue(DeviceQueueSegment::inFlightCount);
    load.awaitIos(500);
    say(
        "slave killed, commands left to the device "
            + left
            + ", adopted "
            + counter(Counter.ADOPTED)
            + ", blackout "
            + blackoutMs(load, killedNs, TimeUnit.SECONDS.toNanos(1))
            + " ms");
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

  private boolean isRefused(final String method, final String controller) {
    try {
      pair.call(method, Json.of("ctrlr", controller));
      return false;
    } catch (final RpcException e) {
      return true;
    }
  }
}
