package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.relay.FormatVersions;
import io.virtnvme.ipc.relay.FormatVersions.FormatVersion;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.MasterReplacer;
import io.virtnvme.master.rpc.RpcMethods;
import io.virtnvme.master.rpc.RpcParams;
import io.virtnvme.master.rpc.UpgradeInfo;
import io.virtnvme.master.rpc.UpgradeSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** {@code virtnvme_upgrade_*}: another build for what runs. */
public final class UpgradeMethods {
  private static final int LIMIT_MS_MAX = 3_600_000;
  private static final int WARM_LIMIT_MS_DEFAULT = 60_000;
  private static final int DRAIN_LIMIT_MS_DEFAULT = 1000;
  private static final int MOVE_LIMIT_MS_DEFAULT = 10_000;
  private static final int MASTER_LIMIT_MS_DEFAULT = 30_000;
  private static final int FORMATS_MAX = 64;
  private static final Pattern FORMAT =
      Pattern.compile("([a-z0-9-]{1,64}) ([0-9]{1,9})\\.([0-9]{1,9})");

  private final ControlPlane controlPlane;
  private final MasterReplacer replacer;

  /** Makes the methods; {@link #register} adds them. */
  public UpgradeMethods(final ControlPlane controlPlane, final MasterReplacer replacer) {
    this.controlPlane = controlPlane;
    this.replacer = replacer;
  }

  /** Adds the methods. */
  public void register(final RpcMethods methods) {
    methods.add(
        "virtnvme_upgrade_slaves",
        List.of("command", "warm_limit_ms", "drain_limit_ms", "move_limit_ms"),
        this::upgradeSlaves);
    methods.add(
        "virtnvme_upgrade_master", List.of("command", "formats", "limit_ms"), this::upgradeMaster);
  }

  private static List<String> command(final RpcParams params) {
    final List<String> command = params.optionalStrings("command");
    final boolean sound = command.stream().allMatch(word -> word.indexOf('\0') < 0);
    if (command.isEmpty() || !command.get(0).startsWith("/") || !sound) {
      throw params.invalid(
          "command", "the words of a command line, the first an absolute path of a program");
    }
    return command;
  }

  private CompletionStage<JsonNode> upgradeMaster(final RpcParams params) {
    final List<FormatVersion> formats = new ArrayList<>();
    for (final String text : params.optionalStrings("formats")) {
      final Matcher matcher = FORMAT.matcher(text);
      if (!matcher.matches() || formats.size() == FORMATS_MAX) {
        throw params.invalid("formats", "words like \"relay 1.0\", one per format");
      }
      formats.add(
          new FormatVersion(
              matcher.group(1),
              Integer.parseInt(matcher.group(2)),
              Integer.parseInt(matcher.group(3))));
    }
    return replacer
        .replace(
            command(params),
            new FormatVersions(formats),
            limitNs(params, "limit_ms", MASTER_LIMIT_MS_DEFAULT))
        .thenApply(begun -> BooleanNode.getTrue());
  }

  private CompletionStage<JsonNode> upgradeSlaves(final RpcParams params) {
    return controlPlane
        .upgradeSlaves(
            new UpgradeSpec(
                params.has("command") ? command(params) : List.of(),
                limitNs(params, "warm_limit_ms", WARM_LIMIT_MS_DEFAULT),
                limitNs(params, "drain_limit_ms", DRAIN_LIMIT_MS_DEFAULT),
                limitNs(params, "move_limit_ms", MOVE_LIMIT_MS_DEFAULT)))
        .thenApply(UpgradeMethods::json);
  }

  private static long limitNs(final RpcParams params, final String name, final int defaultMs) {
    return TimeUnit.MILLISECONDS.toNanos(params.optionalInt(name, 1, LIMIT_MS_MAX, defaultMs));
  }

  private static JsonNode json(final UpgradeInfo info) {
    final ObjectNode json = JsonNodeFactory.instance.objectNode().put("build", info.build());
    final ArrayNode moves = json.putArray("moves");
    for (final UpgradeInfo.Move move : info.moves()) {
      final ObjectNode entry = moves.addObject();
      final ArrayNode seats = entry.putArray("seats");
      move.seats().forEach(seats::add);
      entry
          .put("from_pid", move.fromPid())
          .put("to_pid", move.toPid())
          .put("drained", move.drained())
          .put("took_us", move.tookUs());
    }
    return json;
  }
}
