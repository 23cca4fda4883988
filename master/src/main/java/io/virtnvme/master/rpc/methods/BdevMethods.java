package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.master.registry.DesiredState;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.BdevSpecs;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.DirtySpecs;
import io.virtnvme.master.rpc.IoStat;
import io.virtnvme.master.rpc.LimitSpecs;
import io.virtnvme.master.rpc.MigrationSpecs;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.RpcParams;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** {@code bdev_*}: make, delete, resize, limit and list bdevs, and their counters. */
public final class BdevMethods {
  private static final long MIB = 1024 * 1024;
  private static final long TICK_RATE_HZ = 1_000_000_000L;
  private static final long APPEAR_TIMEOUT_MS_MAX = 3_600_000;

  private final ControlPlane controlPlane;
  private final ChangeLog changes;
  private final BdevWaiters waiters;
  private int mallocCount;

  /** Makes the methods; {@link #register} adds them. */
  public BdevMethods(final ControlPlane controlPlane, final ChangeLog changes) {
    this.controlPlane = controlPlane;
    this.changes = changes;
    waiters = new BdevWaiters(this::find);
  }

  /** Adds the methods. */
  public void register(final RpcMethods methods) {
    for (final BdevMethod method : BdevMethod.CALLABLE) {
      methods.add(
          BdevSpecs.createMethod(method),
          BdevSpecs.parameters(method),
          params -> create(method, params));
      methods.add(
          "bdev_" + method.word() + "_delete", List.of("name"), params -> delete(method, params));
    }
    methods.add("bdev_uring_rescan", List.of("name"), this::rescan);
    methods.add("bdev_aio_rescan", List.of("name"), this::rescan);
    methods.add("bdev_null_resize", List.of("name", "new_size"), this::resizeNull);
    methods.add(
        DesiredState.RESIZE_METHOD, List.of("name", "num_blocks", "new_size"), this::resize);
    methods.add(LimitSpecs.METHOD, LimitSpecs.PARAMETERS, this::setLimits);
    methods.add(LimitSpecs.THROTTLE, LimitSpecs.THROTTLE_PARAMETERS, this::throttle);
    methods.add(DirtySpecs.START, DirtySpecs.START_PARAMETERS, this::startTracking);
    methods.add(DirtySpecs.STOP, DirtySpecs.STOP_PARAMETERS, this::stopTracking);
    methods.add(MigrationSpecs.HOLD, MigrationSpecs.HOLD_PARAMETERS, this::hold);
    methods.add(MigrationSpecs.RELEASE, MigrationSpecs.RELEASE_PARAMETERS, this::release);
    methods.add(MigrationSpecs.SET, MigrationSpecs.SET_PARAMETERS, this::setMigration);
    methods.add("bdev_get_bdevs", List.of("name", "timeout"), this::getBdevs);
    methods.add(
        "bdev_get_iostat", List.of("names", "name", "per_channel", "reset_mode"), this::getIostat);
    methods.add(
        "bdev_wait_for_examine", List.of(), params -> RpcMethods.answer(BooleanNode.getTrue()));
  }

  private CompletionStage<JsonNode> create(final BdevMethod method, final RpcParams params) {
    final BdevSpec spec = BdevSpecs.parse(method, params, freeMallocName(params));
    return controlPlane
        .createBdev(spec)
        .thenCompose(
            made ->
                changes
                    .append(BdevSpecs.createMethod(method), BdevSpecs.toParams(asMade(made)))
                    .thenApply(
                        recorded -> {
                          waiters.onCreated(made);
                          return TextNode.valueOf(spec.name());
                        }));
  }

  /** With the block size found in the file, so that it stays the same over restarts. */
  private static BdevSpec asMade(final BdevInfo made) {
    final BdevSpec spec = made.spec();
    return new BdevSpec(
        spec.name(),
        spec.method(),
        spec.uuid(),
        made.blockSize(),
        spec.numBlocks(),
        spec.filename(),
        spec.readOnly());
  }

  private String freeMallocName(final RpcParams params) {
    if (params.has("name")) {
      return "";
    }
    String name;
    do {
      name = "Malloc" + mallocCount++;
    } while (find(name) != null);
    return name;
  }

  private CompletionStage<JsonNode> delete(final BdevMethod method, final RpcParams params) {
    final String name = params.requireString("name");
    final ObjectNode recorded = JsonNodeFactory.instance.objectNode().put("name", name);
    return controlPlane
        .deleteBdev(name, method.kind())
        .thenCompose(deleted -> changes.append(params.method(), recorded))
        .thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> rescan(final RpcParams params) {
    return controlPlane
        .resizeBdev(params.requireString("name"), BdevKind.URING, 0)
        .thenApply(resized -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> resizeNull(final RpcParams params) {
    final BdevInfo bdev = require(params.requireString("name"));
    if (bdev.spec().kind() != BdevKind.NULL) {
      throw new RpcException(
          RpcException.EINVAL,
          bdev.spec().name()
              + " is no null bdev; use "
              + DesiredState.RESIZE_METHOD
              + " or, for a file, bdev_uring_rescan");
    }
    return resizeTo(bdev, numBlocks(bdev, params));
  }

  private CompletionStage<JsonNode> resize(final RpcParams params) {
    final BdevInfo bdev = require(params.requireString("name"));
    if (bdev.spec().kind() == BdevKind.URING) {
      throw new RpcException(
          RpcException.EINVAL,
          bdev.spec().name()
              + " is as long as its file; change the file and call bdev_uring_rescan");
    }
    if (params.has("num_blocks") == params.has("new_size")) {
      throw params.invalid("num_blocks", "either num_blocks or new_size (in MiB)");
    }
    return resizeTo(
        bdev,
        params.has("new_size")
            ? numBlocks(bdev, params)
            : params.requireLong("num_blocks", 1, Long.MAX_VALUE / bdev.blockSize()));
  }

  private static long numBlocks(final BdevInfo bdev, final RpcParams params) {
    return params.requireLong("new_size", 1, Long.MAX_VALUE / MIB) * MIB / bdev.blockSize();
  }

  private CompletionStage<JsonNode> resizeTo(final BdevInfo bdev, final long numBlocks) {
    final String name = bdev.spec().name();
    final ObjectNode recorded = JsonNodeFactory.instance.objectNode();
    recorded.put("name", name);
    recorded.put("num_blocks", numBlocks);
    return controlPlane
        .resizeBdev(name, bdev.spec().kind(), numBlocks)
        .thenCompose(resized -> changes.append(DesiredState.RESIZE_METHOD, recorded))
        .thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> setLimits(final RpcParams params) {
    final BdevSpec bdev = require(params.requireString("name")).spec();
    final BdevLimits limits = LimitSpecs.parse(params, bdev.limits());
    return controlPlane
        .setLimits(bdev.name(), limits)
        .thenCompose(
            done -> changes.append(LimitSpecs.METHOD, LimitSpecs.toParams(bdev.name(), limits)))
        .thenApply(recorded -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> throttle(final RpcParams params) {
    final String name = require(params.requireString("name")).spec().name();
    final BdevLimits limits = LimitSpecs.parse(params, BdevLimits.NONE);
    return controlPlane
        .throttle(name, limits, LimitSpecs.limitMs(params))
        .thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> startTracking(final RpcParams params) {
    final String name = require(params.requireString("name")).spec().name();
    final int grainShift = DirtySpecs.grainShift(params);
    final ObjectNode recorded = DirtySpecs.toParams(name, grainShift);
    return controlPlane
        .startDirtyTracking(name, grainShift)
        .thenCompose(
            path ->
                changes
                    .append(DirtySpecs.START, recorded)
                    .thenApply(
                        done ->
                            JsonNodeFactory.instance
                                .objectNode()
                                .put("path", path.toString())
                                .put("grain_kib", DirtySpecs.grainKib(grainShift))));
  }

  private CompletionStage<JsonNode> stopTracking(final RpcParams params) {
    final String name = require(params.requireString("name")).spec().name();
    final ObjectNode recorded = JsonNodeFactory.instance.objectNode().put("name", name);
    return controlPlane
        .stopDirtyTracking(name)
        .thenCompose(done -> changes.append(DirtySpecs.STOP, recorded))
        .thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> hold(final RpcParams params) {
    final String name = require(params.requireString("name")).spec().name();
    return controlPlane
        .holdBdev(name, MigrationSpecs.limitMs(params))
        .thenApply(hold -> JsonNodeFactory.instance.objectNode().put("hold", hold));
  }

  private CompletionStage<JsonNode> release(final RpcParams params) {
    final String name = require(params.requireString("name")).spec().name();
    return controlPlane
        .releaseBdev(name, params.requireLong("hold", 1, Long.MAX_VALUE))
        .thenApply(done -> BooleanNode.getTrue());
  }

  /**
   * A disk that goes is let go before that is on record, a disk that comes is used only afterwards:
   * whoever dies in between, it is not used at both ends.
   */
  private CompletionStage<JsonNode> setMigration(final RpcParams params) {
    final String name = require(params.requireString("name")).spec().name();
    final BdevMigration migration = MigrationSpecs.parse(params);
    return controlPlane
        .setMigration(name, migration, MigrationSpecs.hold(params))
        .thenCompose(
            done -> changes.append(MigrationSpecs.SET, MigrationSpecs.toParams(name, migration)))
        .thenCompose(
            recorded ->
                migration.state() == BdevMigration.State.OWNED
                    ? controlPlane.serve(name)
                    : CompletableFuture.completedFuture(null))
        .thenApply(done -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> getBdevs(final RpcParams params) {
    final long timeoutMs = params.optionalLong("timeout", 0, APPEAR_TIMEOUT_MS_MAX, 0);
    if (!params.has("name")) {
      final ArrayNode all = JsonNodeFactory.instance.arrayNode();
      controlPlane.bdevs().forEach(bdev -> all.add(BdevJson.info(bdev)));
      return RpcMethods.answer(all);
    }
    final String name = params.requireString("name");
    if (timeoutMs == 0) {
      return RpcMethods.answer(only(require(name)));
    }
    return waiters
        .await(name, timeoutMs)
        .thenApply(
            found -> {
              if (found == null) {
                throw unknown(name);
              }
              return only(found);
            });
  }

  private static ArrayNode only(final BdevInfo bdev) {
    return JsonNodeFactory.instance.arrayNode().add(BdevJson.info(bdev));
  }

  private CompletionStage<JsonNode> getIostat(final RpcParams params) {
    final String mode =
        params.optionalWord("reset_mode", List.of("all", "maxmin", "error", "none"), "none");
    if (!mode.equals("none")) {
      throw params.invalid("reset_mode", "none: the counters only grow, take differences");
    }
    final boolean perChannel = params.optionalBoolean("per_channel", false);
    final List<String> asked =
        params.has("name")
            ? List.of(params.requireString("name"))
            : params.optionalStrings("names");
    if (perChannel && asked.size() != 1) {
      throw new RpcException(RpcException.EINVAL, "per_channel needs exactly one name in 'names'");
    }
    final List<String> names = asked.stream().map(name -> require(name).spec().name()).toList();
    return controlPlane.ioStats(names).thenApply(stats -> iostat(stats, perChannel));
  }

  private static JsonNode iostat(final List<IoStat> stats, final boolean perChannel) {
    final ObjectNode answer = JsonNodeFactory.instance.objectNode();
    answer.put("tick_rate", TICK_RATE_HZ);
    answer.put("ticks", System.nanoTime());
    if (perChannel) {
      // One seat serves a bdev, so there is one channel.
      answer.put("name", stats.get(0).name());
      final ObjectNode channel = answer.putArray("channels").addObject();
      channel.put("thread_id", 1);
      BdevJson.addCounters(channel, stats.get(0));
      return answer;
    }
    final ArrayNode bdevs = answer.putArray("bdevs");
    for (final IoStat stat : stats) {
      BdevJson.addCounters(bdevs.addObject().put("name", stat.name()), stat);
    }
    return answer;
  }

  private BdevInfo require(final String name) {
    final BdevInfo bdev = find(name);
    if (bdev == null) {
      throw unknown(name);
    }
    return bdev;
  }

  private static RpcException unknown(final String name) {
    return new RpcException(
        RpcException.ENODEV,
        "there is no bdev '" + name + "'; bdev_get_bdevs lists those there are");
  }

  private BdevInfo find(final String nameOrUuid) {
    return Lookup.bdev(controlPlane, nameOrUuid);
  }
}
