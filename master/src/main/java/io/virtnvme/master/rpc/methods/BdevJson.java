package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.DirtySpecs;
import io.virtnvme.master.rpc.IoStat;
import io.virtnvme.master.rpc.LimitSpecs;
import io.virtnvme.master.rpc.MigrationSpecs;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** Bdevs and counters in SPDK's shape. */
final class BdevJson {
  private static final List<String> IO_TYPES =
      List.of(
          "read",
          "write",
          "unmap",
          "flush",
          "reset",
          "nvme_admin",
          "nvme_io",
          "nvme_io_md",
          "write_zeroes",
          "zcopy",
          "get_zone_info",
          "zone_management",
          "zone_append",
          "compare",
          "compare_and_write",
          "abort",
          "seek_hole",
          "seek_data",
          "copy",
          "nvme_iov_md");
  private static final Set<String> READ_TYPES = Set.of("read", "flush");
  private static final Set<String> WRITE_TYPES = Set.of("write", "unmap", "write_zeroes");
  private static final List<String> PREFERENCES =
      List.of(
          "preferred_write_alignment",
          "preferred_write_granularity",
          "optimal_write_size",
          "preferred_unmap_alignment",
          "preferred_unmap_granularity");

  private BdevJson() {}

  /** An entry of {@code bdev_get_bdevs}; what is ours is below driver_specific.virtnvme. */
  static ObjectNode info(final BdevInfo bdev) {
    final BdevSpec spec = bdev.spec();
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("name", spec.name());
    json.putArray("aliases").add(spec.uuid().toString());
    json.put("product_name", spec.method().productName());
    json.put("block_size", bdev.blockSize());
    json.put("num_blocks", bdev.numBlocks());
    PREFERENCES.forEach(name -> json.put(name, 0));
    json.put("uuid", spec.uuid().toString());
    final ObjectNode limits = json.putObject("assigned_rate_limits");
    LimitSpecs.put(limits, spec.limits());
    json.put("claimed", bdev.claimed());
    if (bdev.claimed()) {
      json.put("claim_type", "exclusive_write");
    }
    json.put("zoned", false);
    final ObjectNode types = json.putObject("supported_io_types");
    for (final String type : IO_TYPES) {
      types.put(
          type, READ_TYPES.contains(type) || (WRITE_TYPES.contains(type) && !spec.readOnly()));
    }
    addDriverSpecific(json.putObject("driver_specific"), bdev);
    return json;
  }

  private static void addDriverSpecific(final ObjectNode json, final BdevInfo bdev) {
    final BdevSpec spec = bdev.spec();
    if (spec.method() == BdevMethod.URING) {
      json.putObject("uring").put("filename", spec.filename());
    } else if (spec.method() == BdevMethod.AIO) {
      json.putObject("aio")
          .put("filename", spec.filename())
          .put("block_size_override", spec.blockSize() != 0)
          .put("readonly", spec.readOnly())
          .put("fallocate", true)
          .put("nowait", false);
    }
    if (spec.method() == BdevMethod.NVME) {
      addNamespace(json, spec);
    }
    final ObjectNode ours = json.putObject("virtnvme");
    if (spec.dirtyGrainShift() != 0) {
      ours.put("dirty_grain_kib", DirtySpecs.grainKib(spec.dirtyGrainShift()));
    }
    if (spec.migration().state() != BdevMigration.State.NONE) {
      MigrationSpecs.put(ours.putObject("migration"), spec.migration());
    }
    ours.put("kind", spec.kind().name().toLowerCase(Locale.ROOT))
        .put("seat", bdev.seat())
        .put("state", bdev.state().name().toLowerCase(Locale.ROOT))
        .put("reason", bdev.reason());
  }

  /** The name says which namespace it is, {@code Nvme0n1}, or which part of one: {@code p2}. */
  private static void addNamespace(final ObjectNode json, final BdevSpec spec) {
    final String[] place = spec.name().substring(spec.filename().length() + 1).split("p", 2);
    json.putArray("nvme")
        .addObject()
        .put("ctrlr", spec.filename())
        .putObject("ns_data")
        .put("id", Long.parseLong(place[0]));
    if (place.length > 1) {
      json.putObject("split")
          .put("base_bdev", spec.filename() + "n" + place[0])
          .put("offset_blocks", Long.parseLong(place[1]) * spec.numBlocks());
    }
  }

  /**
   * The counters of {@code bdev_get_iostat}; ticks are nanoseconds, 0 where nothing is measured.
   */
  static void addCounters(final ObjectNode json, final IoStat stat) {
    json.put("bytes_read", stat.bytesRead());
    json.put("num_read_ops", stat.readOps());
    json.put("bytes_written", stat.bytesWritten());
    json.put("num_write_ops", stat.writeOps());
    json.put("bytes_unmapped", stat.bytesUnmapped());
    json.put("num_unmap_ops", stat.unmapOps());
    json.put("bytes_copied", 0);
    json.put("num_copy_ops", 0);
    addLatency(json, "read", stat.readLatencyNs());
    addLatency(json, "write", stat.writeLatencyNs());
    addLatency(json, "unmap", stat.unmapLatencyNs());
    addLatency(json, "copy", 0);
    final ObjectNode errors = json.putObject("io_error");
    if (stat.errors() != 0) {
      errors.put("failed", stat.errors());
    }
    json.put("num_flush_ops", stat.flushOps());
  }

  private static void addLatency(final ObjectNode json, final String kind, final long latencyNs) {
    json.put(kind + "_latency_ticks", latencyNs);
    json.put("max_" + kind + "_latency_ticks", 0);
    json.put("min_" + kind + "_latency_ticks", 0);
  }
}
