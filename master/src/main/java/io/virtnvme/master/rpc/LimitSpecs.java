package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.relay.BdevLimits;
import java.util.List;

/** Rate limits in the words of SPDK's {@code bdev_set_qos_limit}, read and written. */
public final class LimitSpecs {
  /** Sets limits of a bdev; those that are not given stay. */
  public static final String METHOD = "bdev_set_qos_limit";

  private static final String RW_IOS = "rw_ios_per_sec";
  private static final String RW_MBYTES = "rw_mbytes_per_sec";
  private static final String R_MBYTES = "r_mbytes_per_sec";
  private static final String W_MBYTES = "w_mbytes_per_sec";
  private static final List<String> LIMITS = List.of(RW_IOS, RW_MBYTES, R_MBYTES, W_MBYTES);

  /** The parameters of {@link #METHOD}. */
  public static final List<String> PARAMETERS =
      List.of("name", RW_IOS, RW_MBYTES, R_MBYTES, W_MBYTES);

  /** Sets limits that end by themselves. */
  public static final String THROTTLE = "virtnvme_bdev_throttle";

  private static final String LIMIT_MS = "limit_ms";
  private static final int LIMIT_MS_MAX = 60_000;

  /** The parameters of {@link #THROTTLE}. */
  public static final List<String> THROTTLE_PARAMETERS =
      List.of("name", RW_IOS, RW_MBYTES, R_MBYTES, W_MBYTES, LIMIT_MS);

  private LimitSpecs() {}

  /** When limits end by themselves, 1 to 60000 ms. */
  public static int limitMs(final RpcParams params) {
    return params.requireInt(LIMIT_MS, 1, LIMIT_MS_MAX);
  }

  /**
   * Reads a call.
   *
   * @param before what holds for a limit that is not given
   * @throws RpcException when no limit is given, or one is out of range
   */
  public static BdevLimits parse(final RpcParams params, final BdevLimits before) {
    if (LIMITS.stream().noneMatch(params::has)) {
      throw new RpcException(
          RpcException.INVALID_PARAMS,
          params.method()
              + " needs at least one of "
              + String.join(", ", LIMITS)
              + "; 0 takes a limit off");
    }
    return new BdevLimits(
        limit(params, RW_IOS, before.readWriteIos()),
        limit(params, RW_MBYTES, before.readWriteMib()),
        limit(params, R_MBYTES, before.readMib()),
        limit(params, W_MBYTES, before.writeMib()));
  }

  private static long limit(final RpcParams params, final String name, final long before) {
    return params.optionalLong(name, 0, BdevLimits.VALUE_MAX, before);
  }

  /** The parameters of a call that sets all of these. */
  public static ObjectNode toParams(final String name, final BdevLimits limits) {
    final ObjectNode params = JsonNodeFactory.instance.objectNode().put("name", name);
    put(params, limits);
    return params;
  }

  /** Adds all of these under SPDK's names. */
  public static void put(final ObjectNode json, final BdevLimits limits) {
    json.put(RW_IOS, limits.readWriteIos());
    json.put(RW_MBYTES, limits.readWriteMib());
    json.put(R_MBYTES, limits.readMib());
    json.put(W_MBYTES, limits.writeMib());
  }
}
