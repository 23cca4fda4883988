package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigInteger;
import java.util.List;

/** Controllers in the words of {@code vhost_create_blk_controller}, read and written. */
public final class ControllerSpecs {
  /** The name of the create method. */
  public static final String CREATE_METHOD = "vhost_create_blk_controller";

  /** What is spoken when nothing is said. */
  public static final String TRANSPORT = BlkTransport.VHOST_USER_BLK.word();

  /** All transports. */
  public static final List<String> TRANSPORTS =
      List.of(BlkTransport.VHOST_USER_BLK.word(), BlkTransport.VIRTNVME.word());

  /** The parameters that the create method takes; {@code num_queues} is ours. */
  public static final List<String> PARAMETERS =
      List.of("ctrlr", "dev_name", "readonly", "packed_ring", "cpumask", "transport", "num_queues");

  private static final int CORE_COUNT_MAX = 1024;
  private static final int NUM_QUEUES_MAX = 64;

  private ControllerSpecs() {}

  /**
   * Reads a create call.
   *
   * @throws RpcException when a parameter is missing or cannot be satisfied
   */
  public static BlkControllerSpec parse(final RpcParams params) {
    final BlkTransport transport =
        BlkTransport.of(params.optionalWord("transport", TRANSPORTS, TRANSPORT));
    return new BlkControllerSpec(
        params.requireName("ctrlr"),
        params.requireString("dev_name"),
        params.has("cpumask") ? cpumask(params) : "",
        params.optionalBoolean("readonly", false),
        params.optionalBoolean("packed_ring", false),
        params.optionalInt("num_queues", 0, NUM_QUEUES_MAX, 0),
        transport);
  }

  /** The parameters of a create call that makes this controller again. */
  public static ObjectNode toParams(final BlkControllerSpec spec) {
    final ObjectNode params = JsonNodeFactory.instance.objectNode();
    params.put("ctrlr", spec.ctrlr());
    params.put("dev_name", spec.devName());
    if (!spec.cpumask().isEmpty()) {
      params.put("cpumask", spec.cpumask());
    }
    params.put("readonly", spec.readOnly());
    params.put("packed_ring", spec.packedRing());
    if (spec.numQueues() != 0) {
      params.put("num_queues", spec.numQueues());
    }
    params.put("transport", spec.transport().word());
    return params;
  }

  /** A mask as 0x3 or 3, or a list as [0,2-3]; given back as 0x with lower-case digits. */
  private static String cpumask(final RpcParams params) {
    final String text = params.requireString("cpumask").trim();
    final boolean isList = text.startsWith("[") && text.endsWith("]");
    final BigInteger mask = isList ? maskOfList(text) : maskOfDigits(text);
    if (mask == null || mask.signum() == 0 || mask.bitLength() > CORE_COUNT_MAX) {
      throw params.invalid(
          "cpumask",
          "a hexadecimal mask such as 0x3 or a list such as [0,2-3] of cores below 1024");
    }
    return "0x" + mask.toString(16);
  }

  private static BigInteger maskOfDigits(final String text) {
    final String digits = text.startsWith("0x") || text.startsWith("0X") ? text.substring(2) : text;
    final boolean wellFormed =
        !digits.isEmpty()
            && digits.length() <= CORE_COUNT_MAX / 4
            && digits.chars().allMatch(c -> c < 128 && Character.digit(c, 16) >= 0);
    return wellFormed ? new BigInteger(digits, 16) : null;
  }

  private static BigInteger maskOfList(final String text) {
    BigInteger mask = BigInteger.ZERO;
    for (final String item : text.substring(1, text.length() - 1).split(",", -1)) {
      final String[] ends = item.trim().split("-", 2);
      final int first = core(ends[0]);
      final int last = core(ends[ends.length - 1]);
      if (first < 0 || last < first) {
        return null;
      }
      for (int core = first; core <= last; core++) {
        mask = mask.setBit(core);
      }
    }
    return mask;
  }

  private static int core(final String text) {
    final String digits = text.trim();
    final boolean wellFormed =
        !digits.isEmpty()
            && digits.length() <= 4
            && digits.chars().allMatch(c -> c >= '0' && c <= '9');
    final int core = wellFormed ? Integer.parseInt(digits) : -1;
    return core < CORE_COUNT_MAX ? core : -1;
  }
}
