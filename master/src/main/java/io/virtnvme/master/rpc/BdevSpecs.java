package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.UUID;

/**
 * Bdevs in the words of SPDK's create methods, read and written: the one form that calls, the
 * registry and configuration files share.
 */
public final class BdevSpecs {
  private static final List<String> MALLOC_PARAMETERS =
      List.of(
          "name",
          "block_size",
          "num_blocks",
          "uuid",
          "physical_block_size",
          "optimal_io_boundary",
          "md_size",
          "md_interleave",
          "dif_type",
          "dif_is_head_of_md",
          "dif_pi_format",
          "numa_id");
  private static final List<String> NULL_PARAMETERS =
      List.of(
          "name",
          "block_size",
          "num_blocks",
          "uuid",
          "physical_block_size",
          "md_size",
          "dif_type",
          "dif_is_head_of_md",
          "dif_pi_format",
          "preferred_write_granularity",
          "preferred_write_alignment",
          "optimal_write_size",
          "preferred_unmap_granularity",
          "preferred_unmap_alignment");
  private static final List<String> URING_PARAMETERS =
      List.of("name", "filename", "block_size", "uuid", "readonly");
  private static final List<String> AIO_PARAMETERS =
      List.of("name", "filename", "block_size", "uuid", "readonly", "fallocate", "nowait");

  /** Known to SPDK, of no effect with this value, refused with any other. */
  private static final List<String> MUST_BE_ZERO =
      List.of(
          "optimal_io_boundary",
          "md_size",
          "dif_type",
          "dif_pi_format",
          "preferred_write_granularity",
          "preferred_write_alignment",
          "optimal_write_size",
          "preferred_unmap_granularity",
          "preferred_unmap_alignment");

  private static final List<String> MUST_BE_FALSE =
      List.of("md_interleave", "dif_is_head_of_md", "nowait");

  private static final int BLOCK_SIZE_MIN = 512;
  private static final int BLOCK_SIZE_MAX = 65536;

  private BdevSpecs() {}

  /** The name of the create method. */
  public static String createMethod(final BdevMethod method) {
    return "bdev_" + method.word() + "_create";
  }

  /** The parameters that the create method takes. */
  public static List<String> parameters(final BdevMethod method) {
    return switch (method) {
      case MALLOC -> MALLOC_PARAMETERS;
      case NULL -> NULL_PARAMETERS;
      case URING -> URING_PARAMETERS;
      case AIO -> AIO_PARAMETERS;
      case NVME -> throw new IllegalArgumentException("such bdevs come with their controller");
    };
  }

  /**
   * Reads a create call.
   *
   * @param nameIfAbsent for the kind of bdev that SPDK names itself (malloc)
   * @throws RpcException when a parameter is missing or cannot be satisfied
   */
  public static BdevSpec parse(
      final BdevMethod method, final RpcParams params, final String nameIfAbsent) {
    refuseUnsupported(params);
    final boolean mayBeNameless = method == BdevMethod.MALLOC && !params.has("name");
    final String name = mayBeNameless ? nameIfAbsent : params.requireName("name");
    final UUID uuid = params.optionalUuid("uuid", null);
    final boolean hasFile = method.kind() == BdevKind.URING;
    final int blockSize = blockSize(params, hasFile);
    final long numBlocks =
        hasFile ? 0 : params.requireLong("num_blocks", 1, Long.MAX_VALUE / blockSize);
    params.optionalBoolean("fallocate", true);
    return new BdevSpec(
        name,
        method,
        uuid == null ? UUID.randomUUID() : uuid,
        blockSize,
        numBlocks,
        hasFile ? params.requirePath("filename") : "",
        params.optionalBoolean("readonly", false));
  }

  private static int blockSize(final RpcParams params, final boolean mayBeAbsent) {
    if (mayBeAbsent && params.optionalLong("block_size", 0, BLOCK_SIZE_MAX, 0) == 0) {
      return 0;
    }
    final int blockSize = params.requireInt("block_size", BLOCK_SIZE_MIN, BLOCK_SIZE_MAX);
    if (Integer.bitCount(blockSize) != 1) {
      throw params.invalid("block_size", "a power of two from 512 to 65536");
    }
    final int physical = params.optionalInt("physical_block_size", 0, Integer.MAX_VALUE, 0);
    if (physical != 0 && physical != blockSize) {
      throw params.invalid("physical_block_size", "0 or the block size " + blockSize);
    }
    return blockSize;
  }

  private static void refuseUnsupported(final RpcParams params) {
    for (final String name : MUST_BE_ZERO) {
      params.optionalLong(name, 0, 0, 0);
    }
    for (final String name : MUST_BE_FALSE) {
      if (params.optionalBoolean(name, false)) {
        throw params.invalid(name, "false, the only value supported");
      }
    }
    params.optionalLong("numa_id", -1, 0, -1);
  }

  /** The parameters of a create call that makes this bdev again. */
  public static ObjectNode toParams(final BdevSpec spec) {
    final ObjectNode params = JsonNodeFactory.instance.objectNode();
    params.put("name", spec.name());
    if (spec.kind() == BdevKind.URING) {
      params.put("filename", spec.filename());
      if (spec.blockSize() != 0) {
        params.put("block_size", spec.blockSize());
      }
      if (spec.readOnly() || spec.method() == BdevMethod.AIO) {
        params.put("readonly", spec.readOnly());
      }
      if (spec.method() == BdevMethod.AIO) {
        params.put("fallocate", true);
      }
    } else {
      params.put("block_size", spec.blockSize());
      params.put("num_blocks", spec.numBlocks());
    }
    params.put("uuid", spec.uuid().toString());
    return params;
  }
}
