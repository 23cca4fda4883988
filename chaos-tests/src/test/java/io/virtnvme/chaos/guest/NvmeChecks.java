package io.virtnvme.chaos.guest;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;

/**
 * What Linux and nvme-cli in a guest must find about an NVMe controller, whoever serves it: {@link
 * NvmeHarnessTest} tries each check on QEMU's own. They leave the first 8 MiB of the namespaces
 * overwritten.
 */
public final class NvmeChecks {
  /** Generic command status 80h (NVMe base specification 2.0, figure 94), as nvme-cli puts it. */
  private static final String LBA_OUT_OF_RANGE = "LBA Out of Range";

  private static final String COMPARE_FAILURE = "Compare Failure";
  private static final int ONCS_COMPARE = 1 << 0;
  private static final int ONCS_DATASET_MANAGEMENT = 1 << 2;
  private static final int ONCS_WRITE_ZEROES = 1 << 3;
  private static final int ONCS_VERIFY = 1 << 7;

  /** QEMU's own controller verifies no more at once than it transfers: 512 KiB. */
  private static final int VERIFY_PART = 8;

  private static final int NUMBER_OF_QUEUES = 0x07;
  private static final int[] READABLE_FEATURES = {
    0x01, 0x02, 0x04, 0x06, NUMBER_OF_QUEUES, 0x08, 0x09, 0x0a, 0x0b
  };
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private final Guest guest;
  private final NvmeCli nvme;

  /** Checks of this guest's only controller. */
  public NvmeChecks(final Guest guest) {
    this.guest = guest;
    nvme = new NvmeCli(guest);
  }

  private String run(final String command) {
    return guest.run(command, LIMIT).orThrow();
  }

  /** Probed, with an admin queue and one queue pair for each of two processors, by MSI-X. */
  public void hasTwoQueuePairsByMsix() {
    assertEquals("live", run("cat /sys/class/nvme/nvme0/state"));
    assertEquals("3", run("cat /sys/class/nvme/nvme0/queue_count"));
    assertEquals("2", run("ls /sys/block/nvme0n1/mq | wc -l"));
    assertEquals("3", run("grep -c 'PCI-MSI.*nvme0q[012]$' /proc/interrupts"));
    final long queues = nvme.getFeature(NUMBER_OF_QUEUES);
    assertTrue((queues & 0xffff) >= 1 && queues >>> 16 >= 1, () -> Long.toHexString(queues));
  }

  /**
   * Identify Controller as a controller with the NVM command set and our commands has it.
   *
   * @param verify whether Verify must be offered; QEMU's own controller runs it without saying so
   */
  public void identifiesController(
      final String serial, final int namespaceCount, final boolean verify) {
    final JsonNode id = nvme.idCtrl();
    assertEquals(serial, id.path("sn").asText().strip());
    assertEquals(0x66, id.path("sqes").asInt(), "64 bytes, no other size");
    assertEquals(0x44, id.path("cqes").asInt(), "16 bytes, no other size");
    assertTrue(id.path("nn").asInt() >= namespaceCount, id::toString);
    assertEquals(1, id.path("cntrltype").asInt(), "an I/O controller");
    assertEquals(1, id.path("vwc").asInt() & 1, "a volatile write cache, so that guests flush");
    final int commands =
        ONCS_COMPARE | ONCS_DATASET_MANAGEMENT | ONCS_WRITE_ZEROES | (verify ? ONCS_VERIFY : 0);
    assertEquals(commands, id.path("oncs").asInt() & commands);
    assertTrue(id.path("subnqn").asText().startsWith("nqn."), id::toString);
  }

  /** A namespace in Identify, in the list of active ones, in {@code nvme list} and in sysfs. */
  public void identifiesNamespace(
      final int namespace, final String serial, final long blockCount, final int blockLength) {
    final JsonNode id = nvme.idNs(namespace);
    assertEquals(blockCount, id.path("nsze").asLong());
    assertEquals(blockCount, id.path("ncap").asLong());
    assertEquals(blockLength, 1 << format(id).path("ds").asInt());
    assertEquals(0, format(id).path("ms").asInt(), "no metadata");
    assertTrue(nvme.listNs().contains(String.format(":%#x", namespace)), nvme::listNs);
    JsonNode listed = null;
    for (final JsonNode device : nvme.list()) {
      if (device.path("DevicePath").asText().equals(NvmeCli.device(namespace))) {
        listed = device;
      }
    }
    assertEquals(serial, String.valueOf(listed.path("SerialNumber").asText()).strip());
    assertEquals(blockCount, listed.path("MaximumLBA").asLong());
    assertEquals(blockLength, listed.path("SectorSize").asInt());
    assertEquals(blockCount * blockLength, sizeBytes(namespace));
  }

  private static JsonNode format(final JsonNode idNs) {
    return idNs.path("lbafs").path(idNs.path("flbas").asInt() & 0xf);
  }

  private long sizeBytes(final int namespace) {
    return Long.parseLong(run("blockdev --getsize64 " + NvmeCli.device(namespace)));
  }

  /** Nothing to complain about in the health log, and it counts what is written and read. */
  public void countsInTheHealthLog() {
    final JsonNode before = nvme.smartLog();
    assertEquals(0, before.path("critical_warning").asInt(), before::toString);
    assertEquals("0", before.path("media_errors").asText());
    final String device = NvmeCli.device(1);
    run("dd if=/dev/zero of=" + device + " bs=1M count=4 oflag=direct conv=fsync 2>/dev/null");
    run("dd if=" + device + " of=/dev/null bs=1M count=4 iflag=direct 2>/dev/null");
    final JsonNode after = nvme.smartLog();
    for (final String direction : new String[] {"write", "read"}) {
      final String commands = "host_" + direction + "_commands";
      assertTrue(count(after, commands) > count(before, commands), () -> before + "\n" + after);
    }
    // Thousands of 512 bytes each way (NVMe 2.0, figure 207).
    assertTrue(count(after, "data_units_written") - count(before, "data_units_written") >= 8);
    assertTrue(count(after, "data_units_read") - count(before, "data_units_read") >= 8);
  }

  private static long count(final JsonNode log, final String name) {
    return Long.parseLong(log.path(name).asText());
  }

  /** Every feature that this kind of controller must have can be read. */
  public void readsItsFeatures() {
    for (final int feature : READABLE_FEATURES) {
      nvme.getFeature(feature);
    }
    assertEquals(1, nvme.getFeature(0x06), "the write cache is on");
  }

  /**
   * A command beyond the end fails with its status and does no harm.
   *
   * @param logged whether an entry in the error log is due; QEMU's own controller makes none
   */
  public void refusesABlockBeyondTheEnd(final boolean logged) {
    final String device = NvmeCli.device(1);
    final long blocks = nvme.idNs(1).path("nsze").asLong();
    final int blockLength = 1 << format(nvme.idNs(1)).path("ds").asInt();
    final long before = count(nvme.smartLog(), "num_err_log_entries");
    final CommandResult refused =
        nvme.tried("read " + device + " -s " + blocks + " -c 0 -z " + blockLength);
    assertNotEquals(0, refused.exitStatus(), refused::output);
    assertTrue(refused.output().contains(LBA_OUT_OF_RANGE), refused::output);
    nvme.run("read " + device + " -s " + (blocks - 1) + " -c 0 -z " + blockLength);
    if (!logged) {
      return;
    }
    assertEquals(before + 1, count(nvme.smartLog(), "num_err_log_entries"));
    final JsonNode entry = nvme.errorLog(1).path(0);
    assertEquals(before + 1, entry.path("error_count").asLong(), entry::toString);
    assertEquals(blocks, entry.path("lba").asLong(), entry::toString);
    assertEquals(1, entry.path("nsid").asInt(), entry::toString);
    assertNotEquals(0, entry.path("sqid").asInt(), entry::toString);
  }

  /** Flush, Write Zeroes, Deallocate, Compare and Verify do what they say, to the blocks given. */
  public void runsTheOtherIoCommands(final int namespace) {
    final String device = NvmeCli.device(namespace);
    final int blockLength = 1 << format(nvme.idNs(namespace)).path("ds").asInt();
    final int blocks = (1 << 20) / blockLength;
    final String pattern =
        "yes virtnvme | head -c 4194304 >/tmp/pattern; dd if=/tmp/pattern oflag=direct bs=1M of=";
    run(pattern + device + " 2>/dev/null");
    nvme.run("flush " + device);
    nvme.run("verify " + device + " -s 0 -c " + (blocks / VERIFY_PART - 1));
    final String compare = "compare " + device + " -s 0 -c 7 -d /tmp/pattern -z " + 8 * blockLength;
    nvme.run(compare);

    nvme.run("write-zeroes " + device + " -s " + blocks + " -c " + (blocks - 1));
    assertEquals("0", nonZeroBytes(device, 1));
    nvme.run("dsm " + device + " -n " + namespace + " -d -s " + 2 * blocks + " -b " + blocks);
    assertEquals("0", nonZeroBytes(device, 2));
    for (final int mebibyte : new int[] {0, 3}) {
      run(
          String.format(
              "dd if=/tmp/pattern bs=1M skip=%d count=1 2>/dev/null >/tmp/m && "
                  + "dd if=%s bs=1M skip=%d count=1 iflag=direct 2>/dev/null | cmp - /tmp/m",
              mebibyte, device, mebibyte));
    }

    nvme.run("write-zeroes " + device + " -s 3 -c 0");
    final CommandResult different = nvme.tried(compare);
    assertNotEquals(0, different.exitStatus(), different::output);
    assertTrue(different.output().contains(COMPARE_FAILURE), different::output);
  }

  private String nonZeroBytes(final String device, final int mebibyte) {
    return run(
        "dd if="
            + device
            + " bs=1M count=1 iflag=direct 2>/dev/null skip="
            + mebibyte
            + " | tr -d '\\0' | wc -c");
  }

  /** A controller reset that the administrator asks for loses no data and no device. */
  public void survivesAReset() {
    final String device = NvmeCli.device(1);
    run("yes before | head -c 1048576 | dd of=" + device + " bs=1M oflag=direct iflag=fullblock");
    nvme.run("reset /dev/nvme0");
    assertEquals("live", run("cat /sys/class/nvme/nvme0/state"));
    run("yes before | head -c 1048576 >/tmp/m; dd if=" + device + " bs=1M count=1 | cmp - /tmp/m");
    hasTwoQueuePairsByMsix();
  }

  /** A new size, once the administrator has had the driver look for it. */
  public void seesANewSizeAfterRescan(
      final int namespace, final Runnable resize, final long blockCount) {
    resize.run();
    nvme.run("ns-rescan /dev/nvme0");
    final long blockLength = 1L << format(nvme.idNs(namespace)).path("ds").asInt();
    assertEquals(blockCount, nvme.idNs(namespace).path("nsze").asLong());
    awaitSize(namespace, blockCount * blockLength);
  }

  /**
   * Returns when the guest has a namespace in this size: a rescan is done by the driver's thread.
   */
  public void awaitSize(final int namespace, final long lengthBytes) {
    run(
        String.format(
            "for i in $(seq 1000); do [ \"$(cat /sys/block/nvme0n%d/size 2>/dev/null)\" = %d ] && "
                + "exit; usleep 10000; done; cat /sys/block/nvme0n%d/size; exit 1",
            namespace, lengthBytes / 512, namespace));
  }
}
