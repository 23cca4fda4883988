package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.nvme.PciAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

/** NVMe controllers in the words of SPDK's calls, read and written. */
public final class NvmeSpecs {
  public static final String ATTACH = "bdev_nvme_attach_controller";
  public static final String DETACH = "bdev_nvme_detach_controller";
  public static final String SPLIT = "bdev_split_create";
  public static final String UNSPLIT = "bdev_split_delete";

  /** The only transport. */
  public static final String TRANSPORT = "PCIe";

  /** Of networks, or of several ways to one device: without effect on PCIe. */
  private static final List<String> IGNORED =
      List.of(
          "adrfam",
          "trsvcid",
          "subnqn",
          "hostnqn",
          "multipath",
          "ctrlr_loss_timeout_sec",
          "reconnect_delay_sec",
          "fast_io_fail_timeout_sec");

  private static final List<String> MUST_BE_FALSE =
      List.of("prchk_reftag", "prchk_guard", "hdgst", "ddgst");

  public static final List<String> ATTACH_PARAMETERS =
      Stream.of(List.of("name", "trtype", "traddr"), IGNORED, MUST_BE_FALSE)
          .flatMap(List::stream)
          .toList();

  public static final List<String> DETACH_PARAMETERS = List.of("name", "trtype", "traddr");

  public static final List<String> SPLIT_PARAMETERS =
      List.of("base_bdev", "split_count", "split_size_mb");

  public static final List<String> UNSPLIT_PARAMETERS = List.of("base_bdev");

  /** What a recorded split has besides. */
  public static final List<String> SPLIT_RECORD_PARAMETERS =
      Stream.concat(SPLIT_PARAMETERS.stream(), Stream.of("num_blocks")).toList();

  /** What a recorded attach has besides. */
  public static final List<String> RECORD_PARAMETERS =
      Stream.concat(ATTACH_PARAMETERS.stream(), Stream.of("was_kernels", "namespaces")).toList();

  private static final int BLOCK_BYTES_MAX = 4096;

  /** More than controllers have queue pairs for. */
  private static final int SPLIT_COUNT_MAX = 1024;

  private static final long SPLIT_MIB_MAX = 1L << 40;

  /** Leaves room for what the names of bdevs and queue pairs have besides. */
  private static final int NAME_LENGTH_MAX = 128;

  private NvmeSpecs() {}

  /**
   * Reads an attach call, or a record of one.
   *
   * @throws RpcException when a parameter is missing or cannot be satisfied
   */
  public static NvmeControllerSpec attach(final RpcParams params) {
    final String name = params.requireName("name");
    if (name.length() > NAME_LENGTH_MAX) {
      throw params.invalid("name", "a name of at most " + NAME_LENGTH_MAX + " characters");
    }
    for (final String flag : MUST_BE_FALSE) {
      if (params.optionalBoolean(flag, false)) {
        throw params.invalid(flag, "false, the only value supported");
      }
    }
    requireTransport(params);
    final List<NvmeControllerSpec.Namespace> namespaces = new ArrayList<>();
    for (final RpcParams namespace :
        params.optionalObjects("namespaces", List.of("nsid", "uuid", "block_size", "num_blocks"))) {
      namespaces.add(
          new NvmeControllerSpec.Namespace(
              (int) namespace.requireLong("nsid", 1, 0xFFFF_FFFEL),
              namespace.optionalUuid("uuid", new UUID(0, 0)),
              namespace.requireInt("block_size", 512, BLOCK_BYTES_MAX),
              namespace.requireLong("num_blocks", 1, Long.MAX_VALUE / BLOCK_BYTES_MAX)));
    }
    return new NvmeControllerSpec(
        name, address(params), params.optionalBoolean("was_kernels", false), namespaces);
  }

  /** Refuses another transport. */
  public static void requireTransport(final RpcParams params) {
    if (!params.requireString("trtype").equalsIgnoreCase(TRANSPORT)) {
      throw params.invalid("trtype", TRANSPORT + ", the only transport");
    }
  }

  /** The PCI address in a call, in full. */
  public static String address(final RpcParams params) {
    final PciAddress address = PciAddress.parse(params.requireString("traddr"));
    if (address == null) {
      throw params.invalid("traddr", "a PCI address such as 0000:5e:00.0; lspci -D lists them");
    }
    return address.text();
  }

  /** The parameters of a call that attaches this controller again. */
  public static ObjectNode toParams(final NvmeControllerSpec spec) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("name", spec.name())
        .put("trtype", TRANSPORT)
        .put("traddr", spec.address());
  }

  /** The same for the registry, with what was found. */
  public static ObjectNode toRecord(final NvmeControllerSpec spec) {
    final ObjectNode params = toParams(spec).put("was_kernels", spec.wasKernels());
    final ArrayNode namespaces = params.putArray("namespaces");
    for (final NvmeControllerSpec.Namespace namespace : spec.namespaces()) {
      namespaces
          .addObject()
          .put("nsid", Integer.toUnsignedLong(namespace.nsid()))
          .put("uuid", namespace.uuid().toString())
          .put("block_size", namespace.blockSize())
          .put("num_blocks", namespace.numBlocks());
    }
    return params;
  }

  /** How many parts a call wants. */
  public static int splitCount(final RpcParams params) {
    return params.requireInt("split_count", 1, SPLIT_COUNT_MAX);
  }

  /** How large a call wants each part; 0 for as much as fits. */
  public static long splitMib(final RpcParams params) {
    return params.optionalLong("split_size_mb", 0, SPLIT_MIB_MAX, 0);
  }

  /** The split that a record is about. */
  public static NvmeControllerSpec.Split split(final RpcParams params, final int nsid) {
    return new NvmeControllerSpec.Split(
        nsid,
        splitCount(params),
        splitMib(params),
        params.requireLong("num_blocks", 1, Long.MAX_VALUE / BLOCK_BYTES_MAX));
  }

  /** The parameters of a call that splits a namespace of this controller again. */
  public static ObjectNode toParams(
      final NvmeControllerSpec spec, final NvmeControllerSpec.Split split) {
    final ObjectNode params =
        JsonNodeFactory.instance
            .objectNode()
            .put("base_bdev", spec.bdevName(split.nsid()))
            .put("split_count", split.count());
    return split.sizeMib() == 0 ? params : params.put("split_size_mb", split.sizeMib());
  }

  /** The same for the registry, with the length of the parts. */
  public static ObjectNode toRecord(
      final NvmeControllerSpec spec, final NvmeControllerSpec.Split split) {
    return toParams(spec, split).put("num_blocks", split.numBlocks());
  }

  /** Where a controller is, in SPDK's form. */
  public static JsonNode toTransportId(final NvmeControllerSpec spec) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("trtype", TRANSPORT)
        .put("traddr", spec.address());
  }
}
