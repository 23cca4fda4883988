package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.regex.Pattern;

/** NVMe subsystems in the words of SPDK's {@code nvmf_*} methods, read and written. */
public final class NvmfSpecs {
  public static final String CREATE_TRANSPORT = "nvmf_create_transport";
  public static final String CREATE_SUBSYSTEM = "nvmf_create_subsystem";
  public static final String DELETE_SUBSYSTEM = "nvmf_delete_subsystem";
  public static final String ALLOW_ANY_HOST = "nvmf_subsystem_allow_any_host";
  public static final String ADD_NS = "nvmf_subsystem_add_ns";
  public static final String REMOVE_NS = "nvmf_subsystem_remove_ns";
  public static final String ADD_LISTENER = "nvmf_subsystem_add_listener";
  public static final String REMOVE_LISTENER = "nvmf_subsystem_remove_listener";

  /** The only transport there is. */
  public static final String TRANSPORT = "VFIOUSER";

  /** SPDK's parameters; those that set up its insides mean nothing here. */
  public static final List<String> CREATE_TRANSPORT_PARAMETERS =
      List.of(
          "trtype",
          "tgt_name",
          "max_queue_depth",
          "max_io_qpairs_per_ctrlr",
          "in_capsule_data_size",
          "max_io_size",
          "io_unit_size",
          "max_aq_depth",
          "num_shared_buffers",
          "buf_cache_size",
          "iobuf_small_cache_size",
          "iobuf_large_cache_size",
          "zcopy",
          "num_cqe",
          "max_srq_depth",
          "no_srq",
          "c2h_success",
          "dif_insert_or_strip",
          "sock_priority",
          "acceptor_backlog",
          "abort_timeout_sec",
          "no_wr_batching",
          "control_msg_num",
          "disable_mappable_bar0",
          "disable_adaptive_irq",
          "disable_shadow_doorbells",
          "acceptor_poll_rate",
          "ack_timeout",
          "data_wr_pool_size",
          "disable_command_passthru",
          "kas",
          "min_kato",
          "masked_oncs",
          "masked_fuses");

  public static final List<String> CREATE_SUBSYSTEM_PARAMETERS =
      List.of(
          "nqn",
          "tgt_name",
          "serial_number",
          "model_number",
          "admin_label",
          "max_namespaces",
          "allow_any_host",
          "ana_reporting",
          "min_cntlid",
          "max_cntlid",
          "dmrsl",
          "wzsl",
          "passthrough",
          "enable_nssr");

  public static final List<String> NQN_PARAMETERS = List.of("nqn", "tgt_name");
  public static final List<String> ALLOW_ANY_HOST_PARAMETERS =
      List.of("nqn", "allow_any_host", "tgt_name");
  public static final List<String> ADD_NS_PARAMETERS = List.of("nqn", "namespace", "tgt_name");
  public static final List<String> REMOVE_NS_PARAMETERS = List.of("nqn", "nsid", "tgt_name");
  public static final List<String> LISTENER_PARAMETERS =
      List.of(
          "nqn",
          "listen_address",
          "tgt_name",
          "secure_channel",
          "ana_state",
          "sock_impl",
          "numa_id");

  private static final List<String> NAMESPACE_PARAMETERS =
      List.of(
          "bdev_name",
          "nsid",
          "uuid",
          "nguid",
          "eui64",
          "ptpl_file",
          "anagrpid",
          "no_auto_visible",
          "hide_metadata");
  private static final List<String> ADDRESS_PARAMETERS =
      List.of("trtype", "adrfam", "traddr", "trsvcid");

  /** "nqn." year-month "." reversed domain ":" name (NVMe Base 2.0, 4.5). */
  private static final Pattern NQN =
      Pattern.compile("nqn\\.[0-9]{4}-[0-9]{2}\\.[!-~&&[^:]]+:[!-~]+");

  private static final int NQN_LENGTH_MAX = 223;
  private static final int SERIAL_LENGTH_MAX = 20;
  private static final int MODEL_LENGTH_MAX = 40;
  private static final int CNTLID_MAX = 0xFFEF;
  private static final int NAMESPACES_DEFAULT = 32;
  private static final int NAMESPACES_MAX = 256;
  private static final int QUEUE_DEPTH_MAX = 1024;
  private static final int IO_QUEUES_MAX = 64;

  private NvmfSpecs() {}

  private static String requireAscii(
      final RpcParams params, final String name, final String absent, final int lengthMax) {
    final String value = params.optionalString(name, absent);
    if (value.length() > lengthMax || !value.chars().allMatch(c -> c >= ' ' && c <= '~')) {
      throw params.invalid(name, "at most " + lengthMax + " printable ASCII characters");
    }
    return value;
  }

  /** Reads {@code nvmf_create_transport}; limits beyond ours are taken for ours. */
  public static NvmfTransportSpec transport(final RpcParams params) {
    final String trtype = params.requireString("trtype");
    if (!trtype.equalsIgnoreCase(TRANSPORT)) {
      throw new RpcException(
          RpcException.INVALID_PARAMS,
          "Invalid transport type '"
              + trtype
              + "'; guests are served by "
              + TRANSPORT
              + " alone, fabrics are SPDK's");
    }
    return new NvmfTransportSpec(
        Math.min(QUEUE_DEPTH_MAX, params.optionalInt("max_queue_depth", 2, 65536, QUEUE_DEPTH_MAX)),
        Math.min(
            IO_QUEUES_MAX, params.optionalInt("max_io_qpairs_per_ctrlr", 1, 0xFFFE, IO_QUEUES_MAX)),
        params.optionalBoolean("disable_mappable_bar0", false),
        params.optionalBoolean("disable_shadow_doorbells", false));
  }

  /** The parameters of a call that makes this transport again. */
  public static ObjectNode toParams(final NvmfTransportSpec spec) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("trtype", TRANSPORT)
        .put("max_queue_depth", spec.maxQueueDepth())
        .put("max_io_qpairs_per_ctrlr", spec.maxIoQueuePairs())
        .put("disable_mappable_bar0", spec.disableMappableBar0())
        .put("disable_shadow_doorbells", spec.disableShadowDoorbells());
  }

  /** The subsystem that a call is about. */
  public static String nqn(final RpcParams params) {
    final String nqn = params.requireString("nqn");
    if (nqn.length() > NQN_LENGTH_MAX) {
      throw params.invalid("nqn", "at most " + NQN_LENGTH_MAX + " characters");
    }
    return nqn;
  }

  /** Reads {@code nvmf_create_subsystem}. */
  public static NvmfSubsystemSpec subsystem(final RpcParams params) {
    final String nqn = nqn(params);
    if (!NQN.matcher(nqn).matches()) {
      throw params.invalid("nqn", "a name such as nqn.2024-01.org.example:disk1");
    }
    for (final String absent : List.of("ana_reporting", "passthrough")) {
      if (params.optionalBoolean(absent, false)) {
        throw params.invalid(absent, "false: it is not supported");
      }
    }
    final int minCntlid = params.optionalInt("min_cntlid", 1, CNTLID_MAX, 1);
    final int maxCntlid = params.optionalInt("max_cntlid", 1, CNTLID_MAX, CNTLID_MAX);
    if (minCntlid > maxCntlid) {
      throw params.invalid("min_cntlid", "at most max_cntlid=" + maxCntlid);
    }
    final int maxNamespaces =
        params.optionalInt("max_namespaces", 0, NAMESPACES_MAX, NAMESPACES_DEFAULT);
    return new NvmfSubsystemSpec(
        nqn,
        requireAscii(params, "serial_number", "00000000000000000000", SERIAL_LENGTH_MAX),
        requireAscii(params, "model_number", "virtnvme", MODEL_LENGTH_MAX),
        maxNamespaces == 0 ? NAMESPACES_DEFAULT : maxNamespaces,
        params.optionalBoolean("allow_any_host", false),
        minCntlid,
        maxCntlid);
  }

  /** The parameters of a call that makes this subsystem again. */
  public static ObjectNode toParams(final NvmfSubsystemSpec spec) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("nqn", spec.nqn())
        .put("allow_any_host", spec.allowAnyHost())
        .put("serial_number", spec.serialNumber())
        .put("model_number", spec.modelNumber())
        .put("max_namespaces", spec.maxNamespaces())
        .put("min_cntlid", spec.minCntlid())
        .put("max_cntlid", spec.maxCntlid());
  }

  /** Reads {@code nvmf_subsystem_add_ns}. */
  public static NvmfNamespaceSpec namespace(final RpcParams params) {
    final RpcParams namespace = params.requireObject("namespace", NAMESPACE_PARAMETERS);
    for (final String absent : List.of("no_auto_visible", "hide_metadata")) {
      if (namespace.optionalBoolean(absent, false)) {
        throw namespace.invalid(absent, "false: it is not supported");
      }
    }
    if (namespace.has("ptpl_file")) {
      throw namespace.invalid("ptpl_file", "nothing: reservations are not supported");
    }
    return new NvmfNamespaceSpec(
        namespace.optionalInt("nsid", 0, NAMESPACES_MAX, 0),
        namespace.requireString("bdev_name"),
        namespace.optionalUuid("uuid", null),
        hex(namespace, "nguid", 32),
        hex(namespace, "eui64", 16));
  }

  private static String hex(final RpcParams params, final String name, final int digits) {
    if (!params.has(name)) {
      return "";
    }
    final String value = params.requireString(name).toLowerCase(Locale.ROOT);
    if (value.length() != digits
        || !value.chars().allMatch(c -> "0123456789abcdef".indexOf(c) >= 0)) {
      throw params.invalid(name, digits + " hexadecimal digits");
    }
    // To a guest 0 says that there is none; SPDK takes it for none given.
    return value.chars().allMatch(c -> c == '0') ? "" : value;
  }

  /** The identifier that a namespace has if it was given none. */
  public static String nguidOf(final UUID uuid) {
    return uuid.toString().replace("-", "");
  }

  /** The parameters of a call that adds this namespace again. */
  public static ObjectNode toParams(final String nqn, final NvmfNamespaceSpec spec) {
    final ObjectNode params = JsonNodeFactory.instance.objectNode().put("nqn", nqn);
    final ObjectNode namespace = params.putObject("namespace");
    namespace.put("nsid", spec.nsid()).put("bdev_name", spec.bdevName());
    if (!spec.nguid().isEmpty()) {
      namespace.put("nguid", spec.nguid().toUpperCase(Locale.ROOT));
    }
    if (!spec.eui64().isEmpty()) {
      namespace.put("eui64", spec.eui64().toUpperCase(Locale.ROOT));
    }
    if (spec.uuid() != null) {
      namespace.put("uuid", spec.uuid().toString());
    }
    return params;
  }

  /** Reads the address of {@code nvmf_subsystem_add_listener} and {@code .._remove_listener}. */
  public static NvmfListenerSpec listener(final RpcParams params) {
    if (params.optionalBoolean("secure_channel", false)) {
      throw params.invalid("secure_channel", "false: a Unix socket has none");
    }
    final RpcParams address = params.requireObject("listen_address", ADDRESS_PARAMETERS);
    final String trtype = address.requireString("trtype");
    if (!trtype.equalsIgnoreCase(TRANSPORT)) {
      throw address.invalid("trtype", TRANSPORT);
    }
    final String traddr = address.requirePath("traddr");
    return new NvmfListenerSpec(
        traddr.length() > 1 && traddr.endsWith("/")
            ? traddr.substring(0, traddr.length() - 1)
            : traddr,
        address.optionalText("trsvcid", ""));
  }

  /** An address as SPDK shows it. */
  public static ObjectNode toAddress(final NvmfListenerSpec spec) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("trtype", TRANSPORT)
        .put("traddr", spec.traddr())
        .put("trsvcid", spec.trsvcid());
  }

  /** The parameters of a call that adds this listener again. */
  public static ObjectNode toParams(final String nqn, final NvmfListenerSpec spec) {
    final ObjectNode params = JsonNodeFactory.instance.objectNode().put("nqn", nqn);
    params.set("listen_address", toAddress(spec));
    return params;
  }
}
