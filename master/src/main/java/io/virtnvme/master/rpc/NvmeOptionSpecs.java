package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.master.nvme.LogRequest;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** Settings, made-up errors and log pages of NVMe controllers in the words of calls. */
public final class NvmeOptionSpecs {
  public static final String SET = "bdev_nvme_set_options";
  public static final String INJECT = "bdev_nvme_add_error_injection";
  public static final String END_INJECTION = "bdev_nvme_remove_error_injection";

  private static final String ACTION = "action_on_timeout";
  private static final String TIMEOUT = "timeout_us";
  private static final String ADMIN_TIMEOUT = "timeout_admin_us";
  private static final String RETRIES = "transport_retry_count";
  private static final String LOSS_TIMEOUT = "ctrlr_loss_timeout_sec";
  private static final String RECONNECT_DELAY = "reconnect_delay_sec";

  /**
   * Of networks, of several ways to one device, and of SPDK's insides: its save_config writes them
   * always, and they mean nothing here.
   */
  private static final List<String> IGNORED =
      List.of(
          "keep_alive_timeout_ms",
          "nvme_adminq_poll_period_us",
          "nvme_ioq_poll_period_us",
          "io_queue_requests",
          "delay_cmd_submit",
          "transport_ack_timeout",
          "transport_tos",
          "disable_auto_failback",
          "generate_uuids",
          "nvme_error_stat",
          "io_path_stat",
          "allow_accel_sequence",
          "rdma_srq_size",
          "rdma_max_cq_size",
          "rdma_cm_event_timeout_ms",
          "rdma_umr_per_io",
          "tcp_connect_timeout_ms",
          "dhchap_digests",
          "dhchap_dhgroups",
          "enable_flush",
          "multipath_opts");

  /** What only one value of is possible, which save_config writes unless it was changed. */
  private static final List<String> MUST_BE_ZERO =
      List.of(
          "arbitration_burst",
          "low_priority_weight",
          "medium_priority_weight",
          "high_priority_weight",
          "fast_io_fail_timeout_sec");

  private static final String BDEV_RETRIES = "bdev_retry_count";

  /** SPDK's own value. */
  private static final int BDEV_RETRIES_USUAL = 3;

  public static final List<String> PARAMETERS =
      Stream.of(
              List.of(ACTION, TIMEOUT, ADMIN_TIMEOUT, RETRIES, LOSS_TIMEOUT, RECONNECT_DELAY),
              MUST_BE_ZERO,
              List.of(BDEV_RETRIES),
              IGNORED)
          .flatMap(List::stream)
          .toList();

  public static final List<String> INJECT_PARAMETERS =
      List.of(
          "name", "cmd_type", "opc", "do_not_submit", "timeout_in_us", "err_count", "sct", "sc");

  public static final List<String> END_INJECTION_PARAMETERS = List.of("name", "cmd_type", "opc");

  public static final List<String> LOG_PARAMETERS =
      List.of("name", "log_id", "nsid", "offset", "length");

  private static final long TIMEOUT_US_MAX = 86_400_000_000L;
  private static final long ADMIN_TIMEOUT_US_MAX = 3_600_000_000L;
  private static final int RETRIES_MAX = 255;
  private static final int SECONDS_MAX = 86_400;
  private static final int BYTE_MAX = 0xFF;
  private static final int STATUS_TYPE_MAX = 7;
  private static final int STATUS_TYPE_SHIFT = 8;
  private static final long NAMESPACE_ALL = 0xFFFF_FFFFL;
  private static final int LOG_LENGTH_USUAL = 512;

  private NvmeOptionSpecs() {}

  /**
   * Reads a call, or a record of one.
   *
   * @param before what holds for what is not given
   * @throws RpcException when a value is out of range, or cannot be had
   */
  public static NvmeSettings parse(final RpcParams params, final NvmeSettings before) {
    for (final String name : MUST_BE_ZERO) {
      params.optionalLong(name, 0, 0, 0);
    }
    if (params.has(BDEV_RETRIES)
        && params.requireInt(BDEV_RETRIES, -1, Integer.MAX_VALUE) != BDEV_RETRIES_USUAL) {
      throw params.invalid(
          BDEV_RETRIES,
          BDEV_RETRIES_USUAL + ", or nothing: commands are retried in one place, see " + RETRIES);
    }
    final String action =
        params.optionalWord(ACTION, List.of("none", "reset", "abort"), word(before.action()));
    return new NvmeSettings(
        params.optionalLong(TIMEOUT, 0, TIMEOUT_US_MAX, before.timeoutUs()),
        params.optionalLong(ADMIN_TIMEOUT, 0, ADMIN_TIMEOUT_US_MAX, before.adminTimeoutUs()),
        NvmeSettings.TimeoutAction.valueOf(action.toUpperCase(Locale.ROOT)),
        params.optionalInt(RETRIES, 0, RETRIES_MAX, before.retryCount()),
        params.optionalInt(LOSS_TIMEOUT, -1, SECONDS_MAX, before.lossTimeoutSec()),
        params.optionalInt(RECONNECT_DELAY, 0, SECONDS_MAX, before.reconnectDelaySec()));
  }

  private static String word(final NvmeSettings.TimeoutAction action) {
    return action.name().toLowerCase(Locale.ROOT);
  }

  /** The parameters of a call that sets all of these. */
  public static ObjectNode toParams(final NvmeSettings settings) {
    return JsonNodeFactory.instance
        .objectNode()
        .put(ACTION, word(settings.action()))
        .put(TIMEOUT, settings.timeoutUs())
        .put(ADMIN_TIMEOUT, settings.adminTimeoutUs())
        .put(RETRIES, settings.retryCount())
        .put(LOSS_TIMEOUT, settings.lossTimeoutSec())
        .put(RECONNECT_DELAY, settings.reconnectDelaySec());
  }

  /**
   * Reads what errors are to be made up.
   *
   * @throws RpcException when they cannot be, or would be no errors
   */
  public static NvmeErrorRule rule(final RpcParams params) {
    final int opcode = opcode(params);
    if (params.optionalLong("timeout_in_us", 0, Long.MAX_VALUE, 0) != 0) {
      throw params.invalid(
          "timeout_in_us", "0: a command that is not submitted ends at once, nothing is delayed");
    }
    final int type = params.optionalInt("sct", 0, STATUS_TYPE_MAX, 0);
    final int code = params.optionalInt("sc", 0, BYTE_MAX, 0);
    final int status = (type << STATUS_TYPE_SHIFT) | code;
    if (status == Status.SUCCESS) {
      throw params.invalid("sc", "a status that is an error: with sct 0, 1 to 255");
    }
    return new NvmeErrorRule(
        opcode,
        !params.optionalBoolean("do_not_submit", false),
        status,
        params.optionalLong("err_count", 1, 0xFFFF_FFFFL, 1));
  }

  /** The opcode in a call that is about I/O commands. */
  public static int opcode(final RpcParams params) {
    final String type = params.requireString("cmd_type");
    if (!type.equals("io")) {
      throw params.invalid(
          "cmd_type", "io: errors of admin commands would take the controller from all its disks");
    }
    return params.requireInt("opc", 0, BYTE_MAX);
  }

  /** Which part of a log page a call wants; 512 bytes of the controller's from its beginning. */
  public static LogRequest log(final RpcParams params) {
    final long offset = params.optionalLong("offset", 0, Long.MAX_VALUE, 0);
    if (offset % Integer.BYTES != 0) {
      throw params.invalid("offset", "a multiple of 4");
    }
    final int length =
        params.optionalInt("length", Integer.BYTES, LogRequest.LENGTH_MAX, LOG_LENGTH_USUAL);
    if (length % Integer.BYTES != 0) {
      throw params.invalid("length", "a multiple of 4");
    }
    return new LogRequest(
        params.requireInt("log_id", 0, BYTE_MAX),
        (int) params.optionalLong("nsid", 0, NAMESPACE_ALL, NAMESPACE_ALL),
        offset,
        length);
  }
}
