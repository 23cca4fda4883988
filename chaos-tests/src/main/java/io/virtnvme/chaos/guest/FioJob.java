package io.virtnvme.chaos.guest;

import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** A fio command line. Immutable; a {@link Builder} makes it. */
public final class FioJob {
  /**
   * Block sizes of 4 to 512 KiB, so that requests of one descriptor and of very many share a ring.
   */
  public static final String MIXED_BLOCK_SIZES = "4k/40:8k/10:16k/10:32k/10:64k/15:256k/5:512k/10";

  private static final AtomicInteger REPORT_COUNT = new AtomicInteger();

  private final Map<String, String> options;

  private FioJob(final Map<String, String> options) {
    this.options = options;
  }

  /**
   * Random reads and writes of no particular kind: libaio, O_DIRECT, 4 KiB, one request at a time,
   * no verification.
   *
   * @param file device or file in the guest
   * @return a builder
   */
  public static Builder on(final String file) {
    return new Builder()
        .option("name", "virtnvme")
        .option("filename", file)
        .option("ioengine", "libaio")
        .option("direct", "1")
        .option("rw", "randrw")
        .option("bs", "4k")
        .option("iodepth", "1")
        .option("eta", "never");
  }

  /**
   * Writes every block of a region once, in random order and mixed sizes with 32 requests in
   * flight, then reads all of it back and compares the checksum in each block; again and again for
   * {@link Builder#loops} passes. Ends at the first mismatch.
   *
   * @param file device or file in the guest
   * @return a builder
   */
  public static Builder mixedVerify(final String file) {
    return on(file)
        .option("rw", "randwrite")
        .without("bs")
        .option("bssplit", MIXED_BLOCK_SIZES)
        .option("iodepth", "32")
        .option("verify", "crc32c")
        .option("verify_fatal", "1")
        .option("verify_dump", "0");
  }

  /**
   * The command for the guest's shell: fio's own words, the mark, the JSON report; fio's exit
   * status at the end.
   */
  String command() {
    final String report = "/run/fio-" + REPORT_COUNT.incrementAndGet() + ".json";
    final StringBuilder command = new StringBuilder("fio");
    options.forEach(
        (name, value) ->
            command
                .append(" --")
                .append(name)
                .append("='")
                .append(value.replace("'", "'\\''"))
                .append('\''));
    command.append(" --output-format=json --output=").append(report);
    command
        .append("; status=$?; echo; echo '")
        .append(FioResult.REPORT_MARK)
        .append("'; cat ")
        .append(report);
    command.append("; rm -f ").append(report).append("; exit $status");
    return command.toString();
  }

  /** Collects options. Later calls win. */
  public static final class Builder {
    private final Map<String, String> options = new LinkedHashMap<>();

    private Builder() {}

    /**
     * How fio walks the file: {@code randwrite}, {@code randread}, {@code write}, {@code trimwrite}
     * and so on.
     */
    public Builder rw(final String pattern) {
      return option("rw", pattern);
    }

    /** One block size for all requests, for example {@code 4k}. */
    public Builder blockSize(final String size) {
      return without("bssplit").without("bsrange").option("bs", size);
    }

    /** Any block size between two, for example {@code 4k-512k}. */
    public Builder blockSizes(final String range) {
      return without("bssplit").without("bs").option("bsrange", range);
    }

    /** Requests in flight. */
    public Builder depth(final int count) {
      return option("iodepth", Integer.toString(count));
    }

    /** The part of the file to use. Jobs that verify must not share any of it. */
    public Builder region(final String offset, final String length) {
      return option("offset", offset).option("size", length);
    }

    /** Passes over the region, each write then verify. All of what was written gets verified. */
    public Builder loops(final int count) {
      return option("loops", Integer.toString(count));
    }

    /**
     * Goes on for a time, then stops where it is: what the last pass wrote is not verified, unlike
     * with {@link #loops}.
     */
    public Builder runtime(final Duration duration) {
      return option("time_based", "1").option("runtime", Math.max(1, duration.toMillis()) + "ms");
    }

    /** At most so many requests per second, to make a pass last. */
    public Builder rateIops(final int count) {
      return option("rate_iops", Integer.toString(count));
    }

    /**
     * Reads back each block after {@code count} more were written, not only at the end of a pass.
     */
    public Builder verifyBacklog(final int count) {
      return option("verify_backlog", Integer.toString(count));
    }

    /** A flush after every {@code writes} writes. */
    public Builder flushEvery(final int writes) {
      return option("fsync", Integer.toString(writes));
    }

    /** Any other option of fio. */
    public Builder option(final String name, final String value) {
      options.put(name, value);
      return this;
    }

    /** Drops an option. */
    public Builder without(final String name) {
      options.remove(name);
      return this;
    }

    /** The job. */
    public FioJob build() {
      return new FioJob(Collections.unmodifiableMap(new LinkedHashMap<>(options)));
    }
  }
}
