package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Holds and migrations of a bdev in the words of our own calls, read and written. */
public final class MigrationSpecs {
  /** Has everybody who may change a bdev wait for a limited time. */
  public static final String HOLD = "virtnvme_bdev_hold";

  /** Ends that earlier. */
  public static final String RELEASE = "virtnvme_bdev_release";

  /** Says where a bdev stands between two hosts. */
  public static final String SET = "virtnvme_bdev_set_migration";

  /** The parameters of {@link #HOLD}. */
  public static final List<String> HOLD_PARAMETERS = List.of("name", "limit_ms");

  /** The parameters of {@link #RELEASE}. */
  public static final List<String> RELEASE_PARAMETERS = List.of("name", "hold");

  /** The parameters of {@link #SET}. */
  public static final List<String> SET_PARAMETERS =
      List.of("name", "state", "source", "peer", "hold");

  private static final int LIMIT_MS_MAX = 10_000;
  private static final List<String> STATES =
      Arrays.stream(BdevMigration.State.values())
          .map(state -> state.name().toLowerCase(Locale.ROOT))
          .toList();

  private MigrationSpecs() {}

  /** How long a hold lasts at most, 1 to 10000 ms. */
  public static int limitMs(final RpcParams params) {
    return params.requireInt("limit_ms", 1, LIMIT_MS_MAX);
  }

  /** Number of a hold; 0 for none. */
  public static long hold(final RpcParams params) {
    return params.optionalLong("hold", 1, Long.MAX_VALUE, 0);
  }

  /**
   * Reads a call.
   *
   * @throws RpcException when the state is unknown, or comes without the source's uuid
   */
  public static BdevMigration parse(final RpcParams params) {
    final String word = params.optionalWord("state", STATES, null);
    if (word == null) {
      throw params.invalid("state", "one of " + String.join(", ", STATES));
    }
    final BdevMigration.State state = BdevMigration.State.valueOf(word.toUpperCase(Locale.ROOT));
    if (state == BdevMigration.State.NONE) {
      return BdevMigration.NONE;
    }
    if (!params.has("source")) {
      throw params.invalid("source", "the uuid of the disk at its source");
    }
    return new BdevMigration(
        state, params.optionalUuid("source", null), params.optionalText("peer", ""));
  }

  /** The parameters of a call that says so. */
  public static ObjectNode toParams(final String name, final BdevMigration migration) {
    final ObjectNode params = JsonNodeFactory.instance.objectNode().put("name", name);
    put(params, migration);
    return params;
  }

  /** Adds it to what describes a bdev. */
  public static void put(final ObjectNode json, final BdevMigration migration) {
    json.put("state", migration.state().name().toLowerCase(Locale.ROOT));
    if (migration.state() != BdevMigration.State.NONE) {
      json.put("source", migration.source().toString()).put("peer", migration.peer());
    }
  }
}
